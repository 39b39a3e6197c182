"""A study as values: its sections with the help, range and choices of every key, and StudySpec, which holds them all.

It checks nothing and reads nothing: that is `config`'s. The sections that a worker is told too are in `contract.spec`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.contract.spec import DataSpec, Settings, StudentSpec, TeacherSpec, key
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.ranges import present
from bertdistill.engine.study.space import Space


@dataclass(frozen=True)
class MetricsSection:
    """`[metrics]`: what is measured and kept beside the objectives."""

    stored: list[str] = key([], help="Further metrics to measure and store for every trial.")
    select: str = key("", help="Metric that picks the best checkpoint; empty takes the first score of the objectives.")


@dataclass(frozen=True)
class BudgetSection:
    """`[budget]`: when the study is complete."""

    trials: int = key(
        40,
        low=1,
        high=100_000,
        help="Trials in all, the baseline and queued ones included; reruns by hand come on top.",
    )
    hours: float = key(0.0, low=0, help="Start no new trial after this many hours of running; 0 sets no limit.")


@dataclass(frozen=True)
class SamplerSection:
    """`[sampler]`: how settings are proposed."""

    kind: str = key(
        "auto",
        choices=("auto", "tpe", "gp", "nsga2", "random", "grid"),
        help="auto, tpe, gp, nsga2, random or grid; auto is gp from 12 to 300 trials, else tpe.",
    )
    seed: int = key(0, low=0, help="Seed of the proposals: same history and seed, same proposal.")
    startup_trials: int = key(10, low=1, help="Random trials before the sampler begins to model.")


@dataclass(frozen=True)
class RunnerSection:
    """`[runner]`: how workers are started and kept."""

    slots: int = key(0, low=0, high=256, help="Workers at once; 0 takes one a GPU, or one on a machine without.")
    slots_per_gpu: int = key(1, low=1, high=16, help="Workers that share one GPU, only when asked for.")
    retries: int = key(2, low=0, high=20, help="Further attempts of a trial whose worker failed.")
    grace_seconds: float = key(60.0, low=1, help="Time between a polite stop and a kill.")
    pause_after_failures: int = key(
        3, low=1, help="Trials that fail in a row, all in the same way, before the study is paused."
    )
    min_free_gb: float = key(
        2.0, low=0, help="Free disk below which old checkpoints are dropped, then the queue pauses."
    )


@dataclass(frozen=True)
class StoppingSection:
    """`[stopping]`: ending a trial early when it cannot reach the frontier at its known size."""

    rule: str = key("frontier", choices=("frontier", "none"), help="frontier or none.")
    min_trials: int = key(8, low=2, help="Complete trials before the rule is used.")
    quantile: float = key(
        0.9, low=0.01, high=1, help="Quantile of earlier gains taken as the optimistic rest of a trial."
    )


@dataclass(frozen=True)
class ReferencePoint:
    """`[[references]]`: a published model, drawn as a labelled mark."""

    name: str = key(help="Label of the mark.")
    metrics: dict[str, float] = key(help="Its values by metric name.")


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """A whole study file, resolved."""

    name: str = key(help="Name of the study: letters, digits, dot, dash, underscore.")
    task: str = key(help="question-answering or text-classification.")
    note: str = key("", help="Free text shown with the study.")
    data: DataSpec
    teacher: TeacherSpec
    student: StudentSpec = field(default_factory=StudentSpec)
    settings: Settings = field(default_factory=Settings)
    search: Space = key((), help="Parameters to search, by name: a range or choices.")
    objectives: tuple[Objective, ...] = key(help="Two or more metrics with directions and perhaps thresholds.")
    metrics: MetricsSection = field(default_factory=MetricsSection)
    baseline: dict[str, Any] | None = key(
        None, help="Settings of trial 0, over the fixed ones; empty table: the fixed settings themselves."
    )
    budget: BudgetSection = field(default_factory=BudgetSection)
    sampler: SamplerSection = field(default_factory=SamplerSection)
    runner: RunnerSection = field(default_factory=RunnerSection)
    stopping: StoppingSection = field(default_factory=StoppingSection)
    references: tuple[ReferencePoint, ...] = ()
    ranges: Space = ()
    """Narrowed parameters; proposals keep to them, everything else to `search`."""

    @property
    def proposable(self) -> Space:
        """The space that proposals are drawn from: `search` with `ranges` over it."""
        return present(self.search, self.ranges)


KEYS = {field.name: field for field in dataclasses.fields(StudySpec)}
"""What may stand at the top of a study file."""
SECTIONS: dict[str, type] = {
    "data": DataSpec,
    "teacher": TeacherSpec,
    "student": StudentSpec,
    "settings": Settings,
    "metrics": MetricsSection,
    "budget": BudgetSection,
    "sampler": SamplerSection,
    "runner": RunnerSection,
    "stopping": StoppingSection,
}
"""Tables with keys of their own, all read alike."""
