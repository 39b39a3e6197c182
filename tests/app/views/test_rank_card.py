"""The rank card: place, what is better, what is lacking, the gain, and what a trial is the best for."""

from __future__ import annotations

import dataclasses

import pytest

from bertdistill.app.views.analysis import study_scenarios
from bertdistill.app.views.rank_card import Fact, rank_card, short_gap
from bertdistill.app.views.view import read_view
from bertdistill.engine.analysis.certainty import Certainty
from bertdistill.engine.analysis.outcomes import difference
from bertdistill.store.db import Database


def card(db: Database, number: int) -> dict[str, Fact]:
    """The card of a trial of the sample study by the names of its facts."""
    view = read_view(db, "demo")
    trial = view.trial(number)
    assert trial is not None
    return {fact.name: fact for fact in rank_card(view, trial, study_scenarios(view))}


def test_a_dominated_trial(db: Database) -> None:
    """It names the trial above it, which is where the line leads, and what it lacks in each objective."""
    found = card(db, 3)
    assert (
        "the frontier, then by distance to it in shares of the objectives' ranges, sizes as logarithms"
        == found["order"].words
    )
    assert ", dominated by #1 (exact 88.00 against 70.00, params 80.0k against 90.0k)" in found["rank"].words
    assert found["distance"].words.startswith("to #1: exact 18.00 less, params 12 % more; ")
    assert found["distance"].words.endswith(" % of the ranges away")
    assert [1, 1] == [found["rank"].trial, found["distance"].trial]
    assert "0 of the hypervolume when it finished" in found["gain"].words


def test_a_frontier_trial(db: Database) -> None:
    """Nothing is better; it is the answer to some purposes."""
    found = card(db, 0)
    assert "1 of 6, on the frontier" == found["rank"].words
    assert "distance" not in found
    assert "best score" in found["best for"].words
    assert "no feasible trial comes that close; the closest is #0" == found["near the teacher"].words


def test_a_trial_under_a_threshold(db: Database) -> None:
    """How far from the threshold; it gained nothing."""
    found = card(db, 4)
    assert "6 of 6, misses the threshold exact 20.00" == found["rank"].words
    assert found["distance"].words.startswith("to the threshold: exact 15.00 less")
    assert "gain" not in found


def test_a_trial_without_rank(db: Database) -> None:
    """It says why."""
    assert {"rank", "near the teacher"} == set(card(db, 6))


def test_the_smallest_near_the_teacher(db: Database) -> None:
    """The trial itself says so, the others name it."""
    view = read_view(db, "demo")
    study = dataclasses.replace(view.study, prepared={"teacher_metrics": {"exact": 88.5}})
    view = dataclasses.replace(view, study=study)
    table = study_scenarios(view)
    words = {}
    for number in (1, 0):
        trial = view.trial(number)
        assert trial is not None
        words[number] = {fact.name: fact for fact in rank_card(view, trial, table)}["near the teacher"]
    assert Fact("near the teacher", "this one: lowest params with exact within 1 point of the teacher") == words[1]
    assert "lowest params with exact within 1 point of the teacher is #1 (exact 88.00, params 80.0k)" == words[0].words
    assert 1 == words[0].trial


def test_how_sure_a_place_is(db: Database) -> None:
    """What to expect when it is measured again is a score, not a difference; a dominated trial may be tied."""
    sure = Certainty(on_frontier={1: 0.45, 3: 0.3}, luck={1: 0.79, 3: -0.2}, metric="exact")
    view = dataclasses.replace(read_view(db, "demo"), certainty=sure)
    found = {}
    for number in (1, 3):
        trial = view.trial(number)
        assert trial is not None
        found[number] = {fact.name: fact.words for fact in rank_card(view, trial, study_scenarios(view))}
    assert "45 % likely to be on the frontier" == found[1]["certainty"]
    assert "expect about 87.21 when measured again (best of 6)" == found[1]["luck"]
    assert "30 % likely to be on the frontier; tied with it" == found[3]["certainty"]
    assert "luck" not in found[3]


@pytest.mark.parametrize(
    ("metric", "value", "other", "expected"),
    [
        ("exact", 70.0, 71.64, "-1.64"),
        ("exact", 70.0, 70.0, "0.00"),
        ("accuracy", 0.8106, 0.8485, "-0.0379"),
        ("params", 51_000_000, 66_000_000, "-23 %"),
        ("params", 82_454, 22_700_000, "-99.6 %"),
        ("params", 10, 22_700_000, "-99.9 %"),
        ("latency_ms", 10.2, 10.0, "+2.0 %"),
        ("latency_ms", 10.0, 10.0, "0 %"),
        ("search_loss", 0.5, 0.0, "+0.5000"),
        ("null_threshold", 0.409, -1.211, "+1.620"),
        ("null_threshold", 1.0, 0.5, "+0.500"),
        ("exact", None, 70.0, ""),
    ],
)
def test_gaps_are_points_or_percent(metric: str, value: float | None, other: float, expected: str) -> None:
    """Points for percentages, percent for all else, points again where a ratio says nothing."""
    assert expected == short_gap(metric, difference(metric, value, other))
