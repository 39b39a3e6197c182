"""The family `bilstm` as arithmetic: embeddings, a bidirectional LSTM, a dense layer, the labels.

Tang et al. 2019, "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks", arXiv 1903.12136.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.families.stored import Contents, Size
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

POOLINGS = ("last", "max")
HIDDEN_SIZE = 100
"""In place of `hidden_size` 0."""
MOST_LAYERS = 2
SHAPE = frozenset({"pooling", "layers", "hidden_size", "ffn_size"})


@dataclass(frozen=True)
class BiLstmPlan:
    """One student. `hidden_size` is that of one direction; `ffn_size` that of the dense layer."""

    reading: Reading
    pooling: str
    layers: int
    hidden_size: int
    ffn_size: int

    @property
    def width(self) -> int:
        """Size of the vector that the dense layer reads."""
        return self.reading.joined(2 * self.hidden_size)

    @property
    def recurrent(self) -> tuple[Size, ...]:
        """The matrices of all layers, each of which every unit passes once: of both directions, input and state."""
        gates, inner = 4 * self.hidden_size, (2 * self.hidden_size,) * (self.layers - 1)
        inputs = (self.reading.embedding_size, *inner)
        return tuple((gates, size) for read in inputs for size in 2 * (read, self.hidden_size))

    @property
    def gates(self) -> int:
        """Their weights."""
        return sum(rows * columns for rows, columns in self.recurrent)

    @property
    def biases(self) -> int:
        """Those of the recurrent layers; torch has two for every gate."""
        return self.layers * 2 * 2 * 4 * self.hidden_size


@dataclass(frozen=True)
class BiLstm:
    """See `engine.families.family.Family`."""

    name: str = "bilstm"
    settings: frozenset[str] = TRAINING | READING | SHAPE | {"dropout"}

    def fits(self, task: Task) -> bool:
        return not task.spans

    def start_idle(self, *, scratch: bool) -> frozenset[str]:
        return frozenset()

    def units(self, facts: Prepared, settings: Settings) -> str:
        return units_of(settings)

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> BiLstmPlan:
        if settings.layers > MOST_LAYERS:
            raise ConfigError(
                f"settings.layers is {settings.layers}, but the family bilstm has at most {MOST_LAYERS}",
                hint="use 1 or 2",
            )
        hidden = settings.hidden_size or HIDDEN_SIZE
        return BiLstmPlan(
            plan_reading(facts, settings),
            pooling(settings, self.name, POOLINGS),
            settings.layers or 1,
            hidden,
            settings.ffn_size or 2 * hidden,
        )

    def known(self, student: Hashable, task: Task, facts: Prepared) -> dict[str, float]:
        assert isinstance(student, BiLstmPlan)
        labels, ffn = task.logits(len(facts.labels)), student.ffn_size
        encoder = student.gates + student.biases + student.width * ffn + ffn
        units = facts.units_of(student.reading.units).mean_length
        flops = 2 * (units * student.gates + student.width * ffn + ffn * labels)
        return metrics(student.reading, encoder, ffn * labels + labels, flops)

    def contents(self, student: Hashable, task: Task, facts: Prepared) -> Contents:
        assert isinstance(student, BiLstmPlan)
        labels, ffn = task.logits(len(facts.labels)), student.ffn_size
        layers = (*student.recurrent, (ffn, student.width), (labels, ffn))
        return contents(student.reading, layers, student.biases + ffn + labels)

    def idle(self, settings: Settings, student: Hashable) -> frozenset[str]:
        return PLANNED | SHAPE


BILSTM = BiLstm()
