"""The teacher's windows of passages in the tokens of another tokenizer, and its logits at the same places.

A student with its own vocabulary learns from the same stretches of text as its teacher, because the teacher's softmax
is over the tokens of one window. Places are compared by the characters of the passage. It knows no models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.caches import Say, build_once
from bertdistill.engine.distill.data.examples import Examples
from bertdistill.engine.distill.data.features import (
    Array,
    Features,
    Part,
    Progress,
    answer_of,
    answer_tokens,
    cut_questions,
    open_features,
    token_arrays,
    write_parts,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EXAMPLES = 500
"""Examples tokenised at once: whole passages, not windows of them."""
NO_CHOICE = -1e4
"""Logit of a token that has no counterpart; the loss masks it like padding."""


def other_windows(
    examples: Examples,
    theirs: Features,
    tokenizer: PreTrainedTokenizerBase,
    data: DataSpec,
    *,
    folder: Path,
    progress: Progress,
    say: Say = lambda text: None,
) -> Features:
    """One window for each of `theirs`, in their order: the question, and the tokens that lie in the same stretch.

    A window that would be longer than `data.max_length` loses its last tokens; as windows overlap, the next one has
    them, unless it is the last of its passage. The folder is as for `build_features`.
    """

    def build(temporary: Path) -> None:
        questions = cut_questions(examples.rows, tokenizer, data)
        write_parts(
            temporary,
            _parts(questions, theirs, tokenizer, data),
            lambda parts: progress(min(parts * EXAMPLES, len(questions)), len(questions)),
        )

    return open_features(build_once(folder, build, say))


def _parts(questions: Sequence[Any], theirs: Features, tokenizer: Any, data: DataSpec) -> Iterator[Part]:
    stretches, owner = _stretches(theirs), np.asarray(theirs.example_index)
    for first in range(0, len(questions), EXAMPLES):
        rows = questions[first : first + EXAMPLES]
        encodings = tokenizer(
            [question for question, _ in rows], [row.context for _, row in rows], verbose=False
        ).encodings
        whole = [_Whole.of(encoding) for encoding in encodings]
        windows = range(*np.searchsorted(owner, [first, first + len(rows)]))
        kept = [whole[owner[one] - first].tokens(*stretches[one], data.max_length) for one in windows]
        cut = [whole[owner[one] - first].at(tokens) for one, tokens in zip(windows, kept, strict=True)]
        lengths = np.array([len(tokens) for tokens in kept])
        spans = np.concatenate([one.spans for one in cut])
        answers = np.array([answer_of(rows[owner[one] - first][1]) for one in windows], np.int32)
        arrays = {
            **token_arrays([one.ids for one in cut], [one.types for one in cut], tokenizer),
            "example_index": owner[windows.start : windows.stop].astype(np.int32),
            "targets": answer_tokens(spans, np.concatenate([[0], np.cumsum(lengths)]), answers),
            "char_spans": spans,
        }
        yield Part(arrays, lengths)


def _stretches(features: Features) -> Array:
    """(n, 2): the characters of the passage that each window has, from and up to."""
    assert features.char_spans is not None
    spans, firsts = np.asarray(features.char_spans), features.offsets[:-1]
    begins = np.where(spans[:, 0] < 0, np.iinfo(np.int32).max, spans[:, 0])
    stretches: Array = np.stack([np.minimum.reduceat(begins, firsts), np.maximum.reduceat(spans[:, 1], firsts)], axis=1)
    return stretches


@dataclass(frozen=True)
class _Whole:
    """A question with its whole passage, or with a part of it. Arrays are (tokens,), spans (tokens, 2)."""

    ids: Array
    types: Array
    spans: Array

    @staticmethod
    def of(encoding: Any) -> _Whole:
        spans = np.array(encoding.offsets, np.int32).reshape(-1, 2)
        spans[np.array([part != 1 for part in encoding.sequence_ids], bool)] = -1
        return _Whole(np.array(encoding.ids), np.array(encoding.type_ids), spans)

    def tokens(self, begin: int, end: int, most: int) -> Array:
        """The tokens of the window with the characters from `begin` to `end`, at most so many."""
        outside = self.spans[:, 0] < 0
        inside = np.flatnonzero(~outside & (self.spans[:, 0] >= begin) & (self.spans[:, 1] <= end))
        around = np.flatnonzero(outside)
        return np.sort(np.concatenate([around, inside[: max(most - len(around), 0)]]))

    def at(self, tokens: Array) -> _Whole:
        return _Whole(self.ids[tokens], self.types[tokens], self.spans[tokens])


# -------------------------------------------------------------------------------------------------------------- logits


def logits_at(logits: Array, theirs: Features, mine: Features) -> Array:
    """The start and end logits of `theirs` (tokens, 2) at the tokens of `mine`, fp16.

    A token that begins where one of theirs begins gets its start logit, one that ends where it ends its end logit; the
    others get NO_CHOICE. Around the passage tokens correspond by position if there are equally many, else only the
    first and the last on each side do.
    """
    found = np.full((len(mine.input_ids), 2), NO_CHOICE, np.float32)
    for side in (0, 1):
        keys, other = _keys(theirs, side), _keys(mine, side)
        values, places = np.unique(keys[:, 0], return_index=True)
        if side:  # of several tokens that end at one character, the last
            places = len(keys) - 1 - np.unique(keys[::-1, 0], return_index=True)[1]
        wanted, first = np.unique(other[:, 0], return_index=True)
        if side:
            first = len(other) - 1 - np.unique(other[::-1, 0], return_index=True)[1]
        _, here, there = np.intersect1d(wanted, values, assume_unique=True, return_indices=True)
        found[other[first[here], 1], side] = logits[keys[places[there], 1], side]
    for mine_at, theirs_at in zip(_around(mine), _around(theirs), strict=True):
        ours, others = _paired(mine_at, theirs_at)
        found[ours] = logits[others]
    return found.astype(np.float16)


def _keys(features: Features, side: int) -> Array:
    """(passage tokens, 2): a number for window and character, and the index of the token."""
    assert features.char_spans is not None
    spans = np.asarray(features.char_spans)
    window = np.repeat(np.arange(len(features), dtype=np.int64), features.lengths)
    inside = np.flatnonzero(spans[:, 0] >= 0)
    keys: Array = np.stack([(window[inside] << 32) + spans[inside, side], inside], axis=1)
    return keys


def _around(features: Features) -> tuple[Array, Array]:
    """(n, 2) each: the tokens before the passage and those behind it, from and up to."""
    assert features.char_spans is not None
    inside = np.asarray(features.char_spans)[:, 0] >= 0
    starts, ends = np.asarray(features.offsets[:-1]), np.asarray(features.offsets[1:])
    index = np.arange(len(inside))
    first = np.minimum.reduceat(np.where(inside, index, len(inside)), starts)
    last = np.maximum.reduceat(np.where(inside, index, -1), starts)
    empty = last < 0  # no passage at all: everything is before it
    return (
        np.stack([starts, np.where(empty, ends, first)], axis=1),
        np.stack([np.where(empty, ends, last + 1), ends], axis=1),
    )


def _paired(mine: Array, theirs: Array) -> tuple[Array, Array]:
    """Indices of tokens that correspond, given the ranges (n, 2) that they are in."""
    pairs = []
    for (begin, end), (other, stop) in zip(mine, theirs, strict=True):
        if end - begin == stop - other:
            pairs.append((np.arange(begin, end), np.arange(other, stop)))
        elif end > begin and stop > other:
            pairs.append((np.array([begin, end - 1]), np.array([other, stop - 1])))
    if not pairs:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    ours, others = zip(*pairs, strict=True)
    return np.concatenate(ours), np.concatenate(others)
