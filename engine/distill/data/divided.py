"""How a tokenizer divides a split, and how another one differs: pieces per word, unknown words, texts that are cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.data.pieces import inner_mark

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MUCH_LONGER = 1.25
"""Pieces per word, relative to before, that are worth a warning."""


@dataclass(frozen=True)
class Divided:
    """A split in the tokens of a WordPiece tokenizer."""

    tokenizer: PreTrainedTokenizerBase
    features: Features

    def count(self, wanted: Callable[[str], bool]) -> int:
        """Number of tokens of certain pieces."""
        pieces = self.tokenizer.convert_ids_to_tokens([*range(len(self.tokenizer))])
        return int(np.array([wanted(piece) for piece in pieces])[self.features.input_ids].sum())

    @property
    def per_word(self) -> float:
        special = {*self.tokenizer.all_special_tokens} - {self.tokenizer.unk_token}
        mark = inner_mark(self.tokenizer)
        words = self.count(lambda piece: piece not in special and not piece.startswith(mark))
        return self.count(lambda piece: piece not in special) / max(words, 1)

    @property
    def unknown(self) -> int:
        return self.count(lambda piece: piece == self.tokenizer.unk_token)

    def full(self, max_length: int) -> int:
        """Inputs that are as long as they may be, most of them cut."""
        return int((self.features.lengths >= max_length).sum())

    @property
    def answers(self) -> int:
        """Windows that have their answer; 0 where answers are labels."""
        targets = np.asarray(self.features.targets)
        return int((targets[:, 0] > 0).sum()) if targets.ndim == 2 else 0


def difference(then: Divided, now: Divided, max_length: int) -> tuple[str, str]:
    """What changed from `then` to `now`, in words, and whether that is a warning or an info."""
    kept = now.tokenizer.get_vocab()
    missing = then.count(lambda piece: piece not in kept) / max(len(then.features.input_ids), 1)
    unknown = now.unknown - then.unknown
    text = (
        f"{missing:.1%} of the tokens are no longer pieces; pieces per word {then.per_word:.2f} -> {now.per_word:.2f}; "
        f"{unknown:,} more unknown words"
    )
    cut = now.full(max_length) - then.full(max_length)
    if cut > 0:
        text += f"; {cut:,} more of {len(now.features):,} inputs fill max_length = {max_length} and may be cut"
    lost = then.answers - now.answers if len(then.features) == len(now.features) else 0
    if lost > 0:
        text += f"; {lost:,} of {then.answers:,} windows lose their answer"
    loud = unknown > 0 or lost > 0 or now.per_word > MUCH_LONGER * then.per_word
    return ("warning" if loud else "info"), text
