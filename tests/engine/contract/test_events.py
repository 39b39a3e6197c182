"""The one reader of events.jsonl: what it takes for an event, and what it opens."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bertdistill.engine.contract import events
from bertdistill.engine.contract.events import EventWriter, finite, first_event, newest_event, parse_event, read_chunk


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A file with two progress events, a torn line between them and a notice."""
    path = tmp_path / "run" / "events.jsonl"
    path.parent.mkdir()
    writer = EventWriter(path)
    writer.emit(events.PROGRESS, phase="load", done=1, total=2, rate=float("nan"), unit="files")
    writer.close()
    with path.open("ab") as file:
        file.write(b'{"k":"pro\n')
    writer = EventWriter(path)
    writer.emit(events.PROGRESS, phase="train", done=2, total=2, rate=1.0, unit="steps")
    writer.emit(events.NOTICE, level="info", text="done")
    writer.close()
    return path


def test_first_and_newest(written: Path) -> None:
    """By kind; lines that are no events are passed over."""
    assert "load" == first_event(written, events.PROGRESS)["phase"]
    assert "train" == newest_event(written, events.PROGRESS)["phase"]
    assert "done" == newest_event(written, events.PROGRESS, events.NOTICE)["text"]
    assert {} == newest_event(written, events.RESULT)


def test_the_newest_is_found_behind_long_lines(written: Path) -> None:
    """One report of all parameters of a network is longer than what is read first."""
    writer = EventWriter(written)
    writer.metrics(7, {f"norm/{number}": 0.123456789 for number in range(5000)})
    for _ in range(1000):
        writer.emit(events.NOTICE, level="info", text="x" * 100)
    writer.close()
    assert 7 == newest_event(written, events.METRICS_LOGGED)["step"]
    assert "train" == newest_event(written, events.PROGRESS)["phase"]
    assert {} == newest_event(written, events.RESULT)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b'"text"',
        b"nonsense",
        b"[" * 100_000,
        b'{"k":"notice","t":1}',
        b'{"k":"notice","t":true,"level":"info","text":"x"}',
        b'{"k":"notice","t":1,"level":"info","text":5}',
        b'{"k":["notice"],"t":1}',
        b'{"k":"unknown","t":1}',
        b'{"k":"progress","t":1,"phase":"x","done":"1","total":1,"rate":1,"unit":"x"}',
        b'{"k":"ended","t":1,"status":["complete"]}',
        b'{"k":"result","t":1,"metrics":[]}',
        b'{"k":"result","t":1,"metrics":{},"report":"x"}',
        b'{"k":"checkpoint","t":1,"role":"best","step":1,"folder":5,"sha256":"","size_bytes":1,"metrics":{}}',
    ],
)
def test_what_has_other_types_is_no_event(line: bytes) -> None:
    """So that no reader meets a list where it expects text."""
    assert parse_event(line) is None


def test_only_regular_files_are_read(tmp_path: Path, written: Path) -> None:
    """A FIFO would block, a device never ends, and a link leads elsewhere; nor a folder that is a link."""
    for name, make in (
        ("fifo", lambda path: os.mkfifo(path)),
        ("zero", lambda path: path.symlink_to("/dev/zero")),
        ("link", lambda path: path.symlink_to(written)),
        ("folder", lambda path: path.mkdir()),
    ):
        make(tmp_path / name)
        assert read_chunk(tmp_path / name, 0, 1000) is None
        assert {} == first_event(tmp_path / name, events.PROGRESS) == newest_event(tmp_path / name, events.PROGRESS)
    (tmp_path / "other").symlink_to(written.parent, target_is_directory=True)
    assert read_chunk(written, 0, 1000) is not None
    assert read_chunk(tmp_path / "other" / "events.jsonl", 0, 1000) is None


def test_numbers_that_are_not_finite_become_none() -> None:
    """At any depth; everything else stays."""
    given = {"a": float("inf"), "b": [1, float("nan"), {"c": 2.5}], 3: "x", "d": True}
    assert {"a": None, "b": [1, None, {"c": 2.5}], "3": "x", "d": True} == finite(given)
