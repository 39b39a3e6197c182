"""A model family as seen outside the worker: which settings shape its students, and what they will cost.

A family is one module here and one row in `table`, plus a module and row of the same name in `distill.families`. Pure
arithmetic: no family builds a network or reads a file.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.tasks.task import Task

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
        """Keys of `Settings` that shape its students. Keys of no family apply to all families."""
        ...

    def fits(self, task: Task) -> bool:
        """Whether the family supports the task."""
        ...

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> Student:
        """The student that the settings describe; ConfigError if it cannot be built."""
        ...

    def known(self, student: Student, task: Task, facts: Prepared) -> dict[str, float]:
        """Metrics that follow from the plan (params, size_mb, gflops …), exactly as for the built model."""
        ...

    def idle(self, settings: Settings, student: Student) -> frozenset[str]:
        """Keys of its `settings` that have no effect on this student beyond the plan."""
        ...
