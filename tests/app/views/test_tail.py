"""The end of a growing file: only what is new is read, and nothing that a worker writes can stop it."""

from __future__ import annotations

import os
from pathlib import Path

from bertdistill.app.views.tail import LONGEST_LINE, MOST_BYTES, MOST_LINES, Tail


def append(path: Path, data: bytes) -> None:
    """Write behind what is there."""
    with path.open("ab") as file:
        file.write(data)


def test_lines_grow(tmp_path: Path) -> None:
    """No file, then lines, half a line, the rest of it, half a character."""
    path = tmp_path / "log.txt"
    tail = Tail(path)
    assert [] == tail.read()
    append(path, b"one\ntwo")
    assert [(1, "one"), (2, "two")] == tail.read()
    append(path, b" more\n\xe6\xbc")
    assert [(1, "one"), (2, "two more")] == tail.read()
    append(path, b"\xa2\n\n\xff\n")
    assert [(1, "one"), (2, "two more"), (3, "漢"), (4, ""), (5, "\ufffd")] == tail.read()
    assert not tail.cut


def test_progress_bars_keep_their_newest_state(tmp_path: Path) -> None:
    """A carriage return starts the line anew, wherever a read happens to end."""
    path = tmp_path / "log.txt"
    tail = Tail(path)
    for data, shown in ((b" 1%\r 2", " 2"), (b"0%\r", " 20%"), (b" 30%\r", " 30%"), (b"\r\n", " 30%")):
        append(path, data)
        assert [(1, shown)] == tail.read()
    append(path, b"windows\r\n")
    assert [(1, " 30%"), (2, "windows")] == tail.read()


def test_a_long_file_is_read_from_its_end(tmp_path: Path) -> None:
    """It begins with a whole line and says that something went before."""
    path = tmp_path / "log.txt"
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(50_000)))
    tail = Tail(path)
    lines = tail.read()
    assert tail.cut
    assert MOST_LINES == len(lines)
    assert "line 49999" == lines[-1][1]
    append(path, b"x" * (MOST_BYTES + 10) + b"\nend\n")
    assert "end" == tail.read()[-1][1]


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    """Memory stays bounded; short lines stay whole."""
    path = tmp_path / "log.txt"
    path.write_bytes(b"short\n" + b"x" * (2 * LONGEST_LINE + 1))
    assert [5, LONGEST_LINE, LONGEST_LINE, 1] == [len(line) for _, line in Tail(path).read()]


def test_a_replaced_or_shortened_file_is_read_anew(tmp_path: Path) -> None:
    """A new attempt may write where an old one wrote."""
    path, other = tmp_path / "log.txt", tmp_path / "other.txt"
    path.write_text("old\nolder\n")
    tail = Tail(path)
    tail.read()
    path.write_text("new\n")
    assert [(1, "new")] == tail.read()
    other.write_text("replaced\n")
    other.replace(path)
    assert [(1, "replaced")] == tail.read()


def test_a_pipe_cannot_block_it(tmp_path: Path) -> None:
    """What is no regular file has no lines."""
    path = tmp_path / "log.txt"
    os.mkfifo(path)
    assert [] == Tail(path).read()
