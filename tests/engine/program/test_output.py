"""What a program prints: JSON lines are heard, everything else is harmless."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from bertdistill.engine.program.output import LONGEST_LINE, SHOWN, Lines, Said, Saved, Streamed, parse


def heard(*lines: bytes, objectives: Sequence[str] = ("acc",)) -> tuple[Said, list[Streamed | Saved]]:
    said = Said(objectives)
    return said, [one for line in lines for one in said.hear(line)]


def test_a_line_with_a_step_is_streamed_and_the_last_one_without_is_the_result() -> None:
    """Several lines may give the objectives; nested objects become names with slashes."""
    said, told = heard(
        b'{"step": 1, "acc": 0.5, "loss": {"train": 2}}\n', b'{"acc": 0.6, "size": 3}\n', b'{"acc": 0.7, "ok": true}\n'
    )
    assert [Streamed(1, {"acc": 0.5, "loss/train": 2.0})] == told
    assert {"acc": 0.7, "size": 3.0} == said.final


def test_a_line_without_an_objective_is_only_a_line() -> None:
    """Programs print other JSON, too."""
    said, told = heard(b'{"epoch": 3, "note": "x"}\n', b"[1, 2]\n", b"plain text\n")
    assert ({}, [], "plain text") == (said.final, told, said.last)


def test_infeasible_and_checkpoints() -> None:
    """Each a key of its own."""
    said, told = heard(b'{"infeasible": "too deep"}\n', b'{"checkpoint": "ck/1", "step": 4, "best": true}\n')
    assert ("too deep", [Saved("ck/1", 4, best=True)]) == (said.infeasible, told)


@pytest.mark.parametrize("value", [b"false", b"null"])
def test_not_infeasible(value: bytes) -> None:
    """A program may print the key in every line."""
    said, _ = heard(b'{"acc": 1, "infeasible": ' + value + b"}\n")
    assert (None, 1.0) == (said.infeasible, said.final["acc"])


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b'{"acc": NaN}', math.nan),
        (b'{"acc": null}', math.nan),
        (b'{"acc": 1e999}', math.inf),
        (b'{"acc": -' + b"9" * 400 + b"}", -math.inf),
        (b'{"acc": 1, "acc": 2}', 2.0),
        (b'  progress 10%\r{"acc": 3}\r', 3.0),
    ],
)
def test_odd_numbers(line: bytes, value: float) -> None:
    """Not finite ones are kept as such, of a key given twice the last counts, and what was overwritten does not."""
    said, _ = heard(line)
    assert [value] == [pytest.approx(one, nan_ok=True) for one in said.final.values()]


@pytest.mark.parametrize(
    "line",
    [
        b'{"acc": ' + b"9" * 5000 + b"}",
        b'{"a":' * 100_000,
        b'\xff\xfe{"acc": 1}',
        b'{"acc": "\xff"}',
        b'{"acc": true}',
        b'{"acc": "0.5"}',
        b'{"acc": 1, "step": -1}',
        b'{"acc": 1, "step": 1e400}',
        b'{"acc": 1, "step": "two"}',
        b'\x1b[2J{"acc": 1}',
        b"{",
    ],
)
def test_hostile_lines_do_no_harm(line: bytes) -> None:
    """Digits beyond Python's limit, deep nesting, other encodings, control codes, wrong types and steps."""
    said, told = heard(line)
    assert ({}, []) == (said.final, told)
    assert len(said.last) <= 300


def test_a_step_may_be_a_whole_float() -> None:
    """As some languages print it."""
    assert [Streamed(2, {"acc": 1.0})] == heard(b'{"step": 2.0, "acc": 1}')[1]


def test_lines_are_cut_where_they_end_whatever_the_pieces() -> None:
    """One without an end counts when the program has ended."""
    lines = Lines()
    found = [line for piece in (b"ab", b"c\nd\n\ne", b"f") for line in lines.feed(piece)]
    assert ([b"abc\n", b"d\n", b"\n"], [b"ef\n"]) == (found, list(lines.end()))


def test_a_huge_line_is_not_held() -> None:
    """Its start goes to the log, with its length; the next line is whole."""
    lines = Lines()
    for _ in range(40):
        assert [] == list(lines.feed(b"x" * 65536))
        assert len(lines._rest) <= LONGEST_LINE
    [cut, after] = lines.feed(b"\nafter\n")
    assert b"after\n" == after
    assert cut.startswith(b"x" * SHOWN + b" ... [a line of 2,621,440 bytes]")
    assert parse(cut) is None
