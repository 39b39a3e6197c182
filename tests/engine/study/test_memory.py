"""The memory that a trial will need."""

from __future__ import annotations

import dataclasses

import pytest

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.study.memory import Load, Memory, fit, load_of


def test_a_law_of_that_form_is_found() -> None:
    """Base 500 MB, 2 MB for each unit of work, and the weights."""
    loads = [Load(1e6, 10), Load(5e6, 40), Load(2e6, 80), Load(9e6, 160)]
    found = fit([(load, 500 + 16 * load.params / 1e6 + 2 * load.work) for load in loads])
    assert found is not None
    assert (found.base, found.slope, found.most, found.trials) == (
        pytest.approx(500),
        pytest.approx(2),
        pytest.approx(1),
        4,
    )
    assert found.estimate(Load(20e6, 300)) == pytest.approx(500 + 320 + 600)


def test_too_few_trials_say_nothing_and_equal_ones_only_a_base() -> None:
    """A slope needs trials that differ, and is never negative."""
    assert fit([(Load(1e6, 10), 500.0)] * 2) is None
    same = fit([(Load(1e6, 10), 500.0)] * 3)
    assert same == Memory(484.0, 0.0, 1.0, 3)
    falling = fit([(Load(0, 1), 300.0), (Load(0, 2), 200.0), (Load(0, 3), 100.0)])
    assert falling is not None
    assert (falling.slope, falling.base, falling.most) == (0.0, 200.0, 1.5)


def test_the_load_follows_from_settings_and_size() -> None:
    """A student that is fitted as a whole has no batch; without a size nothing is known."""
    known = {"params": 2e6, "gflops": 0.5}
    assert load_of(dataclasses.asdict(Settings(batch_size=8)), known) == Load(2e6, 4.0)
    assert load_of(dataclasses.asdict(Settings(family="linear")), known) is None
    assert load_of(dataclasses.asdict(Settings()), {}) is None
    assert load_of({"x": 1}, known) is None
