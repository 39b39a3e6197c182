"""Cached reads for the parts of the runner, kept while they are valid. It writes nothing.

Nothing in here reads all trials of a study: there may be 100,000, and this is asked several times a second.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.runner.budget import BUDGETED, UNDONE
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.outline import LOG
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Study, StudyState, Trial, TrialState


@dataclass(frozen=True)
class _Counted:
    """Trials up to row `last` that count against the budget, as they were at the newest request `mark`."""

    mark: int
    last: int = 0
    used: int = 0


@dataclass
class Lookups:
    """Studies, their specs and what their trials come to. Everything in it can be lost."""

    db: Database
    _studies: tuple[int, list[Study]] = (-1, [])
    _specs: dict[int, tuple[dict[str, Any], StudySpec]] = field(default_factory=dict)
    _counted: dict[int, _Counted] = field(default_factory=dict)

    def running(self) -> list[Study]:
        """Searches in state running, oldest first; a runner has nothing to do for logged runs."""
        return [study for study in self._all() if study.kind != LOG and study.state == StudyState.RUNNING]

    def spec(self, study: Study) -> StudySpec:
        """The spec in force; validated once for each change of it, so the same object means the same spec."""
        cached = self._specs.get(study.id)
        if cached is None or (cached[0] is not study.spec and cached[0] != study.spec):
            cached = (study.spec, study_from_dict(study.spec, where=f"study {study.name}"))
            self._specs[study.id] = cached
        return cached[1]

    def spec_by_id(self, study_id: int) -> StudySpec:
        """The same by row id."""
        return self.spec(next(study for study in self._all() if study.id == study_id))

    def waiting(self, study: Study) -> list[Trial]:
        """Trials of a study that wait, by number."""
        with self.db.read() as session:
            return reads.trials(session, study.id, states=(TrialState.WAITING,))

    def used(self, session: Reading, study_id: int) -> int:
        """Trials that count against budget.trials.

        Only rows that are new are looked at, until a person changes something: an undo takes trials out of the count.
        """
        mark = reads.newest_request(session, study_id)
        counted = self._counted.get(study_id)
        if counted is None or counted.mark != mark:
            counted = _Counted(mark)
        last, more = reads.count_origins(session, study_id, BUDGETED, without=UNDONE, after=counted.last)
        self._counted[study_id] = counted = _Counted(mark, last, counted.used + more)
        return counted.used

    def _all(self) -> list[Study]:
        version = self.db.data_version()
        if version != self._studies[0]:
            with self.db.read() as session:
                self._studies = (version, reads.studies(session))
        return self._studies[1]
