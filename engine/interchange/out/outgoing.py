"""A study as it goes out: its trials as they are now, and their curves in pieces of bounded size.

It reads the database in short transactions, so a study that runs is neither blocked nor waited for, and changes
nothing. It knows no form.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bertdistill.engine.interchange.records import Curve
from bertdistill.engine.pareto.frontier import RankedRow
from bertdistill.engine.pareto.repeats import ranked_rows
from bertdistill.engine.study.config import to_toml
from bertdistill.engine.study.measured import measured
from bertdistill.engine.study.notify_section import NotifySection
from bertdistill.engine.study.outline import Outline, outline
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import Series, Study, Trial

PREPARATION = 0
"""Row id under which the curves of a preparation are stored."""
PAGE = 50_000
"""Points of one transaction and of one piece."""
_BEFORE_ALL = -(2**63)


@dataclass
class Losses:
    """What a form cannot represent, in the order found, each with a count."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, count: int = 1) -> None:
        """Count `what`, a plural phrase such as "trials without an end", `count` times."""
        if count:
            self.counts[what] += count

    def lines(self) -> list[str]:
        """One phrase with its count for each."""
        return [f"{count:,} {what}" for what, count in self.counts.items()]


@dataclass(frozen=True)
class Outgoing:
    """A study and its trials; curves are read while they are asked for."""

    db: Database
    study: Study
    outline: Outline
    trials: tuple[Trial, ...]
    """By number; deleted ones are left out."""
    parents: Mapping[int, int]
    """Number of the trial that a trial is a rerun of, by the number of the rerun."""
    ranked: Mapping[int, RankedRow[int]]
    """By number, best first, as in the ranked list: the complete trials with a value for every objective."""
    series: Mapping[int, tuple[Series, ...]]
    """By row id of the trial, or PREPARATION; by name."""
    passed: Callable[[int], None] = lambda count: None
    """Told the number of points whenever some were read."""

    @property
    def points(self) -> int:
        """How many points there were when the study was read; a running study may yield more."""
        return sum(one.points for found in self.series.values() for one in found)

    def curves(self, trial_id: int) -> Iterator[Curve]:
        """The points of a trial (or of the PREPARATION), curve by curve."""
        for one in self.series.get(trial_id, ()):
            yield from self.curve(one)

    def curve(self, one: Series) -> Iterator[Curve]:
        """The points of one curve."""
        after, full = _BEFORE_ALL, True
        while full:
            with self.db.read() as session:
                rows = reads.points_after(session, one.id, after, PAGE)
            full = len(rows) == PAGE
            if rows:
                steps, values, times = zip(*rows, strict=True)
                after = steps[-1]
                self.passed(len(rows))
                yield Curve(one.name, steps, values, times)


def read_outgoing(db: Database, name: str, passed: Callable[[int], None] = lambda count: None) -> Outgoing:
    """The study of that name in one snapshot, except for the points of its curves; NotFound if there is none."""
    with db.read() as session:
        study = reads.study(session, name)
        trials = tuple(reads.trials(session, study.id))
        series = reads.series(session, study.id)
    numbers = {trial.id: trial.number for trial in trials}
    found = outline(study)
    rows = [*measured(trials, all_metrics).values()]
    by_trial: dict[int, list[Series]] = {}
    for one in series:
        if one.trial_id == PREPARATION or one.trial_id in numbers:
            by_trial.setdefault(one.trial_id, []).append(one)
    return Outgoing(
        db,
        study,
        found,
        trials,
        {one.number: numbers[one.parent_id] for one in trials if one.parent_id in numbers},
        {row.key: row for row in ranked_rows(rows, found.objectives)},
        {trial_id: tuple(one) for trial_id, one in by_trial.items()},
        passed,
    )


def study_file(spec: StudySpec) -> str:
    """The study file in force, without `[notify]`: an address there may be a secret, and this goes to others."""
    return to_toml(replace(spec, notify=NotifySection()))


def all_metrics(trial: Trial) -> dict[str, float | None]:
    """Metrics known before training, then those measured; what is not a finite number is None."""
    return {name: _number(value) for name, value in {**trial.known, **trial.metrics}.items()}


def _number(value: Any) -> float | None:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value if plain else None
