"""The log of a study says what happened, in order of time, from rows that are there anyway."""

from __future__ import annotations

import dataclasses
from contextlib import closing

from bertdistill.app.reader import Reader
from bertdistill.app.views.study_log import LONGEST, Event, study_log
from bertdistill.app.views.view import StudyView
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions
from bertdistill.store.rows import Attempt, Notice


def view_of(ws: Workspace) -> StudyView:
    """The sample study."""
    with closing(Reader(ws)) as reader:
        return reader.view("demo")


def lines(events: list[Event], trial: int | None) -> list[tuple[str, str, bool]]:
    """Kind, words and tone of the lines about one trial."""
    return [(event.kind, event.words, event.bad) for event in events if event.trial == trial]


def test_starts_and_ends_of_trials(ws: Workspace) -> None:
    """How it came about, what came of it, and why it ended badly."""
    view = view_of(ws)
    events = study_log(view, [], [], None)
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert ["start", "end"] == [kind for kind, _, _ in lines(events, 0)]
    assert "starts, the baseline" == lines(events, 0)[0][1]
    assert lines(events, 0)[1][1].startswith("complete, exact 90.00, params 120k, gain +")
    assert "on the frontier" in lines(events, 0)[1][1]
    assert lines(events, 1)[0][1].startswith("starts, proposed by tpe: layers=1 hidden_size=64")
    assert ("start", "starts, rerun of #1: learning_rate=0.002", False) == lines(events, 7)[0]
    kind, words, bad = lines(events, 5)[1]
    assert ("end", True) == (kind, bad)
    assert words.startswith("failed, killed_by_signal_9: ")
    assert ["start"] == [kind for kind, _, _ in lines(events, 6)]


def test_a_score_of_zero_is_told(ws: Workspace) -> None:
    """A model that answers nothing right has a score, too."""
    view = view_of(ws)
    poor = dataclasses.replace(view, measured={**view.measured, 2: {"exact": 0.0, "params": 15_000}})
    assert "exact 0.00" in lines(study_log(poor, [], [], None), 2)[-1][1]


def test_a_trial_that_waits_for_long_has_a_line_for_it(ws: Workspace) -> None:
    """A proposal that starts at once has one line, not two."""
    view = view_of(ws)
    trial = view.trial(7)
    assert trial is not None
    late = dataclasses.replace(trial, started_at=trial.created_at + 60)
    found = lines(study_log(dataclasses.replace(view, trials=(late,)), [], [], None), 7)
    assert [("waits", "waits, rerun: layers=1 hidden_size=64 learning_rate=0.002"), ("start", "starts")] == [
        pair[:2] for pair in found[:2]
    ]


def test_preparation_requests_and_notices(ws: Workspace) -> None:
    """Each with when it was, who asked and what came of it."""
    actions.annotate(ws, "demo", 3, note="slow", who="anna")
    prepare = Attempt(
        study_id=1, kind="prepare", number=1, folder="x", started_at=5.0, ended_at=9.0, exit_class="crashed"
    )
    notice = Notice(id=4, at=7.0, level="warning", text="the disk is nearly full")
    with closing(Reader(ws)) as reader:
        events = study_log(reader.view("demo"), [notice], reader.changes("demo"), prepare)
    assert [("start", 5.0, False), ("warning", 7.0, False), ("end", 9.0, True)] == [
        (e.kind, e.at, e.bad) for e in events if e.trial is None and e.at < 100
    ]
    assert [("asked", False)] == [(kind, bad) for kind, _, bad in lines(events, 3) if kind == "asked"]
    assert ["anna asked: note"] == [words[:16] for kind, words, _ in lines(events, 3) if kind == "asked"]


def test_only_the_newest_lines_are_made(ws: Workspace) -> None:
    """A study of a thousand trials has a short log."""
    view = view_of(ws)
    notices = [Notice(id=i, at=float(i), level="info", text="x") for i in range(LONGEST + 50)]
    assert LONGEST == len(study_log(view, notices, [], None))
