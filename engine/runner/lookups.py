"""What the parts of the runner read again and again, kept as long as it is true. It writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.outline import LOG
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import Study, StudyState, Trial


@dataclass
class Lookups:
    """Specs and trials of studies. Everything in it can be lost."""

    db: Database
    _specs: dict[int, tuple[dict[str, Any], StudySpec]] = field(default_factory=dict)
    _trials: dict[int, tuple[dict[str, int], list[Trial]]] = field(default_factory=dict)

    def running(self) -> list[Study]:
        """Searches in state running, oldest first; logged runs are somebody else's to run."""
        with self.db.read() as session:
            found = reads.studies(session)
        return [study for study in found if study.kind != LOG and study.state == StudyState.RUNNING]

    def spec(self, study: Study) -> StudySpec:
        """The spec in force; validated once for each change of it, so the same object means the same spec."""
        cached = self._specs.get(study.id)
        if cached is None or cached[0] != study.spec:
            cached = (study.spec, study_from_dict(study.spec, where=f"study {study.name}"))
            self._specs[study.id] = cached
        return cached[1]

    def spec_by_id(self, study_id: int) -> StudySpec:
        """The same by row id."""
        with self.db.read() as session:
            return self.spec(reads.study_by_id(session, study_id))

    def trials(self, study: Study) -> list[Trial]:
        """All trials of a study; read again when their states changed or `forget` was called."""
        with self.db.read() as session:
            counts = reads.counts(session, study.id)
            cached = self._trials.get(study.id)
            if cached is None or cached[0] != counts:
                cached = (counts, reads.trials(session, study.id))
                self._trials[study.id] = cached
        return cached[1]

    def forget(self, study_id: int) -> None:
        """Read the trials of this study again next time."""
        self._trials.pop(study_id, None)
