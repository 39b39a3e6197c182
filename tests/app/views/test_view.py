"""The view of a study ranks, orders and measures its trials."""

from __future__ import annotations

import dataclasses

import pytest

from bertdistill.app.draw.plane import Point
from bertdistill.app.views.certain import likely_words
from bertdistill.app.views.points import chart_axis, chart_points
from bertdistill.app.views.view import StudyView, all_metrics, chart_axes, differences, make_view, read_view, remark
from bertdistill.engine.analysis.certainty import Certainty
from bertdistill.store.db import Database
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import TrialState


def test_ranked_order(db: Database) -> None:
    """Frontier first, then dominated, then under a threshold, then what has no rank."""
    view = read_view(db, "demo")
    assert [0, 1, 2, 7, 3, 4, 5, 6] == [t.number for t in view.trials]
    assert [0, 1, 2] == [t.number for t in view.frontier]


def test_rank_card_facts(db: Database) -> None:
    """Dominated trials name who is better; a missed threshold makes a trial infeasible; failed ones have no rank."""
    view = read_view(db, "demo")
    assert (1, True, False) == (view.ranked[7].dominated_by, view.ranked[7].feasible, view.ranked[7].on_frontier)
    assert not view.ranked[4].feasible
    assert view.position(5) is None


def test_gains_sum_to_the_hypervolume(db: Database) -> None:
    """Only what pushed the frontier out gained; a rerun behind it gained nothing."""
    view = read_view(db, "demo")
    assert view.hypervolume == pytest.approx(sum(view.gain.values()))
    assert {0: True, 1: True, 2: True, 3: False, 7: False} == {n: g > 0 for n, g in sorted(view.gain.items())}


def test_parent_and_baseline(db: Database) -> None:
    """A rerun knows its parent, the study its baseline."""
    view = read_view(db, "demo")
    rerun = view.trial(7)
    assert rerun is not None
    parent, baseline = view.parent(rerun), view.baseline
    assert (1, 0) == (parent and parent.number, baseline and baseline.number)


def test_counts_and_progress(db: Database) -> None:
    """Six of the eight in the budget ended and one is half done; the rerun that ended too is not of the budget."""
    view = read_view(db, "demo")
    assert {"running": 1, "complete": 6, "failed": 1} == view.tally
    assert (6, pytest.approx(6.5 / 8)) == (view.finished, view.progress())


def test_a_rerun_beyond_the_budget_is_not_done_before_it_ends(db: Database) -> None:
    """The budget is used up, a rerun is half done: neither 100 % nor 0 s left."""
    view = read_view(db, "demo")
    rerun = dataclasses.replace(view.trials[-1], origin="rerun", progress=0.5)
    late = dataclasses.replace(view, finished=8, running=(rerun,), typical_seconds=60.0)
    assert ([rerun], pytest.approx(8.5 / 9), pytest.approx(30.0)) == (late.extra, late.progress(), late.seconds_left(1))
    done = dataclasses.replace(late, running=(), finished=8)
    assert (1.0, None) == (done.progress(), done.seconds_left(1))


def test_a_score_at_chance_is_marked(db: Database) -> None:
    """In the list, in the chart, and as a line of the axis."""
    view = read_view(db, "demo")
    study = dataclasses.replace(view.study, prepared={"chance": {"exact": 49.7}})
    view = make_view(study, view.outline, view.trials)
    at = {t.number for t in view.trials if view.at_chance(t)}
    assert {2, 4, 6} == at
    assert {"at chance", ""} == {remark(view, t) for t in view.frontier if t.number != 0}
    sure = dataclasses.replace(view, certainty=Certainty(on_frontier={2: 0.41}))
    words = likely_words(sure, next(trial for trial in view.trials if trial.number == 2))
    assert "41 % likely to be on the frontier, for its size alone: always answering one label scores as much" == words
    assert "#2 at chance" in [point.label for point in chart_points(view, "params", "exact")]
    assert (49.7, "chance 49.70") in chart_axis(view, "exact").lines


def test_metrics_are_known_and_measured_ones(db: Database) -> None:
    """What is known before training stands beside what was measured; missing values are None."""
    view = read_view(db, "demo")
    failed = view.trial(5)
    assert failed is not None
    assert {"params": 120_000.0, "size_mb": 0.48, "exact": None, "latency_ms": 1.5} == all_metrics(failed)


def test_unknown_study_names_the_nearest(db: Database) -> None:
    """A slip of the pen is answered with the right name."""
    with pytest.raises(NotFound, match="demmo") as caught:
        read_view(db, "demmo")
    assert "Did you mean 'demo'?" == caught.value.hint


def test_differences() -> None:
    """Old and new value by name, one-sided keys included."""
    assert {"b": (1, 2), "c": (None, 3)} == differences({"a": 0, "b": 2, "c": 3}, {"a": 0, "b": 1})


