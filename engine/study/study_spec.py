"""A study as values: its sections with the help, range and choices of every key, and StudySpec, which holds them all.

It validates and reads nothing: `config` does. The sections that also reach workers are in `contract.spec`.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.contract.spec import (
    DataSpec,
    PretrainSpec,
    Settings,
    StudentSpec,
    SupernetSpec,
    TeacherSpec,
    TransferSpec,
    key,
)
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.notify_section import NotifySection
from bertdistill.engine.study.ranges import present
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.space import Space


@dataclass(frozen=True)
class MetricsSection:
    """`[metrics]`: what is measured and stored besides the objectives."""

    stored: list[str] = key([], help="Additional metrics to measure and store for every trial.")
    select: str = key("", help="Metric that selects the best checkpoint; empty uses the first score objective.")


@dataclass(frozen=True)
class BudgetSection:
    """`[budget]`: when the study is complete."""

    trials: int = key(
        40,
        low=1,
        high=100_000,
        help="Total number of trials, including the baseline and queued trials; manual reruns are extra.",
    )
    hours: float = key(0.0, low=0, help="Start no new trials after this many hours; 0 means no limit.")


@dataclass(frozen=True)
class SamplerSection:
    """`[sampler]`: how settings are proposed."""

    kind: str = key(
        "auto",
        choices=("auto", "tpe", "gp", "nsga2", "random", "grid"),
        help="auto, tpe, gp, nsga2, random or grid; auto uses gp up to 300 trials and 3 objectives, otherwise tpe.",
    )
    per: str = key(
        "auto",
        choices=("auto", "trial", "second"),
        help="gp: what its expected gain is divided by. second prefers students that train fast; auto is second if "
        "budget.hours is set, else trial.",
    )
    seed: int = key(0, low=0, help="Seed of the proposals: the same history and seed give the same proposal.")
    startup_trials: int = key(10, low=1, help="Random trials before the sampler starts to use its model.")


@dataclass(frozen=True)
class RunnerSection:
    """`[runner]`: how workers are started, retried and stopped."""

    slots: int = key(
        0, low=0, high=256, help="Concurrent workers on this machine; 0 means one per GPU, or one without GPUs."
    )
    slots_per_gpu: int = key(1, low=1, high=16, help="Number of workers that share one GPU.")
    machines: list[str] = key(
        [],
        help='Machines to use, as added with `engine machines add`; "local" is this one. Empty means this one only.',
    )
    prepare_on: str = key(
        "local",
        help="Machine that the study is prepared on; auto takes one of `machines` with a GPU, if this one has none.",
    )
    retries: int = key(2, low=0, high=20, help="Further attempts at a trial whose worker failed.")
    grace_seconds: float = key(60.0, low=1, help="Seconds between asking a worker to stop and killing it.")
    pause_after_failures: int = key(
        3, low=1, help="Consecutive trials failing for the same reason before the study is paused."
    )
    min_free_gb: float = key(
        2.0, low=0, help="Free disk space in GB below which old checkpoints are removed, then the study is paused."
    )


@dataclass(frozen=True)
class StoppingSection:
    """`[stopping]`: stopping a trial early if it will hardly reach the frontier at its known size."""

    rule: str = key(
        "forecast",
        choices=("forecast", "frontier", "none"),
        help="forecast, frontier or none. forecast predicts the final score from the curves of earlier trials; "
        "frontier assumes an optimistic gain.",
    )
    min_trials: int = key(5, low=2, help="Complete trials required before the rule applies.")
    chance: float = key(
        0.05, low=0, high=0.5, help="forecast: a trial stops if it reaches the frontier with a lower probability."
    )
    quantile: float = key(
        0.9, low=0.01, high=1, help="frontier: quantile of earlier gains assumed as the remaining gain of a trial."
    )
    metric: str = key(
        "", help="Of a program: the objective that it reports step by step and is judged by; empty: the first one."
    )


@dataclass(frozen=True)
class ProgramSection:
    """`[program]`: any program as the worker of the trials, instead of a distillation."""

    command: list[str] = key(
        help="The program and its arguments, without a shell. {NAME} stands for the value of a parameter, {params} for "
        "the path of a JSON file with all of them."
    )
    directory: str = key("", help="Working directory of the program; empty: the folder of the study file.")
    environment: dict[str, str] = key({}, help="Additional environment variables of the program.")
    files: list[str] = key(
        [],
        help="Files and folders below the directory that other machines of runner.machines get a copy of; `.` for all.",
    )
    minutes: float = key(0.0, low=0, help="Time limit of one attempt, after which it is infeasible; 0 means no limit.")


@dataclass(frozen=True)
class ReferencePoint:
    """`[[references]]`: a published model, drawn as a labelled mark in the frontier chart."""

    name: str = key(help="Label of the mark.")
    metrics: dict[str, float] = key(help="Its metric values by name.")


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """A complete, resolved study file."""

    name: str = key(help="Name of the study: letters, digits, dots, dashes and underscores.")
    task: str = key("", help="question-answering or text-classification; a study of a program has none.")
    note: str = key("", help="Free text shown with the study.")
    data: DataSpec = field(default_factory=DataSpec)
    teacher: TeacherSpec = field(default_factory=TeacherSpec)
    program: ProgramSection | None = key(None, help="A program that is the worker, instead of task, data and teacher.")
    values: dict[str, Any] = field(default_factory=dict)
    """The fixed values of a program, which stand in `[settings]`."""
    student: StudentSpec = field(default_factory=StudentSpec)
    supernet: SupernetSpec = field(default_factory=SupernetSpec)
    settings: Settings = field(default_factory=Settings)
    family_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The tables in `[settings]`, by family: values that count only for students of that family."""
    recipes: dict[str, dict[str, Any]] = key({}, help="Bundles of settings by name, selected by the setting recipe.")
    search: Space = key((), help="Parameters to search, by name: a range or choices.")
    objectives: tuple[Objective, ...] = key(help="At least two metrics with directions and optional thresholds.")
    metrics: MetricsSection = field(default_factory=MetricsSection)
    baseline: dict[str, Any] | None = key(
        None, help="Settings of trial 0 that override the fixed ones; an empty table overrides none."
    )
    budget: BudgetSection = field(default_factory=BudgetSection)
    sampler: SamplerSection = field(default_factory=SamplerSection)
    runner: RunnerSection = field(default_factory=RunnerSection)
    stopping: StoppingSection = field(default_factory=StoppingSection)
    notify: NotifySection = field(default_factory=NotifySection)
    transfer: tuple[TransferSpec, ...] = ()
    pretrain: tuple[PretrainSpec, ...] = ()
    references: tuple[ReferencePoint, ...] = ()
    ranges: Space = ()
    """Narrowed parameters: they apply to proposals; everything else uses `search`."""

    @property
    def fixed(self) -> Fixed:
        """The fixed settings, with those of single families; of a program its fixed values."""
        if self.program is not None:
            return Fixed(values=self.values)
        return Fixed(self.settings, self.family_settings, self.recipes)

    @property
    def kind(self) -> str:
        """`Study.kind` of such a study."""
        return "search" if self.program is None else "program"

    @property
    def proposable(self) -> Space:
        """The space that proposals are drawn from: `search` restricted by `ranges`."""
        return present(self.search, self.ranges)


KEYS = {field.name: field for field in dataclasses.fields(StudySpec) if field.name not in ("family_settings", "values")}
"""Keys allowed at the top level of a study file."""
SECTIONS: dict[str, type] = {
    "data": DataSpec,
    "teacher": TeacherSpec,
    "student": StudentSpec,
    "supernet": SupernetSpec,
    "settings": Settings,
    "metrics": MetricsSection,
    "budget": BudgetSection,
    "sampler": SamplerSection,
    "runner": RunnerSection,
    "stopping": StoppingSection,
    "notify": NotifySection,
}
"""Tables of keys that are all read in the same way."""
