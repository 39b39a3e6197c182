"""Protocol buffer messages without their schema (protobuf.dev/programming-guides/encoding). Pure.

The readers know the few fields that they need by number; whatever else a message has is skipped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

Field = int | bytes
"""A varint as a number from 0; what is as long as it says, or a fixed number of bytes, as bytes."""

_FIXED = {1: 8, 5: 4}


def fields(message: bytes) -> Iterator[tuple[int, Field]]:
    """The fields of a message by number, in their order; ValueError where it is not a message."""
    at, size = 0, len(message)
    while at < size:
        key, at = varint(message, at)
        kind = key & 7
        if kind == 0:
            number, at = varint(message, at)
            yield key >> 3, number
            continue
        if kind == 2:
            length, at = varint(message, at)
        elif kind in _FIXED:
            length = _FIXED[kind]
        else:
            raise ValueError(f"a field of kind {kind}")
        if at + length > size:
            raise ValueError("a field is longer than its message")
        yield key >> 3, message[at : at + length]
        at += length


def varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at a byte, and where it ends."""
    found = shift = 0
    for place in range(at, min(at + 10, len(message))):
        byte = message[place]
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found & 0xFFFFFFFFFFFFFFFF, place + 1
        shift += 7
    raise ValueError("a number has no end")


def signed(number: Field) -> int:
    """A varint of an int32 or int64 field."""
    if not isinstance(number, int):
        raise ValueError("not a number")
    return number - 2**64 if number >= 2**63 else number


def message(field: Field) -> bytes:
    """A field that holds a message or bytes."""
    if not isinstance(field, bytes):
        raise ValueError("not a message")
    return field


def text(field: Field) -> str:
    """A field that holds text."""
    return message(field).decode("utf-8", "replace")


def double(field: Field) -> float:
    """A field of type double."""
    return float(_unpack("<d", field))


def single(field: Field) -> float:
    """A field of type float."""
    return float(_unpack("<f", field))


def _unpack(form: str, field: Field) -> float:
    try:
        [number] = struct.unpack(form, message(field))
    except struct.error as error:
        raise ValueError("not a number") from error
    return float(number)
