"""Texts whose words are divided by either of two vocabularies, word by word at random. It knows no models.

Both tokenizers must agree on what a word is, as those of a smaller vocabulary and of the initial one do. An input that
one of them truncated stays whole, because its last words have no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from transformers import PreTrainedTokenizerBase

from bertdistill.engine.distill.data.batches import IntArray, pad_edges, padded_length
from bertdistill.engine.distill.data.features import Features, padding_id
from bertdistill.engine.distill.data.pieces import inner_mark

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Division:
    """The texts in the pieces of one vocabulary. `inside` and `special` are (vocabulary,)."""

    features: Features
    inside: Bools
    """Whether a piece continues a word."""
    special: Bools
    pad_id: int

    @staticmethod
    def of(features: Features, tokenizer: PreTrainedTokenizerBase) -> Division:
        mark, count = inner_mark(tokenizer), len(tokenizer)
        pieces = tokenizer.convert_ids_to_tokens(list(range(count)))
        special = np.isin(np.arange(count), tokenizer.all_special_ids)
        inside = np.array([piece.startswith(mark) for piece in pieces]) & ~special
        return Division(features, inside, special, padding_id(tokenizer))


@dataclass(frozen=True)
class Mixed:
    """Some inputs of pieces from both vocabularies; all (batch, length)."""

    ids: IntArray
    other: Bools
    """Which of them are pieces of the other vocabulary."""
    mask: Bools
    token_types: IntArray | None


class Mixer:
    """Mixes `plain`, whose special tokens and segments an input keeps, with `other`: row by row the same texts."""

    def __init__(self, plain: Division, other: Division, max_length: int) -> None:
        self.plain, self.other, self._most = plain, other, max_length
        lengths = np.maximum(plain.features.lengths[: len(other.features)], other.features.lengths)
        self._edges = np.unique([*pad_edges(lengths), padded_length(max_length)])
        self.whole = float(np.mean(lengths >= max_length))
        """Share of the inputs that may be truncated and so are never mixed."""

    def mix(self, rows: IntArray, draw: Callable[[int], Bools]) -> Mixed:
        """These rows; `draw(words)` says of each of so many words whether it comes from the other vocabulary."""
        plain, other = _Words.of(self.plain, rows), _Words.of(self.other, rows)
        apart = (plain.words != other.words) | (np.maximum(plain.lengths, other.lengths) >= self._most)
        begins = np.flatnonzero(plain.begins)
        chosen = draw(len(begins)) & ~self.plain.special[plain.ids[begins]] & ~apart[plain.row[begins]]
        # Of each word of the other, its number among the words of the plain ones; only where there are as many.
        shift = (np.cumsum(plain.words) - plain.words) - (np.cumsum(other.words) - other.words)
        numbers = np.where(apart[other.row], 0, other.number + shift[other.row])
        long = np.zeros(len(rows), bool)
        while True:
            from_plain = ~chosen[plain.number]
            from_other = chosen[numbers] & ~apart[other.row]
            row = np.concatenate([plain.row[from_plain], other.row[from_other]])
            lengths = np.bincount(row, minlength=len(rows))
            if not (over := lengths > self._most).any():
                break
            long |= over
            chosen &= ~long[plain.row[begins]]
        order = np.argsort(np.concatenate([plain.number[from_plain], numbers[from_other]]), kind="stable")
        ids = np.concatenate([plain.ids[from_plain], other.ids[from_other]])[order]
        source = np.repeat([False, True], [from_plain.sum(), from_other.sum()])[order]
        types = None
        if plain.types is not None:
            of_words = plain.types[begins]
            types = of_words[np.concatenate([plain.number[from_plain], numbers[from_other]])][order]
        return self._padded(ids, source, types, lengths)

    def _padded(self, ids: Any, source: Any, types: Any, lengths: Any) -> Mixed:
        width = int(self._edges[np.searchsorted(self._edges, lengths.max())])
        mask = np.arange(width) < lengths[:, None]

        def fill(values: Any, empty: int) -> Any:
            found = np.full(mask.shape, empty, np.int64)
            found[mask] = values
            return found

        return Mixed(
            fill(ids, self.plain.pad_id),
            fill(source, 0).astype(bool),
            mask,
            None if types is None else fill(types, 0),
        )


@dataclass(frozen=True)
class _Words:
    """Some inputs, one after the other; all (tokens,) but `words` and `lengths`, (inputs,)."""

    ids: IntArray
    types: IntArray | None
    row: IntArray
    begins: Bools
    """Whether a word begins, a special token included."""
    number: IntArray
    """That of its word among the words of all inputs."""
    words: IntArray
    lengths: IntArray

    @staticmethod
    def of(division: Division, rows: IntArray) -> _Words:
        features = division.features
        starts = features.offsets[rows]
        lengths = features.offsets[rows + 1] - starts
        row = np.repeat(np.arange(len(rows)), lengths)
        places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + starts[row]
        ids = features.input_ids[places].astype(np.int64)
        begins = ~division.inside[ids]
        types = None if features.token_types is None else features.token_types[places].astype(np.int64)
        words = np.bincount(row[begins], minlength=len(rows))
        return _Words(ids, types, row, begins, np.cumsum(begins) - 1, words, lengths)
