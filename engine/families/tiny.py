"""What the tiny families share: the units that they read, the rows of embeddings, and how many texts they read.

Standard library only: it builds no networks and reads no files.
"""

from __future__ import annotations

from dataclasses import dataclass

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared, Units
from bertdistill.engine.contract.spec import AUTO_UNITS, RANDOM, TEACHER_UNITS, Settings
from bertdistill.engine.contract.terms import transfer_share
from bertdistill.engine.families.stored import Contents, Size

BYTES_PER_WEIGHT = 4
BYTES_PER_ID = 4
RESERVED = 2
"""The first rows of the embeddings: padding, and all units that have no row of their own."""
ROWS = 5000
"""In place of `vocab_size` 0."""
READING = frozenset({"units", "vocab_size", "embedding_size", "embedding_init", "initializer_range", "word_dropout"})
"""Keys of `Settings` that decide what is read and embedded."""
PLANNED = frozenset({"units", "vocab_size", "embedding_size"})
"""Those of them that have no effect beyond `Reading`."""
AUTO = "auto"
WORDS = "words"


@dataclass(frozen=True)
class Reading:
    """What a student reads, and its embeddings."""

    units: str
    """Name of the units in `Prepared.units`."""
    rows: int
    """Rows of the embeddings."""
    embedding_size: int
    texts: int
    """2 for pairs, which are read one after the other by the same layers (siamese), else 1."""

    @property
    def embedding_params(self) -> int:
        return self.rows * self.embedding_size

    def joined(self, width: int) -> int:
        """Size of the vector that stands for the whole input if each text is `width` wide: a, b, |a - b|, a · b."""
        return width if self.texts == 1 else 4 * width


def units_of(settings: Settings, *, auto: str = "") -> str:
    """The name in `Prepared.units` of what the student reads; "" are the teacher's. `auto` are those of its family."""
    if settings.units == AUTO_UNITS:
        return auto
    return "" if settings.units == TEACHER_UNITS else settings.units


def plan_reading(facts: Prepared, settings: Settings) -> Reading:
    """What the settings read; ConfigError if the preparation did not tokenise for it or has no such embeddings."""
    name = units_of(settings)
    if facts.units and name not in facts.units:
        raise ConfigError(
            f"the preparation of this study did not divide its texts into {name or 'the units of the teacher'}",
            hint="Start a new study that fixes or searches settings.units from the beginning.",
        )
    found = checked_units(facts, name)
    _check_vectors(found, settings)
    known = found.whole_vocabulary if transfer_share(settings) else found.vocabulary
    wanted = settings.vocab_size or ROWS
    if wanted <= RESERVED:
        raise ConfigError(
            f"settings.vocab_size is {wanted}, which leaves no row for units",
            hint=f"use {RESERVED + 1} or more, or 0 for {ROWS}",
        )
    rows = min(wanted, known) if known else wanted
    return Reading(name, rows, settings.embedding_size, 2 if facts.pairs else 1)


def checked_units(facts: Prepared, name: str) -> Units:
    """The units of that name; ConfigError if the texts of a pair cannot be told apart in them."""
    found = facts.units_of(name)
    if facts.pairs and found.size and found.separator_id < 0:
        raise ConfigError(
            f"the tokenizer of {name or 'the teacher'} has no separator, so this family cannot tell the texts of a "
            "pair apart",
            hint=f'set settings.units = "{WORDS}"',
        )
    return found


def _check_vectors(units: Units, settings: Settings) -> None:
    if settings.embedding_init == RANDOM:
        return
    if units.size and settings.embedding_init not in units.vectors:
        raise ConfigError(
            f"the preparation of this study did not store the embeddings for embedding_init = "
            f"{settings.embedding_init}",
            hint="Start a new study that fixes or searches it from the beginning, with a teacher.model.",
        )
    if 0 < units.vector_size < settings.embedding_size:
        raise ConfigError(
            f"settings.embedding_size is {settings.embedding_size}, but the teacher's embeddings have only "
            f"{units.vector_size} numbers",
            hint=f'use at most {units.vector_size}, or embedding_init = "{RANDOM}"',
        )


def pooling(settings: Settings, family: str, choices: tuple[str, ...]) -> str:
    """The pooling in force, of the `choices` of a family, the first of which is `auto`; ConfigError for another."""
    if settings.pooling not in (AUTO, *choices):
        raise ConfigError(
            f"settings.pooling is {settings.pooling}, which the family {family} does not have",
            hint=f"use {', '.join((AUTO, *choices))}",
        )
    return choices[0] if settings.pooling == AUTO else settings.pooling


def contents(reading: Reading, layers: tuple[Size, ...], biases: int) -> Contents:
    """The tensors of a model file: the embeddings and the ids that have a row of their own, `layers`, `biases`."""
    embeddings = (reading.rows, reading.embedding_size)
    return Contents(layers, (embeddings,), biases, (reading.rows - RESERVED) * BYTES_PER_ID)


def metrics(reading: Reading, encoder: int, head: int, flops: float) -> dict[str, float]:
    """Size and cost by the names of the contract, from the parameters outside the embeddings and operations."""
    params = reading.embedding_params + encoder + head
    size_mb = params * BYTES_PER_WEIGHT / 1e6
    return {
        "params": params,
        "encoder_params": encoder,
        "size_mb": size_mb,
        "gflops": flops / 1e9,
        "nonzero_params": params,
    }
