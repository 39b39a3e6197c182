"""Messages between the runner and an agent: one line of JSON, then the bytes that it announces. Never pickle.

Standard library only. It knows no verbs and no files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

MOST_HEAD = 32 << 20
MOST_BLOBS = 64 << 20
"""A larger message was not written by this program."""


class Source(Protocol):
    """What frames are read from: a buffered file, or a pipe with a deadline."""

    def readline(self, limit: int = -1, /) -> bytes: ...

    def read(self, size: int = -1, /) -> bytes: ...


class BrokenFrame(Exception):
    """The other side closed the connection in the middle of a message, or sent something else."""


def pack(head: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """One message."""
    line = json.dumps(head | {"blobs": [len(blob) for blob in blobs]}, ensure_ascii=True).encode()
    return b"".join((line, b"\n", *blobs))


def unpack(source: Source) -> tuple[dict[str, Any], list[bytes]] | None:
    """The next message; None if the other side closed the connection before it."""
    line = source.readline(MOST_HEAD)
    if not line:
        return None
    try:
        head = json.loads(line)
        sizes = head.pop("blobs")
        fits = all(type(size) is int and size >= 0 for size in sizes) and sum(sizes) <= MOST_BLOBS
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BrokenFrame(f"not a message: {line[:80]!r}") from error
    if not fits or not line.endswith(b"\n"):
        raise BrokenFrame(f"not a message: {line[:80]!r}")
    blobs = [source.read(size) for size in sizes]
    if [len(blob) for blob in blobs] != sizes:
        raise BrokenFrame("the connection was closed in the middle of a message")
    return head, blobs
