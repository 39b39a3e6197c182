"""What a program has reported by itself through `bertdistill`, read back from the events of its attempt.

It writes nothing and trusts no line: the program may have written anything there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.events import CHECKPOINT, ENDED, METRICS_LOGGED, RESULT, parse_event, read_chunk
from bertdistill.engine.program.output import numbers

_CHUNK_BYTES = 1 << 20


@dataclass
class Reported:
    """The word, the result, the newest values of the objectives and the newest checkpoint in the events."""

    ended: Mapping[str, Any] = field(default_factory=dict)
    result: dict[str, float] = field(default_factory=dict)
    logged: dict[str, float] = field(default_factory=dict)
    last: Mapping[str, Any] | None = None
    """The newest checkpoint; None if there is none, or one was already called the best."""


def read_reported(path: Path, objectives: Sequence[str]) -> Reported:
    """Read it all, in one pass. Only the newest line with a value of an objective is parsed: there may be millions."""
    found, newest, best = Reported(), dict[str, bytes](), False
    needles = {name: json.dumps(name).encode() + b":" for name in objectives}
    for line in _lines(path):
        if b'"metrics"' not in line[:24]:  # the first key of an event is its kind
            event = parse_event(line) or {}
            if event.get("k") == ENDED:
                found.ended = event
            elif event.get("k") == RESULT:
                found.result |= numbers(event["metrics"])
            elif event.get("k") == CHECKPOINT:
                best, found.last = best or event["role"] == "best", event
            continue
        newest |= {name: line for name, needle in needles.items() if needle in line}
    for name, line in newest.items():
        event = parse_event(line) or {}
        values = numbers(event["values"]) if event.get("k") == METRICS_LOGGED else {}
        found.logged |= {name: values[name]} if name in values else {}
    found.last = None if best else found.last
    return found


def _lines(path: Path) -> Iterator[bytes]:
    offset = 0
    while (chunk := read_chunk(path, offset, _CHUNK_BYTES)) is not None:
        yield from chunk.data.splitlines()
        offset = chunk.start + chunk.consumed
        if not chunk.more:
            return
