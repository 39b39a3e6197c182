"""The bytes of TensorBoard's event files: protocol buffers in TFRecord frames. Pure.

The format is public: a frame is the length, its checksum, the message, its checksum (record_writer.h of TensorFlow),
and the messages are Event, Summary (tensorflow/core/framework/summary.proto) and HParamsPluginData
(tensorboard/plugins/hparams/plugin_data.proto). Points of a curve are framed together with numpy.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertdistill.engine.interchange.checksums import masked

Bytes = NDArray[np.uint8]


def framed(messages: Bytes) -> bytes:
    """Messages of one length, (messages, bytes), as TFRecords one after the other."""
    count, length = messages.shape
    head = np.frombuffer(struct.pack("<Q", length), dtype=np.uint8)
    head = np.concatenate([head, _checksums(head[None, :])[0]])
    return np.hstack([np.broadcast_to(head, (count, len(head))), messages, _checksums(messages)]).tobytes()


def _checksums(messages: Bytes) -> Bytes:
    """Of each row, in 4 bytes."""
    count, length = messages.shape
    found = masked(messages.tobytes(), range(0, count * length, length), [length] * count)
    return found.astype("<u4").view(np.uint8).reshape(count, 4)


def record(message: bytes) -> bytes:
    """One message as a TFRecord."""
    return framed(np.frombuffer(message, dtype=np.uint8)[None, :])


# ------------------------------------------------------------------------------------------------------------ messages


def varint(number: int) -> bytes:
    """A whole number, 0 or more, in groups of seven bits; a negative one as its two's complement of 64 bits."""
    number &= 2**64 - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def whole(field: int, number: int) -> bytes:
    """A field with a whole number."""
    return varint(field << 3) + varint(number)


def double(field: int, number: float) -> bytes:
    """A field with a number of 64 bits."""
    return varint(field << 3 | 1) + struct.pack("<d", number)


def message(field: int, content: bytes | str) -> bytes:
    """A field with a message, bytes or text."""
    content = content.encode("utf-8", "replace") if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def event(time: float, *, version: str = "", step: int = 0, summary: bytes = b"") -> bytes:
    """An Event: the version of the file, or a summary of a step."""
    body = message(3, version) if version else whole(2, step) + message(5, summary)
    return double(1, time) + body


_NOTHING = whole(1, 1) + message(2, message(2, whole(1, 1))) + message(5, struct.pack("<f", 0.0))
"""A TensorProto for a summary whose content is its metadata, as TensorBoard itself writes it."""


def curve(tag: str, steps: Sequence[int], values: Sequence[float | None], times: Sequence[float]) -> bytes:
    """TFRecords with a point each; None becomes NaN.

    Values have 32 bits: TensorBoard's own server shows no curve of doubles.
    """
    with np.errstate(over="ignore"):  # what 32 bits cannot hold is infinite
        numbers = np.array([np.nan if value is None else value for value in values], dtype="<f4")
    at, seconds = np.array(steps, dtype=np.int64), np.array(times, dtype="<f8")
    value = message(1, tag) + varint(2 << 3 | 5)
    middle = _open(5, _open(1, value, 4), 4)
    return b"".join(framed(_rows(at[part], numbers[part], seconds[part], middle)) for part in _equal_lengths(at))


def _open(field: int, start: bytes, missing: int) -> bytes:
    """A message whose last `missing` bytes follow."""
    return varint(field << 3 | 2) + varint(len(start) + missing) + start


def _equal_lengths(steps: NDArray[np.int64]) -> Iterator[slice]:
    """Parts whose steps take equally many bytes."""
    bits = steps.astype(np.uint64)
    lengths = np.ones(len(steps), dtype=np.int64)
    for length in range(1, 10):
        lengths += bits >= np.uint64(1 << 7 * length)
    edges = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(steps)]
    yield from (slice(start, end) for start, end in pairwise(edges) if end > start)


def _rows(steps: NDArray[np.int64], values: NDArray[np.float32], times: NDArray[np.float64], middle: bytes) -> Bytes:
    """Events of steps of one length, (events, bytes)."""
    count, length = len(steps), len(varint(int(steps[0])))
    shifts = np.arange(0, 7 * length, 7, dtype=np.uint64)
    groups = (steps.astype(np.uint64)[:, None] >> shifts & np.uint64(0x7F)).astype(np.uint8)
    groups[:, :-1] |= 0x80

    def same(part: bytes) -> Bytes:
        return np.broadcast_to(np.frombuffer(part, dtype=np.uint8), (count, len(part)))

    def own(column: NDArray[np.floating[Any]]) -> Bytes:
        return np.ascontiguousarray(column).view(np.uint8).reshape(count, -1)

    return np.hstack([same(varint(1 << 3 | 1)), own(times), same(varint(2 << 3)), groups, same(middle), own(values)])


# ------------------------------------------------------------------------------------------- the page of parameters


def parameters_page(content: bytes, tag: str) -> bytes:
    """Summary with a message of the plugin for parameters (hparams)."""
    metadata = message(1, message(1, "hparams") + message(2, content))
    return message(1, message(1, f"_hparams_/{tag}") + message(9, metadata) + message(8, _NOTHING))


def experiment(name: str, kinds: Mapping[str, int], metrics: Mapping[str, str]) -> bytes:
    """HParamsPluginData: all parameters with their kinds (1 text, 2 truth, 3 number), and all metrics by their tags,
    with the names that are shown."""
    infos = b"".join(message(4, message(1, key) + whole(4, kind)) for key, kind in kinds.items())
    shown = b"".join(message(5, message(1, message(2, tag)) + message(3, label)) for tag, label in metrics.items())
    return message(2, infos + shown + message(6, name))


def session_start(params: Mapping[str, str | float | bool], started: float) -> bytes:
    """HParamsPluginData: the parameters of one trial."""
    entries = (message(1, message(1, name) + message(2, _value(value))) for name, value in params.items())
    return message(3, b"".join(entries) + double(5, started))


def session_end(status: int, ended: float) -> bytes:
    """HParamsPluginData: how a trial ended: 0 unknown, 1 success, 2 failure, 3 running."""
    return message(4, whole(1, status) + double(2, ended))


def _value(value: str | float | bool) -> bytes:
    if isinstance(value, bool):
        return whole(4, value)
    return message(3, value) if isinstance(value, str) else double(2, value)
