"""The family `mlp` as arithmetic: embeddings, their mean or a weighted mean, one hidden layer, the labels.

A bag of words: it cannot see order. 5,000 rows of size 16 with a hidden layer of 16 are 80,306 parameters for two
labels, the MLP of "The unreasonable effectiveness of distillation".
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.families.stored import Contents
from bertdistill.engine.families.tiny import (
    PLANNED,
    READING,
    Reading,
    contents,
    metrics,
    plan_reading,
    pooling,
    units_of,
)
from bertdistill.engine.tasks.task import Task

POOLINGS = ("mean", "attention")
HIDDEN_SIZE = 16
"""In place of `hidden_size` 0."""


@dataclass(frozen=True)
class MlpPlan:
    """One student."""

    reading: Reading
    pooling: str
    hidden_size: int

    @property
    def width(self) -> int:
        """Size of the vector that the hidden layer reads."""
        return self.reading.joined(self.reading.embedding_size)


@dataclass(frozen=True)
class Mlp:
    """See `engine.families.family.Family`."""

    name: str = "mlp"
    settings: frozenset[str] = TRAINING | READING | {"pooling", "hidden_size"}

    def fits(self, task: Task) -> bool:
        return not task.spans

    def start_idle(self, *, scratch: bool) -> frozenset[str]:
        return frozenset()

    def units(self, facts: Prepared, settings: Settings) -> str:
        return units_of(settings)

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> MlpPlan:
        kind = pooling(settings, self.name, POOLINGS)
        return MlpPlan(plan_reading(facts, settings), kind, settings.hidden_size or HIDDEN_SIZE)

    def known(self, student: Hashable, task: Task, facts: Prepared) -> dict[str, float]:
        assert isinstance(student, MlpPlan)
        hidden, labels = student.hidden_size, task.logits(len(facts.labels))
        attention = student.reading.embedding_size if student.pooling == "attention" else 0
        encoder = attention + student.width * hidden + hidden
        units = facts.units_of(student.reading.units).mean_length
        flops = 2 * (attention * units + student.width * hidden + hidden * labels)
        return metrics(student.reading, encoder, hidden * labels + labels, flops)

    def contents(self, student: Hashable, task: Task, facts: Prepared) -> Contents:
        assert isinstance(student, MlpPlan)
        hidden, labels = student.hidden_size, task.logits(len(facts.labels))
        attention = ((1, student.reading.embedding_size),) if student.pooling == "attention" else ()
        return contents(student.reading, (*attention, (hidden, student.width), (labels, hidden)), hidden + labels)

    def idle(self, settings: Settings, student: Hashable) -> frozenset[str]:
        return PLANNED | {"pooling", "hidden_size"}


MLP = Mlp()
