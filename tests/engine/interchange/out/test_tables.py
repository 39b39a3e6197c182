"""Parquet, CSV and JSON are read back by those who read such files, and hold the same."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.engine.interchange.out.conftest import HOSTILE, SECRET

from bertdistill.engine.interchange.out import csv_files, json_files, parquet
from bertdistill.engine.interchange.out.outgoing import Losses, Outgoing, all_metrics
from bertdistill.engine.interchange.out.tables import pieces

Written = Callable[[Any, Outgoing], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """The folder of an export of a form."""

    def write(form: Any, out: Outgoing) -> Path:
        losses = Losses()
        form.write(out, tmp_path / "out", losses)
        assert [] == losses.lines()
        return tmp_path / "out"

    return write


def points(out: Outgoing) -> list[tuple[Any, ...]]:
    return [
        (number, one.name, *row)
        for number, one in pieces(out)
        for row in zip(one.steps, one.values, one.times, strict=True)
    ]


@pytest.mark.parametrize("name", ["toy", "mine"])
def test_parquet(name: str, written: Written, request: pytest.FixtureRequest) -> None:
    """Typed columns; every point as it was."""
    out: Outgoing = request.getfixturevalue(name)
    folder = written(parquet, out)
    found = pq.read_table(folder / "points.parquet")
    assert points(out) == [tuple(row.values()) for row in found.to_pylist()]
    trials = pq.read_table(folder / "trials.parquet").to_pylist()
    for ours, row in zip(out.trials, trials, strict=True):
        assert (ours.number, ours.state.value, ours.note, list(ours.tags)) == (
            row["trial"],
            row["state"],
            row["note"],
            row["tags"],
        )
        assert all_metrics(ours) == {key: row[f"metrics.{key}"] for key in all_metrics(ours)}
        assert ours.settings == json.loads(row["settings"])
    kinds = {field.name: str(field.type) for field in pq.read_schema(folder / "trials.parquet")}
    wanted = {
        "toy": {
            "params.layers": "int64",
            "params.learning_rate": "double",
            "parent": "int64",
            "tags": "list<element: string>",
        },
        "mine": {"params.flag": "bool", "params.lr": "double", "params.list": "string", f"params.{HOSTILE}": "string"},
    }
    assert wanted[name] == {column: kinds[column] for column in wanted[name]}


@pytest.mark.parametrize(
    ("seeds", "kind", "held"),
    [
        ([1, 2, None], "int64", [1, 2, None]),
        (["a", "b", None], "string", ["a", "b", None]),
        ([1, "a", 0.5], "string", ["1", '"a"', "0.5"]),
        ([2**53 + 1, 0.5, None], "string", ["9007199254740993", "0.5", None]),
        ([None, None, None], "int64", [None, None, None]),
    ],
)
def test_a_seed_may_be_anything(
    seeds: list[Any], kind: str, held: list[Any], mine: Outgoing, written: Written, tmp_path: Path
) -> None:
    """Parameters too: a column holds each value exactly, as JSON where no type does."""
    trials = [
        replace(one, settings={"seed": seed}, params={"p": seed}) for one, seed in zip(mine.trials, seeds, strict=True)
    ]
    found = pq.read_table(written(parquet, replace(mine, trials=tuple(trials))) / "trials.parquet")
    assert (kind, held) == (str(found.schema.field("seed").type), found["seed"].to_pylist())
    assert held == found["params.p"].to_pylist()


def test_the_page_says_what_a_study_is(toy: Outgoing, written: Written) -> None:
    """Without the address of a webhook."""
    text = (written(json_files, toy) / "study.json").read_text()
    assert SECRET not in text
    page = json.loads(text)
    assert ("toy", "running", 9) == (page["study"], page["state"], page["trials"])
    assert {"metric": "accuracy", "direction": "maximize", "threshold": 60.0, "constraint": False} == page[
        "objectives"
    ][0]
    assert "[search.layers]" in page["study_file"]


def test_json(toy: Outgoing, written: Written) -> None:
    """Plain ASCII, with null for what is not finite."""
    folder = written(json_files, toy)
    lines = (folder / "points.jsonl").read_text("ascii").splitlines()
    assert points(toy) == [tuple(json.loads(line).values()) for line in lines]
    trials = json.loads((folder / "trials.json").read_text("ascii"))
    assert [dict(one.params) for one in toy.trials] == [row["params"] for row in trials]
    assert [False, True, True] == [row["frontier"] for row in trials[:3]]
    assert [2, 1, 0] == sorted(range(3), key=lambda number: trials[number]["rank"])
    assert (0, None) == (trials[2]["parent"], trials[0]["metrics"]["f1"])


def test_csv(toy: Outgoing, mine: Outgoing, written: Written) -> None:
    """Numbers as they were; a text that a spreadsheet would run gets an apostrophe."""
    folder = written(csv_files, toy)
    with (folder / "points.csv").open(newline="") as file:
        found = [
            (int(trial) if trial else None, series, int(step), float(value) if value else None, float(time))
            for trial, series, step, value, time in list(csv.reader(file))[1:]
        ]
    assert points(toy) == found
    with (folder / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert f"'=1+1 {HOSTILE}\nsecond line" == rows[1]["note"]
    assert ["1", "", "0.0001", "55.0", "false"] == [
        rows[0][key] for key in ("params.layers", "parent", "params.learning_rate", "metrics.accuracy", "archived")
    ]
