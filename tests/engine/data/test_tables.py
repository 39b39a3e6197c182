"""Headers and quotation marks of files from other tools."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.tables import Table, file_table

BODY = [("the meal was poor", "0"), ("the hotel was superb", "1"), ("it was boring", "0"), ("all was warm", "1")]


def table(folder: Path, content: str, name: str = "d.csv", **keys: str) -> Table:
    """A file as a table."""
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return file_table(DataSpec(train=str(path), **keys), "train")


def csv(*rows: tuple[str, ...]) -> str:
    """Rows as comma-separated lines."""
    return "".join(",".join(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    "header", [("Review", "Liked"), ("TEXT", "Label"), (" Text", "Label "), ("v2", "v1"), ("", "y")]
)
def test_a_header_is_known_by_its_case_or_by_cells_that_occur_once(tmp_path: Path, header: tuple[str, str]) -> None:
    """Neither an example nor a class, whatever it is called."""
    found = table(tmp_path, csv(header, *BODY))
    assert tuple(name.strip() for name in header) == found.names
    assert 4 == len(found.rows)


@pytest.mark.parametrize(
    "rows",
    [
        BODY,
        [("good food", "joy"), ("bad food", "fear"), ("no food", "joy"), ("old food", "fear"), ("any", "joy")],
        [("nice", "Target"), ("words", "Target"), ("more", "other"), ("words", "other"), ("yes", "other")],
        [("7", "x"), ("8", "a"), ("9", "b"), ("10", "a"), ("11", "b")],
    ],
)
def test_a_first_example_is_not_taken_for_a_header(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    """Its label occurs again, or it holds a number; a usual name that is a value of its column is no heading."""
    found = table(tmp_path, csv(*rows))
    assert ((), len(rows)) == (found.names, len(found.rows))


def test_a_guessed_header_is_reported_and_a_known_one_is_not(tmp_path: Path) -> None:
    """A wrong guess would lose one example: it must not be silent."""
    assert (
        "its first row is taken as the header: Words, Kind" in table(tmp_path, csv(("Words", "Kind"), *BODY)).notices[0]
    )
    assert () == table(tmp_path, csv(("Review", "Liked"), *BODY)).notices


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('"sentence"\t"label"\n"so dull"\t0\n"so great"\t1\n', ["so dull", "so great"]),
        ('sentence\tlabel\n"he said ""dull"""\t0\nso great\t1\n', ['he said "dull"', "so great"]),
        ('sentence\tlabel\n"two\nlines"\t0\nso great\t1\n', ["two\nlines", "so great"]),
        ('sentence\tlabel\n"so" dull\t0\nso great\t1\n', ['"so" dull', "so great"]),
        ('sentence\tlabel\n"so dull\t0\nso great"\t1\n', ['"so dull', 'so great"']),
        ('sentence\tlabel\nso "dull"\t0\nso 5" great\t1\n', ['so "dull"', 'so 5" great']),
    ],
)
def test_quotation_marks_of_a_tsv_are_quoting_only_by_the_rules(tmp_path: Path, content: str, texts: list[str]) -> None:
    """R and pandas quote cells; GLUE's files hold stray marks that belong to the text."""
    found = table(tmp_path, content, "d.tsv")
    assert (("sentence", "label"), texts) == (found.names, [row[0] for row in found.rows])


@pytest.mark.parametrize(
    ("rows", "names", "unsure"),
    [
        ([("id", "words", "mood")], ("id", "words", "mood"), True),
        ([("words", "mood"), ("good food", "joy"), ("bad food", "fear")], (), True),
        ([("Words", "Kind"), *BODY], ("Words", "Kind"), True),
        ([("good food", "dread"), *[(f"food {n}", "joy" if n % 2 else "fear") for n in range(6)]], None, True),
        ([("a" * 50, "mood"), *[(f"food {n}", "joy" if n % 2 else "fear") for n in range(6)]], (), True),
        ([("text", "mood"), ("good", "joy"), ("bad", "fear")], ("text", "mood"), False),
        ([("good food", "joy"), ("bad food", "fear"), ("no food", "joy")], (), False),
        ([("7", "x"), ("8", "a"), ("9", "b"), ("10", "a"), ("11", "b")], (), False),
    ],
)
def test_a_first_row_that_may_be_either_is_told(
    tmp_path: Path, rows: list[tuple[str, ...]], names: tuple[str, ...] | None, unsure: bool
) -> None:
    """Only a name that is usual, a cell that stands again and a number above numbers leave no doubt; the key
    `header` decides."""
    found = table(tmp_path, csv(*rows))
    assert (names is None or names == found.names, rows[0] if unsure else ()) == (True, found.unsure)
    assert [f'set data.header = "{"no" if found.names else "yes"}"' in notice for notice in found.notices] == (
        [True] if unsure else []
    )
    as_names, as_example = (table(tmp_path, csv(*rows), header=word) for word in ("yes", "no"))
    assert (rows[0], len(rows) - 1, ()) == (as_names.names, len(as_names.rows), as_names.notices)
    assert ((), len(rows), ()) == (as_example.names, len(as_example.rows), as_example.notices)
