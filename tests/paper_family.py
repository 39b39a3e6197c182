"""A family that exists only as arithmetic, for tests of studies over several families that train nothing."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.families.stored import Contents
from bertdistill.engine.tasks.task import Task

NAME = "paper"


@dataclass(frozen=True)
class PaperFamily:
    """It has widths and a dropout besides the keys of training, and no layers."""

    name: str = NAME
    settings: frozenset[str] = TRAINING | {"hidden_size", "head_size", "dropout"}

    def fits(self, task: Task) -> bool:
        return not task.spans

    def start_idle(self, *, scratch: bool) -> frozenset[str]:
        return frozenset()

    def units(self, facts: Prepared, settings: Settings) -> str:
        return ""

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> Hashable:
        return settings.hidden_size or 8

    def known(self, student: Hashable, task: Task, facts: Prepared) -> dict[str, float]:
        assert isinstance(student, int)
        params = 1000.0 * student
        return {"params": params, "encoder_params": params, "size_mb": params * 4 / 1e6, "gflops": params / 1e6}

    def contents(self, student: Hashable, task: Task, facts: Prepared) -> Contents:
        assert isinstance(student, int)
        return Contents(((student, 1000),), (), 0)

    def idle(self, settings: Settings, student: Hashable) -> frozenset[str]:
        return frozenset({"hidden_size", "head_size"})
