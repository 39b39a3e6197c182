"""A model family as seen outside the worker: which settings shape its students, and what they will cost.

A family is one module here and one row in `table`, plus a module and row of the same name in `distill.families`. Pure
arithmetic: no family builds a network or reads a file.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.stored import Contents
from bertdistill.engine.tasks.task import Task

TRAINING = frozenset(
    {
        *(
            "family",
            "alpha",
            "soft_loss",
            "temperature",
            "transfer_share",
            "learning_rate",
            "beta_1",
            "beta_2",
            "adam_epsilon",
            "weight_decay",
        ),
        *("warmup_fraction", "max_grad_norm", "batch_size", "accumulation", "epochs", "seed", "precision", "weights"),
        *("evaluations", "checkpoint_minutes", "finetune_epochs", "finetune_learning_rate"),
    }
)
"""Keys of `Settings` that the common training loop reads, for any family that it trains."""

Student = Hashable
"""A family's plan of a student: equal plans build equal students. Only the family interprets it."""


class Family(Protocol):
    """One family of students."""

    @property
    def name(self) -> str:
        """Its value of `settings.family`."""
        ...

    @property
    def settings(self) -> frozenset[str]:
        """Keys of `Settings` that it uses, with `TRAINING` if the common loop trains its students."""
        ...

    def fits(self, task: Task) -> bool:
        """Whether the family supports the task."""
        ...

    def start_idle(self, *, scratch: bool) -> frozenset[str]:
        """Keys of its `settings` that have no effect on any student with random weights (scratch), or on any other."""
        ...

    def units(self, facts: Prepared, settings: Settings) -> str:
        """Name in `Prepared.units` of what its students read; "" for the teacher's tokens."""
        ...

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> Student:
        """The student that the settings describe; ConfigError if it cannot be built."""
        ...

    def known(self, student: Student, task: Task, facts: Prepared) -> dict[str, float]:
        """Metrics that follow from the plan (params, size_mb, gflops …), exactly as for the built model."""
        ...

    def contents(self, student: Student, task: Task, facts: Prepared) -> Contents:
        """The tensors of its model file, exactly as for the built model."""
        ...

    def idle(self, settings: Settings, student: Student) -> frozenset[str]:
        """Keys of its `settings` that have no effect on this student beyond the plan."""
        ...
