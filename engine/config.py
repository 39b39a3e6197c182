"""From a study file (TOML) to a validated StudySpec. Every error names file, key and remedy.

It reads files and nothing else: no database, no model, no data set.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bertdistill.engine.contract import DataSpec, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.frontier import Objective
from bertdistill.engine.space import Space


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MetricsSection(_Section):
    """`[metrics]`: what is measured and kept beside the objectives."""

    stored: tuple[str, ...] = Field(default=(), description="Further metrics to measure and store for every trial.")
    select: str = Field(default="", description="Metric that picks the best checkpoint; empty takes the first score among the objectives.")


class BudgetSection(_Section):
    """`[budget]`: when the study is complete."""

    trials: int = Field(default=40, ge=1, le=100_000, description="Trials in all, the baseline and queued ones included; reruns by hand come on top.")
    hours: float = Field(default=0.0, ge=0, description="Start no new trial after this many hours of running; 0 sets no limit.")


class SamplerSection(_Section):
    """`[sampler]`: how settings are proposed."""

    kind: str = Field(default="auto", description="auto, tpe, gp, nsga2, random or grid; auto is gp up to 300 trials, then tpe.")
    seed: int = Field(default=0, ge=0, description="Seed of the proposals: same history and seed, same proposal.")
    startup_trials: int = Field(default=10, ge=1, description="Random trials before the sampler begins to model.")


class RunnerSection(_Section):
    """`[runner]`: how workers are started and kept."""

    slots: int = Field(default=0, ge=0, le=256, description="Workers at once; 0 takes one a GPU, or one on a machine without.")
    slots_per_gpu: int = Field(default=1, ge=1, le=16, description="Workers that share one GPU, only when asked for.")
    retries: int = Field(default=2, ge=0, le=20, description="Further attempts of a trial whose worker failed.")
    grace_seconds: float = Field(default=60.0, ge=1, description="Time between a polite stop and a kill.")
    pause_after_failures: int = Field(default=3, ge=1, description="Failures of one class in a row that pause the study.")
    min_free_gb: float = Field(default=2.0, ge=0, description="Free disk below which old checkpoints are dropped, then the queue pauses.")


class StoppingSection(_Section):
    """`[stopping]`: ending a trial early when it cannot reach the frontier at its known size."""

    rule: str = Field(default="frontier", description="frontier or none.")
    min_trials: int = Field(default=8, ge=2, description="Complete trials before the rule is used.")
    quantile: float = Field(default=0.9, gt=0, le=1, description="Quantile of earlier gains taken as the optimistic rest of a trial.")


class ReferencePoint(_Section):
    """`[[references]]`: a published model, drawn as a labelled mark."""

    name: str = Field(description="Label of the mark.")
    metrics: dict[str, float] = Field(description="Its values by metric name.")


class StudySpec(_Section):
    """A whole study file, resolved."""

    name: str = Field(description="Name of the study: letters, digits, dot, dash, underscore.")
    task: str = Field(description="question-answering or text-classification.")
    note: str = Field(default="", description="Free text shown with the study.")
    data: DataSpec
    teacher: TeacherSpec
    student: StudentSpec = StudentSpec()
    settings: Settings = Settings()
    search: Space = Field(default=(), description="Parameters to search, by name: a range or choices.")
    objectives: tuple[Objective, ...] = Field(description="Two or more metrics with directions and perhaps thresholds.")
    metrics: MetricsSection = MetricsSection()
    baseline: dict[str, Any] | None = Field(default=None, description="Settings of trial 0, over the fixed ones; empty table: the fixed settings themselves.")
    budget: BudgetSection = BudgetSection()
    sampler: SamplerSection = SamplerSection()
    runner: RunnerSection = RunnerSection()
    stopping: StoppingSection = StoppingSection()
    references: tuple[ReferencePoint, ...] = ()
