"""Which trial serves which purpose."""

from __future__ import annotations

import pytest

from bertdistill.engine.analysis.outcomes import Difference, Outcome
from bertdistill.engine.analysis.scenarios import Scenario, scenarios
from bertdistill.engine.pareto.frontier import Objective

OBJECTIVES = (Objective("exact", "maximize", 50.07), Objective("params", "minimize"))


def trial(number: int, exact: float | None, millions: float, *, baseline: bool = False) -> Outcome:
    """A complete trial, feasible when it reaches the threshold."""
    fit = exact is not None and exact >= 50.07
    values = {"exact": exact, "params": millions * 1e6}
    return Outcome(number, {}, values, complete=True, feasible=fit, baseline=baseline)


# The values that were published for the experiment on SQuAD 2.0 which this project repeats.
PUBLISHED = [
    trial(0, 67.07, 66.3, baseline=True),
    trial(1, 70.55, 66.36),
    trial(2, 67.3, 51.4),
    trial(3, 68.0, 60.0),
    trial(4, 50.5, 30.0),
    trial(5, 40.0, 25.0),
]


def by_name(trials: list[Outcome], teacher: dict[str, float | None] | None = None) -> dict[str, Scenario]:
    """The rows by their names."""
    return {row.name: row for row in scenarios(trials, OBJECTIVES, teacher).rows}


def test_every_purpose_has_its_trial() -> None:
    """A larger trial never keeps the size; one under the threshold is never the smallest."""
    rows = by_name(PUBLISHED, {"exact": 71.5})
    expected = {
        "keep size, gain score": 3,
        "shrink, keep score": 2,
        "smallest feasible": 4,
        "best score": 1,
        "near the teacher": 1,
    }
    assert expected == {name: row.number for name, row in rows.items()}


def test_differences_are_absolute_and_in_percent_of_the_baseline() -> None:
    """22.5 % smaller at the same score, as published."""
    row = by_name(PUBLISHED)["shrink, keep score"]
    size, score = row.differences["params"], row.differences["exact"]
    assert (pytest.approx(-14.9e6), pytest.approx(-22.47, abs=0.01)) == (size.absolute, size.percent)
    assert (pytest.approx(0.23), pytest.approx(0.34, abs=0.01)) == (score.absolute, score.percent)


def test_near_the_teacher_is_compared_with_the_teacher() -> None:
    """Exactly one point below is near, whatever the binary digits of 72.4 - 1 are."""
    trials = [trial(0, 72.4, 60, baseline=True), trial(1, 71.4, 20), trial(2, 71.3, 10)]
    row = by_name(trials, {"exact": 72.4})["near the teacher"]
    assert 1 == row.number
    assert {"exact": Difference(pytest.approx(-1.0), pytest.approx(-1.38, abs=0.01))} == row.differences


def test_nothing_near_the_teacher_names_the_nearest() -> None:
    """The best score there is."""
    row = by_name(PUBLISHED, {"exact": 99.0})["near the teacher"]
    assert (None, "no feasible trial comes that close; the closest is #1") == (row.number, row.remark)


def test_a_teacher_without_that_score() -> None:
    """Said, not guessed."""
    assert "the teacher has no exact" == by_name(PUBLISHED, {"f1": 80.0})["near the teacher"].remark


def test_the_baseline_answers_when_nothing_beats_it() -> None:
    """And the row says so."""
    rows = by_name([trial(0, 90.0, 10, baseline=True), trial(1, 80.0, 20)])
    assert {0} == {row.number for name, row in rows.items() if name != "near the teacher"}
    assert "the baseline itself: no trial is better" == rows["best score"].remark


def test_without_a_baseline_two_rows_have_no_trial() -> None:
    """The others need none."""
    table = scenarios([trial(1, 60.0, 20)], OBJECTIVES)
    assert table.baseline is None
    assert [None, None, 1, 1, None] == [row.number for row in table.rows]
    assert (
        "the study has no baseline; with a [baseline] table in its file, trial 0 is the baseline"
        == table.rows[0].remark
    )


def test_a_baseline_that_is_not_complete_is_awaited() -> None:
    """That is another thing than none."""
    waiting = Outcome(0, {}, {}, baseline=True)
    assert "the baseline is not complete" == scenarios([waiting, trial(1, 60.0, 20)], OBJECTIVES).rows[0].remark
    assert "the baseline is not complete" == scenarios([], OBJECTIVES, has_baseline=True).rows[0].remark


@pytest.mark.parametrize(("level", "number"), [(40.0, 4), (50.07, 2), (99.0, None)])
def test_the_smallest_has_learnt_something(level: float, number: int | None) -> None:
    """A student that never answers is small, feasible and useless; just above chance is luck."""
    table = scenarios(PUBLISHED, OBJECTIVES, chance={"exact": level})
    row = next(row for row in table.rows if row.name == "smallest feasible")
    assert (number, True) == (row.number, row.rule.endswith(f"above chance ({level:.2f})"))


def test_a_baseline_under_the_threshold_still_compares() -> None:
    """It is no answer itself, but others are measured by it."""
    table = scenarios([trial(0, 40.0, 66, baseline=True), trial(1, 60.0, 50)], OBJECTIVES)
    assert [1, 1, 1, 1, None] == [row.number for row in table.rows]


def test_ties_go_to_the_better_other_metric_then_to_the_earlier_trial() -> None:
    """Equal scores: the smaller; equal in both: the first."""
    trials = [trial(0, 60, 50, baseline=True), trial(3, 70, 40), trial(2, 70, 30), trial(1, 70, 30)]
    assert 1 == by_name(trials)["best score"].number


def test_no_trial_at_all() -> None:
    """A study that just began has a table without trials."""
    assert {None} == {row.number for row in scenarios([], OBJECTIVES).rows}


def test_two_sizes_play_both_parts() -> None:
    """Directions decide what better means, not the names of the parts."""
    objectives = (Objective("params", "minimize"), Objective("latency_ms", "minimize"))
    trials = [
        Outcome(0, {}, {"params": 10.0, "latency_ms": 5.0}, complete=True, feasible=True, baseline=True),
        Outcome(1, {}, {"params": 9.0, "latency_ms": 4.0}, complete=True, feasible=True),
        Outcome(2, {}, {"params": 1.0, "latency_ms": 6.0}, complete=True, feasible=True),
    ]
    table = scenarios(trials, objectives)
    assert ("params", "latency_ms") == (table.size, table.score)
    assert [1, 1, 2, 1] == [row.number for row in table.rows[:4]]
