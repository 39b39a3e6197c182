"""TFRecord files (tensorflow/core/lib/io/record_writer.h): length, its checksum, data, its checksum, and so on.

A record without its end is still being written: the reading stops before it. A record with a wrong checksum that others
follow is damage.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bertdistill.engine.interchange.checksums import masked
from bertdistill.store.errors import ForeignError

BYTES_AT_ONCE = 1 << 22
LONGEST = 1 << 30
_HEAD, _TAIL = 12, 4
_LENGTH, _CHECKSUM = struct.Struct("<Q"), struct.Struct("<I")


@dataclass(frozen=True)
class Records:
    """Some records of a file."""

    messages: list[bytes]
    end: int
    """The byte after the last one."""


def records(path: Path, offset: int = 0) -> Iterator[Records]:
    """The whole records from a byte on. ForeignError for damage, after what precedes it."""
    wanted, size = BYTES_AT_ONCE, path.stat().st_size
    with path.open("rb") as file:
        while offset < size:
            file.seek(offset)
            data = file.read(wanted)
            starts, lengths, missing = _frames(data)
            good = _good(data, starts, lengths)
            if good:
                offset += starts[good - 1] + lengths[good - 1] + _TAIL
                yield Records(
                    [data[at : at + long] for at, long in zip(starts[:good], lengths[:good], strict=True)], offset
                )
            if good < len(starts) or missing < 0:
                if offset + len(data) >= size and good == len(starts) - 1 and missing == 0:
                    return  # the last one of the file: its bytes may not all be there yet
                raise damage(path, offset)
            if not good:
                if missing + len(data) > size - offset:
                    return
                wanted = max(BYTES_AT_ONCE, len(data) + missing)


def damage(path: Path, offset: int) -> ForeignError:
    """The error for a record that is not what was written."""
    return ForeignError(
        f"{path}: damaged at byte {offset:,}; what precedes it was imported",
        hint=f"Import it again once the file is restored; or keep its first part: head -c {offset} FILE > COPY.",
    )


def _frames(data: bytes) -> tuple[list[int], list[int], int]:
    """Where whole records begin and how long they are, and how many bytes the next one lacks (-1: it cannot be one)."""
    starts: list[int] = []
    lengths: list[int] = []
    at, size, unpack = 0, len(data), _LENGTH.unpack_from
    while at + _HEAD <= size:
        [length] = unpack(data, at)
        if length > LONGEST:
            return starts, lengths, -1
        after = at + _HEAD + length + _TAIL
        if after > size:
            return starts, lengths, after - size
        starts.append(at + _HEAD)
        lengths.append(length)
        at = after
    return starts, lengths, 0 if at == size else at + _HEAD - size


def _good(data: bytes, starts: list[int], lengths: list[int]) -> int:
    """How many records from the first have the checksums that they name."""
    if not starts:
        return 0
    heads, tails = masked(data, [at - _HEAD for at in starts], [8] * len(starts)), masked(data, starts, lengths)
    unpack = _CHECKSUM.unpack_from
    for number, (at, length, head, tail) in enumerate(
        zip(starts, lengths, heads.tolist(), tails.tolist(), strict=True)
    ):
        if unpack(data, at - _TAIL)[0] != head or unpack(data, at + length)[0] != tail:
            return number
    return len(starts)
