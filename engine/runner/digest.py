"""A batch of an attempt's events, validated and reduced to what will be stored.

Pure: it trusts no line, and invalid ones are counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bertdistill.engine.contract.events import (
    CHECKPOINT,
    ENDED,
    METRICS_LOGGED,
    NOTICE,
    PROGRESS,
    RESULT,
    SCREENED,
    STARTED,
    parse_event,
)
from bertdistill.store.metrics import Point

SERIES_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./ @-]{0,127}")
NOTICE_LENGTH = 2000
MOST_VERSIONS = 50
_LARGEST = 2**62
MOST_SETTINGS = 64


@dataclass
class Events:
    """A batch of lines, validated and reduced to what will be stored."""

    points: list[Point] = field(default_factory=list)
    scores: dict[str, float | None] = field(default_factory=dict)
    """Newest metric of every name, from `search/…` values and best checkpoints, without the prefix."""
    progress: Mapping[str, Any] | None = None
    trained: float | None = None
    """Newest reported progress of the training, 0 to 1."""
    checkpoints: list[Mapping[str, Any]] = field(default_factory=list)
    notices: list[tuple[float, str, str]] = field(default_factory=list)
    screened: list[Mapping[str, Any]] = field(default_factory=list)
    """Sub-networks that were evaluated, with the fields of `store.rows.Screened`."""
    started: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    ended: Mapping[str, Any] | None = None
    bad_lines: int = 0


def digest(data: bytes) -> Events:
    """Read complete lines. Invalid lines and events with invalid fields are counted and otherwise ignored."""
    events = Events()
    for line in data.split(b"\n"):
        if not line:
            continue  # after the last newline, or written by a process that closed a torn line
        try:
            event = parse_event(line)
            if event is None or event["t"] - event["t"] != 0:
                raise ValueError("not an event")
            _HANDLERS[event["k"]](events, event)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            events.bad_lines += 1
    return events


def _on_started(events: Events, event: Mapping[str, Any]) -> None:
    events.started = {**event, "versions": _versions(event.get("versions"))}


def _on_metrics(events: Events, event: Mapping[str, Any]) -> None:
    step, time, values = _whole(event["step"]), float(event["t"]), _mapping(event["values"])
    # The first test is the common case, written out: this runs once a value.
    points = [
        (name, step, value if type(value) is float and value - value == 0 else _number(value), time)
        for name, value in values.items()
    ]
    events.points += points
    for name, _, value, _ in points:
        if name.startswith("search/") and SERIES_NAME.fullmatch(name):
            events.scores[name.removeprefix("search/")] = value


def _on_progress(events: Events, event: Mapping[str, Any]) -> None:
    numbers = {name: _number(event[name]) or 0.0 for name in ("done", "total", "rate")}
    events.progress = {"phase": _text(event["phase"], 64), "unit": _text(event["unit"], 64), **numbers}
    if event["phase"] == "train" and numbers["total"] > 0:
        events.trained = min(max(numbers["done"] / numbers["total"], 0.0), 1.0)


def _on_checkpoint(events: Events, event: Mapping[str, Any]) -> None:
    if event["role"] not in ("best", "last") or "\0" in event["folder"]:
        raise ValueError("unfit role or folder")
    checkpoint = {
        "role": event["role"],
        "step": _whole(event["step"]),
        "folder": _text(event["folder"], 4096),
        "sha256": _text(event["sha256"], 128),
        "size_bytes": _whole(event["size_bytes"]),
        "metrics": _numbers(event["metrics"]),
        "now": float(event["t"]),
    }
    events.checkpoints.append(checkpoint)
    if checkpoint["role"] == "best":
        events.scores.update(checkpoint["metrics"])


def _on_result(events: Events, event: Mapping[str, Any]) -> None:
    facts, metrics = _mapping(event.get("facts", {})), _numbers(event["metrics"])
    scored = {**_numbers(facts.get("teacher_metrics", {})), **metrics}
    events.result = {"metrics": metrics, "facts": {**facts, "teacher_metrics": scored}}


def _on_screened(events: Events, event: Mapping[str, Any]) -> None:
    settings = _mapping(event["settings"])
    if not all(_is_setting(value) for value in settings.values()) or len(settings) > MOST_SETTINGS:
        raise ValueError("not settings")
    one = {
        "settings": {_text(name, 128): value for name, value in settings.items()},
        "score": _number(event["score"]),
        "metrics": _numbers(event["metrics"]),
        "known": _numbers(event["known"]),
        "examples": _whole(event["examples"]),
        "seconds": _number(event["seconds"]) or 0.0,
        "ruined": event.get("ruined") is True,
    }
    events.screened.append(one)


def _is_setting(value: Any) -> bool:
    """A number that SQLite can store, a short text, or a list of whole numbers."""
    if isinstance(value, list):
        return len(value) <= MOST_SETTINGS and all(type(one) is int and abs(one) < _LARGEST for one in value)
    if isinstance(value, str):
        return value == _text(value, 128)
    return type(value) is bool or (type(value) in (int, float) and abs(value) < _LARGEST)


def _on_notice(events: Events, event: Mapping[str, Any]) -> None:
    level = event["level"] if event["level"] in ("info", "warning", "error") else "info"
    events.notices.append((float(event["t"]), level, _text(event["text"], NOTICE_LENGTH)))


def _on_ended(events: Events, event: Mapping[str, Any]) -> None:
    words = {name: _text(event.get(name, ""), NOTICE_LENGTH) for name in ("status", "reason", "detail")}
    events.ended = {**words, "at": float(event["t"])}


_HANDLERS: dict[str, Callable[[Events, Mapping[str, Any]], None]] = {
    STARTED: _on_started,
    METRICS_LOGGED: _on_metrics,
    PROGRESS: _on_progress,
    CHECKPOINT: _on_checkpoint,
    RESULT: _on_result,
    SCREENED: _on_screened,
    NOTICE: _on_notice,
    ENDED: _on_ended,
}


def _number(value: Any) -> float | None:
    """A finite float, None for what is not finite; raises for anything else (True and "1" are not numbers)."""
    if value is None:
        return None
    if type(value) not in (int, float):
        raise TypeError("not a number")
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number - number == 0 else None


def _numbers(value: Any) -> dict[str, float | None]:
    return {_text(name, 128): _number(number) for name, number in _mapping(value).items()}


def _versions(value: Any) -> dict[str, str]:
    """By package, whatever else it says is left out: a wrong one must not cost the rest of the event."""
    if not isinstance(value, dict):
        return {}
    named = [(name, one) for name, one in value.items() if isinstance(one, str)][:MOST_VERSIONS]
    return {_text(name, 64): _text(one, 64) for name, one in named}


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise ValueError("not a whole number from 0")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _text(value: Any, limit: int) -> str:
    """Text that SQLite can store: JSON may escape half of a surrogate pair, UTF-8 cannot hold it."""
    if not isinstance(value, str):
        raise TypeError("not text")
    return value[:limit].encode("utf-8", "replace").decode("utf-8")
