"""Trials are repeats where nothing that has an effect differs but the seed."""

from __future__ import annotations

from typing import Any

from bertdistill.engine.families.same_point import point_of, points_of, without_seed


def settings(**changes: Any) -> dict[str, Any]:
    return {"family": "mlp", "hidden_size": 64, "alpha": 0.0, "temperature": 2.0, "layers": 6, "seed": 1, **changes}


def test_only_what_has_an_effect_makes_a_point() -> None:
    """A bag of words has no layers, and without a soft loss there is no temperature."""
    same = settings(seed=2, layers=3, temperature=4.0)
    assert without_seed(settings()) == without_seed(same)
    assert without_seed(settings()) != without_seed(settings(hidden_size=32))
    assert without_seed(settings(alpha=0.5)) != without_seed(settings(alpha=0.5, temperature=4.0))


def test_nothing_repeats_a_run_without_a_seed() -> None:
    """Runs that recorded nothing would all be one point."""
    assert (None, None) == (point_of({}), point_of({"family": "mlp", "layers": 3}))


def test_a_study_of_one_seed_compares_no_settings() -> None:
    """Equal trials of one seed are duplicates, not repeats; with another seed both are points."""
    assert {} == points_of([(0, settings()), (1, settings())])
    found = points_of([(0, settings()), (1, settings(seed=2)), (2, settings(seed=2, hidden_size=8)), (3, {})])
    assert found[0] == found[1] != found[2]
    assert 3 not in found
