"""Trials side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bertdistill.engine.analysis.comparison import compare
from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.pareto.frontier import Objective

OBJECTIVES = (Objective("exact", "maximize"), Objective("params", "minimize"))


def trial(number: int, exact: float | None, params: float, *, layers: int, study: str = "s") -> Outcome:
    """A trial with a searched and two fixed settings."""
    settings = {"alpha": 0.5, "layers": layers, "seed": 42}
    values = {"params": params, "exact": exact, "null_threshold": number + 0.5}
    return Outcome(number, {"layers": layers}, values, settings, study=study)


def test_identical_settings_can_be_told_apart_from_differing_ones() -> None:
    """Searched settings come first."""
    found = compare([trial(0, 60, 100, layers=6), trial(1, 50, 50, layers=3)], OBJECTIVES)
    assert ["layers", "alpha", "seed"] == [row.name for row in found.settings]
    assert [("layers", (6, 3), True)] == [(row.name, row.values, row.searched) for row in found.differing]


def test_a_setting_of_two_families_is_one_row() -> None:
    """Whatever table it is searched in; a family that does not use a setting has no value for it."""
    one = Outcome(0, {"family": "mlp", "mlp.hidden_size": 16}, {}, {"family": "mlp", "hidden_size": 16, "heads": 2})
    other = Outcome(1, {"heads": 2}, {}, {"family": "transformer", "hidden_size": 64, "heads": 2})
    rows = {row.name: (row.values, row.searched) for row in compare([one, other], OBJECTIVES).settings}
    assert {
        "family": (("mlp", "transformer"), True),
        "hidden_size": ((16, 64), True),
        "heads": ((None, 2), True),
    } == rows


def test_differences_are_to_the_first() -> None:
    """Objectives come first; better and worse follow their directions; an abstention threshold has no better side."""
    found = compare([trial(0, 60, 100, layers=6), trial(1, 45, 50, layers=3)], OBJECTIVES)
    assert ["exact", "params", "null_threshold"] == [row.name for row in found.metrics]
    gaps = [row.differences[1] for row in found.metrics]
    assert [(-15, -25.0), (-50, -50.0), (1.0, None)] == [(gap.absolute, gap.percent) for gap in gaps if gap]
    assert [("", "worse"), ("", "better"), ("", "")] == [row.verdicts for row in found.metrics]


def test_equal_and_missing_values() -> None:
    """Equal is a word; what is missing gets none."""
    found = compare([trial(0, None, 100, layers=6), trial(1, 45, 100, layers=6)], OBJECTIVES)
    assert [("", ""), ("", "equal")] == [row.verdicts for row in found.metrics[:2]]
    assert () == found.differing


def test_trials_of_two_studies() -> None:
    """The same number in another study is another trial."""
    found = compare([trial(1, 60, 100, layers=6, study="a"), trial(1, 45, 50, layers=3, study="b")], OBJECTIVES)
    assert ("a", "b") == found.studies


@pytest.mark.parametrize("count", [0, 1, 7])
def test_two_to_six(count: int) -> None:
    """No fewer and no more."""
    with pytest.raises(InvalidRequest, match="2 to 6"):
        compare([trial(i, 1, 1, layers=1) for i in range(count)], OBJECTIVES)


def test_no_trial_twice() -> None:
    """It would differ in nothing from itself."""
    one = trial(0, 60, 100, layers=6)
    with pytest.raises(InvalidRequest, match="twice"):
        compare([one, one], OBJECTIVES)


def test_a_difference_within_its_noise_is_a_tie() -> None:
    """Neither better nor worse; what is not known to be noise keeps its word."""
    trials = [trial(0, 60, 100, layers=6), trial(1, 61, 50, layers=3), trial(2, 70, 50, layers=3)]
    found = compare(trials, OBJECTIVES, lambda name, first, other, gap: gap < 2 if name == "exact" else None)
    assert [("", "tie", "better"), ("", "better", "better")] == [row.verdicts for row in found.metrics[:2]]


def test_values_over_several_seeds_have_their_spread() -> None:
    """The number of seeds of each trial stands beside them."""
    several = replace(trial(1, 61, 50, layers=3), seeds=3, spreads={"exact": 0.4})
    found = compare([trial(0, 60, 100, layers=6), several], OBJECTIVES)
    assert ((1, 3), (None, 0.4)) == (found.seeds, found.metrics[0].spreads)
