"""Screened sub-networks: hollow marks and a list of their own, and nothing of the trials changes."""

from __future__ import annotations

import dataclasses
import json
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest

from bertdistill.app.cli import main
from bertdistill.app.report.shapes import SHAPES
from bertdistill.app.views.colours import frontier_points
from bertdistill.app.views.screened import screened_points, screened_rows, screened_text
from bertdistill.app.views.view import read_view
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db


def row(layers: int, exact: float, *, ruined: bool = False) -> dict[str, Any]:
    return {
        "settings": {"layers": layers, "heads": 4},
        "score": exact,
        "metrics": {"exact": exact},
        "known": {"params": 20e6 * layers},
        "examples": 200,
        "seconds": 0.5,
        "ruined": ruined,
    }


@pytest.fixture(name="filled")
def _filled(ws: Workspace, db: Database) -> Database:
    """The demo with three of them, one better than every trial and one that sharing ruined."""
    with closing(open_db(ws.path)) as own, own.write() as session:
        study = reads.study(session, "demo")
        writes.add_screened(session, study.id, [row(1, 99.0), row(2, 40.0), row(3, 1.0, ruined=True)])
    return db


def test_they_are_hollow_marks_and_no_trials(filled: Database) -> None:
    """However good they look: ranks, frontier and hypervolume stay those of the trials."""
    view = read_view(filled, "demo")
    points = screened_points(view, "params", "exact")
    assert [(one.kind, one.edge, one.label) for one in points] == [("screened", False, "")] * 2
    assert [0, 1, 2] == [trial.number for trial in view.frontier]
    assert len(view.trials) == 8
    assert points == [one for one in frontier_points(view, "params", "exact")[0] if one.kind == "screened"]
    assert [] == screened_points(view, "params", "latency_ms")


def test_the_list_is_of_all_the_best_first(filled: Database) -> None:
    view = read_view(filled, "demo")
    found = screened_rows(view)
    assert [99.0, 40.0, 1.0] == [one["score"] for one in found]
    assert all(list(SHAPES["screened"]) == list(one) for one in found)
    text = screened_text(view)
    assert text.startswith("3 sub-networks evaluated without training on 200 examples each, 2s of CPU time; 1 of them")
    assert "ruined by sharing: trained alone" in text.splitlines()[-1]
    assert "heads" not in text.splitlines()[2]  # all have as many


@pytest.mark.parametrize(("metric", "direction", "best"), [("exact", "maximize", 99.0), ("exact", "minimize", 1.0)])
def test_the_best_is_by_what_was_measured_whatever_comes_first(
    filled: Database, metric: str, direction: Literal["maximize", "minimize"], best: float
) -> None:
    """A size is no score, and less of a loss is better."""
    view = read_view(filled, "demo")
    aims = (Objective("params", "minimize"), Objective(metric, direction))
    view = dataclasses.replace(view, outline=dataclasses.replace(view.outline, objectives=aims))
    assert best == screened_rows(view)[0]["score"]


def test_a_study_without_them_says_so(db: Database) -> None:
    assert screened_text(read_view(db, "demo")).startswith("No sub-networks were screened")


def test_the_command_prints_draws_and_exports_them(
    ws: Workspace, filled: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["engine", "frontier", "demo", *words, "-w", str(ws.path)])
        assert not ended.value.code
        return capsys.readouterr().out

    assert [99.0, 40.0, 1.0] == [one["score"] for one in json.loads(run("--screened", "--json"))]
    assert "evaluated without training" in run("--screened")
    assert "◦ not trained" in run()
    assert [0, 1, 2] == sorted(one["trial"] for one in json.loads(run("--json")))
    run("--svg", str(tmp_path / "chart.svg"))
    drawn = (tmp_path / "chart.svg").read_text()
    assert "2 not trained" in drawn
    assert 'class="mark screened open"' in drawn or "screened open" in drawn
