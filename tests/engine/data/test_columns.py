"""Which columns are read, and what a person is shown of the others."""

from __future__ import annotations

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.columns import Column, Columns, describe, find_columns, half_read
from bertdistill.engine.data.tables import Table

ROWS = [[f"the meal number {i}", f"all of the {i} songs", i % 2, f"id{i}"] for i in range(8)]


def find(names: tuple[str, ...], rows: list[list[object]] | None = None, **keys: str) -> Columns:
    """The columns of a table of these names."""
    return find_columns(Table(names, list(rows or [row[: len(names)] for row in ROWS])), DataSpec(**keys), "d.csv")


def test_names_are_compared_without_case() -> None:
    """Usual names, pairs and configured names alike; an exact name goes first."""
    assert Columns(0, 1, 2) == find(("Sentence1", "SENTENCE2", "Label"))
    assert Columns(0, 1, 2) == find(("a", "b", "c"), text_column="A", text_pair_column="B", label_column="C")
    assert Columns(1, None, 2) == find(("Text", "text", "label"), text_column="text")


def test_the_only_column_that_can_be_it_is_taken() -> None:
    """One column of sentences, one of repeated values; ids are neither."""
    rows = [[row[3], row[0], row[2]] for row in ROWS]
    assert Columns(1, None, 2) == find(("key", "Opinion", "Liked"), rows)


def test_what_could_be_two_columns_is_refused_with_samples() -> None:
    """A person sees at once which name to give."""
    with pytest.raises(ConfigError, match=r"set data\.text_column; the columns are a \('the meal number 0', 'the me"):
        find(("a", "b", "c"))
    rows = [[row[0], row[2], row[2]] for row in ROWS]
    with pytest.raises(ConfigError, match=r"set data\.label_column; .*toxic \('0', '1'\)"):
        find(("text", "toxic", "obscene"), rows)


def test_a_pair_task_on_half_of_its_input_is_told() -> None:
    """A second column of sentences that nobody reads; short and read columns say nothing."""
    table = Table(("text", "passage", "label", "id"), list(ROWS))
    warnings = half_read(table, find_columns(table, DataSpec(), "d.csv"), "d.csv")
    assert "'passage' is not used" in warnings[0]
    assert 'data.text_pair_column = "passage"' in warnings[0]
    both = find_columns(table, DataSpec(text_pair_column="passage"), "d.csv")
    assert () == half_read(table, both, "d.csv")


def test_columns_are_described_with_two_samples_and_their_use() -> None:
    """Samples differ, and are shown before anything is configured, too."""
    table = Table(("text", "passage", "label"), [row[:3] for row in ROWS])
    described = describe(table, Columns(0, None, 2))
    assert Column("label", ("0", "1"), "label") == described[2]
    assert ["text", "", "label"] == [column.use for column in described]
    assert ("all of the 0 songs", "all of the 1 songs") == described[1].samples
    assert ["", "", ""] == [column.use for column in describe(table)]
