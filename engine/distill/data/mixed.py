"""Texts whose words are divided by either of two vocabularies, word by word at random. It knows no models.

Both tokenizers must agree on what a word is, as those of a smaller vocabulary and of the initial one do. An input that
one of them truncated stays whole, because its last words have no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bertdistill.engine.distill.data.batches import IntArray, pad_edges, padded_length
from bertdistill.engine.distill.data.features import Features, padding_id
from bertdistill.engine.distill.data.pieces import inner_mark

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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
        mark, numbers = inner_mark(tokenizer), tokenizer.get_vocab()
        count = max(numbers.values()) + 1  # some vocabularies have gaps
        special = np.isin(np.arange(count), tokenizer.all_special_ids)
        within = [number for piece, number in numbers.items() if piece.startswith(mark)]
        return Division(features, np.isin(np.arange(count), within) & ~special, special, padding_id(tokenizer))


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
        whole = (plain.words != other.words) | (np.maximum(plain.lengths, other.lengths) >= self._most)
        both = _Both(plain, other, np.where(whole[other.row], -1, _counterparts(plain, other)))
        begins = np.flatnonzero(plain.begins)
        chosen = draw(len(begins)) & ~self.plain.special[plain.ids[begins]] & ~whole[plain.row[begins]]
        too_long = both.lengths(chosen) > self._most
        return self._padded(both, chosen & ~too_long[plain.row[begins]])

    def _padded(self, both: _Both, chosen: Bools) -> Mixed:
        lengths = both.lengths(chosen)
        width = int(self._edges[np.searchsorted(self._edges, lengths.max())])
        mask = np.arange(width) < lengths[:, None]

        def fill(values: IntArray, empty: int) -> IntArray:
            found = np.full(mask.shape, empty, np.int64)
            found[mask] = values
            return found

        ids, source, words = both.taken(chosen)
        types = both.plain.types
        types = None if types is None else fill(types[both.plain.begins][words], 0)
        return Mixed(fill(ids, self.plain.pad_id), fill(source, 0).astype(bool), mask, types)


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


def _counterparts(plain: _Words, other: _Words) -> IntArray:
    """For each token of `other`, the number of its word in `plain`, where its input has as many words there."""
    shift = (np.cumsum(plain.words) - plain.words) - (np.cumsum(other.words) - other.words)
    found: IntArray = other.number + shift[other.row]
    return found


@dataclass(frozen=True)
class _Both:
    """The same inputs twice; `number` is that of the word of each token of `other` in `plain`, -1 without one."""

    plain: _Words
    other: _Words
    number: IntArray

    def lengths(self, chosen: Bools) -> IntArray:
        """Tokens of each input; `chosen` says of each word whether it comes from `other`."""
        row = np.concatenate([self.plain.row[~chosen[self.plain.number]], self.other.row[self._from_other(chosen)]])
        return np.bincount(row, minlength=len(self.plain.words))

    def taken(self, chosen: Bools) -> tuple[IntArray, IntArray, IntArray]:
        """Of each token in order: its id, 1 if it comes from `other`, and the number of its word."""
        plain, other = ~chosen[self.plain.number], self._from_other(chosen)
        words = np.concatenate([self.plain.number[plain], self.number[other]])
        order = np.argsort(words, kind="stable")  # a word comes from one of the two, its pieces in their order
        ids = np.concatenate([self.plain.ids[plain], self.other.ids[other]])
        source = np.repeat([0, 1], [plain.sum(), other.sum()])
        return ids[order], source[order], words[order]

    def _from_other(self, chosen: Bools) -> Bools:
        found: Bools = (self.number >= 0) & chosen[self.number]
        return found
