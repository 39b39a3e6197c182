"""Where examples are read from: another source is one row."""

from __future__ import annotations

import pytest

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.files import Part
from bertdistill.engine.data.tables import Table
from bertdistill.engine.distill.data.examples import load_examples
from bertdistill.engine.distill.data.sources import SOURCES, Questions, Source, source_of


def test_the_hub_comes_before_files() -> None:
    """`[data]` names one of both; whatever is not on the hub is a file."""
    assert [SOURCES[0], SOURCES[1]] == [source_of(DataSpec(hub="glue")), source_of(DataSpec(train="a.csv"))]


def test_another_source_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of SOURCES is asked like the others; labels, checks and cuts need nothing else."""

    def table(data: DataSpec, part: Part) -> Table:
        rows = [(f"text {n} of the {part} part", ("no", "yes")[n % 2]) for n in range(6)]
        return Table(("text", "label"), rows)

    def questions(data: DataSpec, part: Part) -> Questions:
        return [], ()

    row = Source(lambda data: data.train.startswith("made:"), table, questions)
    monkeypatch.setattr("bertdistill.engine.distill.data.sources.SOURCES", [row, *SOURCES])
    found = load_examples(DataSpec(train="made:up", report="made:up"), "text-classification", "train")
    assert (6, ("no", "yes"), "text 0 of the train part") == (len(found), found.labels, found.rows[0].text)
