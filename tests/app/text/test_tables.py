"""Plain tables, JSON and CSV: aligned, valid, harmless."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from bertdistill.app.text.tables import csv_text, cut, json_text, markdown_table, pairs, text_table


def test_columns_are_aligned() -> None:
    """Numbers flush right under their title, text flush left, wide characters counted as two cells."""
    text = text_table(["name", "n"], [["a", "1"], ["東京", "23"]], right=["n"])
    assert "name   n\na      1\n東京  23" == text


def test_markdown_keeps_its_cells() -> None:
    """A note with a bar or a line break does not become two cells or two rows."""
    table = markdown_table(["a", "b"], [["1 | 2", "x\ny"]])
    assert ["| a | b |", "| --- | --- |", r"| 1 \| 2 | x y |"] == table.split("\n")


def test_tables_can_be_indented() -> None:
    """The indent stands before titles and rows alike."""
    assert "  a\n  1" == text_table(["a"], [["1"]], indent="  ")


def test_lines_are_cut_to_the_width() -> None:
    """A narrow terminal shows an ellipsis instead of a wrapped line."""
    assert ["name  text", "a     xxx…"] == text_table(["name", "text"], [["a", "x" * 50]], width=10).split("\n")


def test_cut_counts_cells() -> None:
    """A wide character is never split or counted as one."""
    assert "東…" == cut("東京都", 4)


def test_no_rows_no_table() -> None:
    """An empty list prints nothing."""
    assert "" == text_table(["a"], [])


def test_cells_are_made_safe() -> None:
    """A cell is one line without escape sequences."""
    assert "a\nx y" == text_table(["a"], [["\x1b[31mx\ny"]])


def test_json_has_no_nan() -> None:
    """NaN and infinities are null at any depth, as JSON demands."""
    assert {"a": None, "b": [None, 1.5], "c": {"d": None}} == json.loads(
        json_text({"a": math.nan, "b": (math.inf, 1.5), "c": {"d": -math.inf}})
    )


def test_json_cannot_drive_a_terminal() -> None:
    """Control characters, C1 included, are escaped."""
    assert '"\\u001b]52;\\u009b"' == json_text("\x1b]52;\x9b")


def test_csv_flattens_and_aligns_rows() -> None:
    """Nested keys are joined by a dot, missing ones are empty."""
    text = csv_text([{"trial": 1, "params": {"alpha": 0.5}}, {"trial": 2, "params": {"layers": 3}}])
    assert [["trial", "params.alpha", "params.layers"], ["1", "0.5", ""], ["2", "", "3"]] == list(
        csv.reader(io.StringIO(text))
    )


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t"])
def test_csv_formulas_are_defused(start: str) -> None:
    """Text that a spreadsheet would run gets a leading apostrophe."""
    [[_], [cell]] = list(csv.reader(io.StringIO(csv_text([{"note": start + "cmd|calc"}]))))
    assert "'" + start + "cmd|calc" == cell


def test_csv_numbers_stay_numbers() -> None:
    """A negative number is no formula and must stay readable as a number."""
    [_, row] = list(csv.reader(io.StringIO(csv_text([{"a": -3.5, "b": math.nan, "c": True, "d": ["x", 1]}]))))
    assert ["-3.5", "", "true", '["x", 1]'] == row


def test_pairs_are_aligned() -> None:
    """Names padded to one width."""
    assert "  a    1\n  bcd  2" == pairs({"a": "1", "bcd": "2"})