def test_chart_has_every_trial_with_both_values(db: Database) -> None:
    """A running trial stands at its known size with its newest score; the failed one has no score; references count."""
    view = read_view(db, "demo")
    assert ("params", "exact") == chart_axes(view)
    points = chart_points(view, "params", "exact")
    assert Point(120_000, 90.0, "baseline", "#0", edge=True) in points
    assert Point(40_000, 30.0, "running", "#6") in points
    assert Point(50_000, 60.0, "reference", "published") in points
    assert 8 == len(points)
    kinds = {p.label: p.kind for p in points if p.label}
    assert {"#0": "baseline", "#1": "frontier", "#2": "frontier", "#6": "running", "published": "reference"} == kinds


def test_what_is_tied_has_no_label(db: Database) -> None:
    """There may be more of them than the frontier has points."""
    view = read_view(db, "demo")
    dominated = next(n for n, row in view.ranked.items() if row.feasible and not row.on_frontier)
    sure = Certainty(on_frontier={dominated: 0.5})
    tied = [p for p in chart_points(dataclasses.replace(view, certainty=sure), "params", "exact") if p.kind == "tied"]
    assert [""] == [point.label for point in tied]


def test_axis_lines(db: Database) -> None:
    """The threshold and the teacher are lines of the score's axis."""
    axis = chart_axis(read_view(db, "demo"), "exact")
    assert ((20.0, "threshold 20.00"), (95.0, "teacher 95.00")) == axis.lines
    assert "exact ↑" == axis.title


def test_sizes_that_vary_widely_are_on_a_logarithmic_axis(db: Database) -> None:
    """From a bag of words to an encoder; archived trials are not in the chart, and scores are never logarithmic."""
    view = read_view(db, "demo")
    assert not chart_axis(view, "params").log
    large = dataclasses.replace(view.trials[0], number=8, known={"params": 1.7e7}, metrics={}, state=TrialState.RUNNING)
    assert chart_axis(make_view(view.study, view.outline, [*view.trials, large]), "params").log
    archived = dataclasses.replace(large, archived=True)
    assert not chart_axis(make_view(view.study, view.outline, [*view.trials, archived]), "params").log
    low = dataclasses.replace(large, known={"exact": 0.1})
    assert not chart_axis(make_view(view.study, view.outline, [*view.trials, low]), "exact").log


@pytest.mark.parametrize(
    ("value", "text"), [(1e6, "1M"), (1.5e6, "1.5M"), (1.25e6, "1.25M"), (1e5, "100k"), (1e7, "10M")]
)
def test_ticks_are_as_short_as_their_values(db: Database, value: float, text: str) -> None:
    """`1M`, not `1.00M` between `100k` and `10.0M`."""
    assert text == chart_axis(read_view(db, "demo"), "params").text(value)


def repeated(view: StudyView, number: int, *scores: float) -> StudyView:
    """The same study where trial `number` was repeated with other seeds, which scored this much."""
    one = next(t for t in view.trials if t.number == number)
    more = [
        dataclasses.replace(
            one,
            id=100 + seed,
            number=20 + seed,
            settings={**one.settings, "seed": seed},
            metrics={**one.metrics, "exact": score},
            finished_at=(one.finished_at or 0.0) + 100 + seed,
            origin="sampler",
        )
        for seed, score in enumerate(scores, 1)
    ]
    first = [dataclasses.replace(t, settings={**t.settings, "seed": 0}) for t in view.trials]
    return make_view(view.study, view.outline, [*first, *more])


def test_repeats_share_a_rank_and_a_place_in_the_chart(db: Database) -> None:
    """Each trial keeps its own score in the list; the frontier, the chart and the rank have the mean of the seeds."""
    before = read_view(db, "demo")
    view = repeated(before, 1, 70.0, 74.0)
    score = before.values(before.trials[1])["exact"] or 0.0
    mean = (score + 144.0) / 3
    members = [t for t in view.trials if t.number in (1, 21, 22)]
    assert [score, 70.0, 74.0] == [view.values(t)["exact"] for t in members]
    assert [pytest.approx(mean)] * 3 == [view.means(t)["exact"] for t in members]
    assert 1 == len({view.position(t.number) for t in members})
    assert (len(before.ranked), len(before.ranked) + 2) == (view.points, len(view.ranked))
    assert view.hypervolume == pytest.approx(sum(view.gain.values()))
    marks = [p for p in chart_points(view, "params", "exact") if p.y == pytest.approx(mean)]
    assert 3 == len(marks)
    assert 1 >= len([p for p in marks if p.label])


def test_remarks_name_the_repeats(db: Database) -> None:
    """The first of them has the mean and the number of seeds; the others say whose repeats they are."""
    view = repeated(read_view(db, "demo"), 2, 60.0, 62.0)
    first, other = view.trial(2), view.trial(21)
    assert first is not None
    assert other is not None
    assert "± " in remark(view, first)
    assert "3 seeds" in remark(view, first)
    assert "repeat of #2: " in remark(view, other)
    assert 21 not in [t.number for t in view.frontier]
