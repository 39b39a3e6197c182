"""The size of a model file before training: which numbers it holds, and in how many bytes each number format puts them.

Standard library only. `distill.compression.weights` packs the file; a test compares both byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bertdistill.engine.contract.spec import FP16, FP32, INT4, INT8

GROUP = 32
"""Columns of a row that share a scale in 4 bits."""
SCALE_BYTES = 2
"""Scales are fp16: one for each row in 8 bits, one for each group in 4 bits."""

Size = tuple[int, int]
"""(rows, columns)."""


@dataclass(frozen=True)
class Contents:
    """The tensors of one model file. Rows of a matrix are its output channels; rows of embeddings its units."""

    matrices: tuple[Size, ...]
    embeddings: tuple[Size, ...]
    vectors: int
    """Numbers in all vectors: biases, LayerNorms."""
    integer_bytes: int = 0
    """Of tables that are not weights; they stay as they are."""

    @property
    def weights(self) -> int:
        """How many numbers."""
        return _count((*self.matrices, *self.embeddings)) + self.vectors

    def bytes(self, form: str) -> int:
        """Bytes of the tensors in this number format, without the header that names them."""
        if form in (FP32, FP16):
            return self.weights * (4 if form == FP32 else 2) + self.integer_bytes
        rows = {INT8: int8_bytes, INT4: int4_bytes}[form]
        packed = sum(map(int8_bytes, self.matrices)) + sum(map(rows, self.embeddings))
        return packed + 2 * self.vectors + self.integer_bytes


def int8_bytes(size: Size) -> int:
    """A byte a number and one scale a row."""
    rows, columns = size
    return rows * (columns + SCALE_BYTES)


def int4_bytes(size: Size) -> int:
    """Two numbers a byte and one scale a group; a row of odd length stays in 8 bits, so that it needs no padding."""
    rows, columns = size
    if columns % 2:
        return int8_bytes(size)
    return rows * (columns // 2 + SCALE_BYTES * -(-columns // GROUP))


def _count(sizes: Iterable[Size]) -> int:
    return sum(rows * columns for rows, columns in sizes)
