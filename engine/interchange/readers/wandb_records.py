"""The framing of W&B's `.wandb` files: a header, then the log format of LevelDB (its doc/log_format.md) with checksums
of plain CRC-32, as wandb/core/pkg/leveldb writes it.

A record without its end is still being written, or the process was killed: the reading stops before it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path

from bertdistill.store.errors import ForeignError

MAGIC = b":W&B\xe1\xbe"
_START = 7
_BLOCK = 32_768
_HEAD = struct.Struct("<IHB")
_BLOCKS_AT_ONCE = 128
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_SEEDS = [zlib.crc32(bytes([kind])) for kind in range(5)]
"""The checksum covers the kind of a piece before its data."""


def is_wandb(path: Path) -> bool:
    """Whether a file begins like one of W&B."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def records(path: Path) -> Iterator[tuple[bytes, int]]:
    """The whole records of a file, each with the byte after it. ForeignError for damage, after what precedes it."""
    with path.open("rb") as file:
        size, position = path.stat().st_size, 0
        parts: list[bytes] = []
        while position < size:
            file.seek(position)
            data = file.read(_BLOCK * _BLOCKS_AT_ONCE)
            last = position + len(data) >= size
            for block in range(0, len(data), _BLOCK):
                end = yield from _block(path, data, block, position, parts)
                if end < 0 and not (last and block + _BLOCK >= len(data)):
                    raise damage(path, position - end - 1)
            position += len(data)


def damage(path: Path, offset: int) -> ForeignError:
    """The error for a record that is not what was written."""
    hint = "Restore the file from the machine that wrote it, and import it again."
    return ForeignError(f"{path}: damaged near byte {offset:,}; what precedes it was imported", hint=hint)


def _block(
    path: Path, data: bytes, block: int, position: int, parts: list[bytes]
) -> Generator[tuple[bytes, int], None, int]:
    """Pieces of one block; `parts` holds those of a record that continues. Returns 0, or -1 - the offset of damage."""
    at = block + (_START if not position and not block else 0)
    end, unpack, crc32 = min(block + _BLOCK, len(data)), _HEAD.unpack_from, zlib.crc32
    while at + 7 <= end:
        checksum, length, kind = unpack(data, at)
        if not kind and not length:
            return 0  # space that was reserved and is not written yet
        piece = data[at + 7 : at + 7 + length]
        if not 1 <= kind <= 4 or at + 7 + length > end or crc32(piece, _SEEDS[kind]) != checksum:
            return -1 - at
        at += 7 + length
        if kind in (_FULL, _FIRST):
            parts.clear()
        parts.append(piece)
        if kind in (_FULL, _LAST):
            yield b"".join(parts), position + at
            parts.clear()
    return 0
