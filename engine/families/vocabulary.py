"""The smaller vocabularies of transformers as arithmetic: how many entries one has, and how long texts are in it.

Standard library only: it cuts no tokenizers and reads no files.
"""

from __future__ import annotations

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Pieces, Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import transfer_share

PLANNED = frozenset({"vocab_size", "vocabulary"})
"""Keys of `Settings` that have no effect beyond the number of entries and where they come from."""


def units_name(kind: str, entries: int) -> str:
    """The name in `Prepared.units` of the tokens of such a vocabulary: equal names are equal tokens in one study."""
    return f"{kind}-{entries}"


def entries(facts: Prepared, settings: Settings) -> int:
    """How many entries the settings ask for, as far as there are so many; 0 for the whole initial vocabulary.

    Before the preparation it is what was asked for. ConfigError if it cannot be had.
    """
    found, wanted = facts.vocabulary, settings.vocab_size
    if not facts.features or not wanted:
        return wanted
    if not found.size:  # prepared by an older version: the key was another family's
        return 0
    if found.refused:
        raise ConfigError(
            f"settings.vocab_size is {wanted}, but the vocabulary of the initial model cannot be made smaller: "
            f"{found.refused}",
            hint="omit vocab_size, or use a BERT model with WordPiece",
        )
    pieces = found.kinds.get(settings.vocabulary)
    if pieces is None:
        raise ConfigError(
            f"the preparation of this study did not count the pieces of a vocabulary of the kind {settings.vocabulary}",
            hint="Start a new study that fixes or searches settings.vocab_size from the beginning.",
        )
    if wanted < pieces.least:
        raise ConfigError(
            f"settings.vocab_size is {wanted}, but {pieces.least:,} special tokens and characters must stay, or words "
            "would become unknown",
            hint=f"use {pieces.least} or more, or 0 for the whole vocabulary",
        )
    return min(wanted, pieces.whole if transfer_share(settings) else pieces.labelled)


def check_dual(settings: Settings, units: str, *, teachers: bool) -> None:
    """ConfigError if no word can reach the teacher in the student's pieces.

    `units` is what the student reads; `teachers` says whether its vocabulary comes from the teacher's tokenizer.
    """
    if not settings.dual_share:
        return
    key = f"settings.dual_share = {settings.dual_share:g}"
    if not size_of(units)[1] and not settings.vocab_size:
        raise ConfigError(
            f"{key}: the student has the teacher's whole vocabulary, so every word has the same pieces for both",
            hint="set vocab_size, or dual_share = 0",
        )
    if not teachers:
        raise ConfigError(
            f"{key}: the student's vocabulary comes from another tokenizer than the teacher's, so words may differ",
            hint='use student.init = "teacher" or "scratch", or dual_share = 0',
        )


def mean_length(facts: Prepared, kind: str, size: int, units: str) -> float:
    """Mean number of tokens per training input in a vocabulary of that kind ("" is the whole one) and size.

    `units` names the tokens of the whole one.
    """
    pieces = facts.vocabulary.kinds.get(kind, Pieces())
    return pieces.mean_length(size) or facts.units_of(units).mean_length


def size_of(units: str) -> tuple[str, int]:
    """Kind and number of entries of the vocabulary that `units_name` named; ("", 0) for any other tokens."""
    kind, _, number = units.rpartition("-")
    return (kind, int(number)) if kind and number.isdecimal() else ("", 0)
