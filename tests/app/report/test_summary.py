"""What a person reads says what matters and carries no foreign escape sequence."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_spec

from bertdistill.app.report.details import read_details
from bertdistill.app.report.records import attempt_row
from bertdistill.app.report.summary import (
    Page,
    attempts_text,
    chart,
    checks_text,
    details_text,
    headline,
    one_change,
    ranked_list,
    trial_page,
)
from bertdistill.app.views.view import read_view
from bertdistill.engine.analysis.certainty import Certainty
from bertdistill.engine.pareto.repeats import Repeats
from bertdistill.store.db import Database
from bertdistill.store.rows import Attempt


def test_ranked_list(db: Database) -> None:
    """Stars, states, sizes, who is better, why it failed."""
    view = read_view(db, "demo")
    lines = ranked_list(view, view.trials, Page()).split("\n")
    assert 9 == len(lines)
    assert ["★", "#0", "✓", "complete", "90.00", "120k"] == lines[1].split()[:6]
    assert "rerun of #1, dominated by #1" in lines[4]
    assert "misses a threshold" in lines[6]
    assert "killed_by_signal_9" in lines[7]
    assert "▶ running 50%" in lines[8]


def test_ranked_list_fits_a_narrow_ascii_terminal(db: Database) -> None:
    """Sixty columns, ASCII marks: nothing wraps."""
    view = read_view(db, "demo")
    lines = ranked_list(view, view.trials, Page(width=60, ascii_only=True)).split("\n")
    assert max(len(line) for line in lines) <= 60
    assert lines[1].startswith("*")


def test_headline(db: Database) -> None:
    """One line with state, counts and budget."""
    line = headline(read_view(db, "demo"), Page())
    assert line.startswith("demo: ▶ running, 1 running, 6 complete, 1 failed, 8 in the budget, hypervolume 0.")


def test_chart_names_the_frontier(db: Database) -> None:
    """The plain chart labels frontier, baseline and reference."""
    text = chart(read_view(db, "demo"), Page())
    assert [True] * 4 == [label in text for label in ("#1★", "#0", "○published", "teacher 95.00")]


def test_page_of_a_dominated_trial(db: Database) -> None:
    """The rank card compares it with the trial above it; settings say what the parent had."""
    view = read_view(db, "demo")
    trial, details = read_details(db, view, 7)
    text = details_text(view, trial, details, Page())
    assert "4 of 6, dominated by #1 (exact 88.00 against 86.00, params 80.0k against 80.0k)" in text
    assert "rerun of #1" in text
    assert "parent 0.001" in text


def test_an_interval_beside_one_of_several_seeds_is_named_that_of_the_mean(db: Database) -> None:
    """The trial's own score may be outside of it."""
    view = read_view(db, "demo")
    trial = view.trials[3]
    sure = Certainty(intervals={trial.number: {"exact": (60.0, 64.0)}})
    alone = dataclasses.replace(view, certainty=sure)
    group = Repeats((trial.number, 99), 2, view.values(trial), {"exact": 1.0})
    several = dataclasses.replace(alone, repeats={trial.number: group})
    pages = [trial_page(one, trial, Page()) for one in (alone, several)]
    assert [False, True] == ["95 % interval of the mean" in page for page in pages]
    assert all("60.00 to 64.00" in page for page in pages)


def test_page_of_a_failed_trial(db: Database) -> None:
    """Cause of death, last log lines, and no escape sequence or markup from either."""
    view = read_view(db, "demo")
    trial, details = read_details(db, view, 5)
    text = details_text(view, trial, details, Page())
    assert "reason killed_by_signal_9 [/red] gone" in " ".join(text.split())
    assert "last lines of attempt 1 (killed_by_signal_9)\n  line one\n  out of luck" in text
    assert "\x1b" not in text


def test_page_of_a_trial_under_a_threshold(db: Database) -> None:
    """It says which threshold."""
    view = read_view(db, "demo")
    trial, details = read_details(db, view, 4)
    assert "misses the threshold exact 20.00" in details_text(view, trial, details, Page())


def test_no_attempt_is_said() -> None:
    """A waiting trial has no attempts."""
    assert "no attempts yet" == attempts_text([])


def test_versions_are_named_once_for_all_that_ran_with_them() -> None:
    """Below the attempts; a worker may write anything into them."""
    given = [{"torch": "2.13.0"}, {"torch": "2.13.0"}, {"torch": "3.0\x1b[2J"}, {}]
    attempts = [
        Attempt(study_id=1, kind="trial", number=n, folder="f", started_at=1.0, outcome={"versions": one})
        for n, one in enumerate(given)
    ]
    lines = attempts_text([attempt_row(one, 0, now=2.0) for one in attempts]).splitlines()
    assert lines[-2] == "trial 0, trial 1: torch 2.13.0"
    assert lines[-1].startswith("trial 2: torch 3.0")
    assert "\x1b" not in lines[-1]


def test_checks_have_hints_below() -> None:
    """A finding is a line, its remedy the next."""
    rows = [{"check": "disk", "state": "warning", "detail": "1 GB free", "hint": "Free space."}]
    first, second = checks_text(rows, ascii_only=True).split("\n")
    assert ["!", "warning", "disk", "1", "GB", "free"] == first.split()
    assert "hint: Free space." == second.strip()


@pytest.mark.parametrize(
    ("search", "params", "expected"),
    [
        ({"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}, {"learning_rate": 1e-5}, "learning_rate=0.0001"),
        ({"alpha": {"low": 0.0, "high": 1.0}}, {"alpha": 0.8}, "alpha=0.4"),
        ({"layers": {"low": 1, "high": 4}}, {"layers": 2}, "learning_rate=2.5e-05"),
    ],
)
def test_the_change_that_is_advised_is_one_that_a_rerun_accepts(
    tmp_path: Path, search: dict[str, Any], params: dict[str, Any], expected: str
) -> None:
    """Inside the space, and not what the trial has already."""
    assert expected == one_change(study_spec(tmp_path, search=search, baseline={}), params)
