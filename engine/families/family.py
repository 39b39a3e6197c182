"""What a family of students is to everything outside of the worker: which settings shape them, and what they will cost.

A family is one module here and one row in `table`, and one module and row of the same name in `distill.families`. Pure
arithmetic: no family builds a network or reads a file.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Protocol

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.tasks.task import Task

Student = Hashable
"""What a family plans: two equal ones are built alike. Only their family looks inside."""


class Family(Protocol):
    """One family of students."""

    @property
    def name(self) -> str:
        """As `settings.family` says it."""
        ...

    @property
    def settings(self) -> frozenset[str]:
        """Keys of `Settings` that shape its students. Keys of no family apply to all of them."""
        ...

    def fits(self, task: Task) -> bool:
        """Whether there are students of it for the task."""
        ...

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> Student:
        """The student that the settings describe; ConfigError when none can be built."""
        ...

    def known(self, student: Student, task: Task, facts: Prepared) -> dict[str, float]:
        """Metrics that follow from the plan (params, size_mb, gflops …): exactly those of what is built."""
        ...

    def idle(self, settings: Settings, student: Student) -> frozenset[str]:
        """Keys of its `settings` whose value has no effect on this student beyond what the plan says already."""
        ...
