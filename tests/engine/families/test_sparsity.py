"""Pruning as arithmetic: schedules by hand, and which settings mean the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.sparsity import KEYS, USES, Pruning, idle, pruning_of


def pruning(**changes: Any) -> Pruning:
    found = pruning_of(Settings(**{"sparsity": 0.8, **changes}))
    assert found is not None
    return found


def test_the_cubic_schedule_by_hand() -> None:
    """Zhu and Gupta: s_f (1 - (1 - t)^3), here for t = 0, 1/4, 1/2 and 1 of steps 10 to 50."""
    found = pruning(pruning="gradual", pruning_begin=0.1, pruning_end=0.5)
    levels = [found.level(step, 100) for step in (0, 10, 20, 30, 50, 99, 100)]
    assert levels == pytest.approx([0, 0, 0.8 * (1 - 27 / 64), 0.8 * 7 / 8, 0.8, 0.8, 0.8])
    assert 0.8 == found.level(50, 100)


def test_rounds_are_steps_of_the_same_schedule() -> None:
    """Four rounds over 40 steps: every 10 steps to the value that the schedule has there."""
    gradual, rounds = (pruning(pruning=name, pruning_end=0.4, pruning_rounds=4) for name in ("gradual", "iterative"))
    for start in (0, 10, 20, 30):
        levels = {rounds.level(step, 100) for step in range(start, start + 10)}
        assert {gradual.level(start, 100)} == levels


@pytest.mark.parametrize(("when", "first", "last"), [("before", 0.8, 0.8), ("after", 0.0, 0.0), ("during", 0.0, 0.8)])
def test_once_or_during(when: str, first: float, last: float) -> None:
    """All zeros at the first step, or none until the last one is done."""
    found = pruning(pruning="magnitude", pruning_when=when)
    assert [first, last, 0.8] == [found.level(step, 9) for step in (0, 8, 9)]


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
@pytest.mark.parametrize(("begin", "end"), [(0.0, 0.6), (0.9, 1.0), (0.0, 0.001)])
def test_short_trainings_reach_the_sparsity(steps: int, begin: float, end: float) -> None:
    """Levels never fall, end at the target, and are settled no earlier."""
    found = pruning(pruning="iterative", pruning_begin=begin, pruning_end=end, pruning_rounds=50)
    levels = [found.level(step, steps) for step in range(steps + 1)]
    assert sorted(levels) == levels
    assert 0.8 == levels[-1]
    for step in range(1, steps):
        assert found.settled(step, steps) <= (levels[step - 1] == 0.8)
    assert found.settled(steps, steps)


def test_settings_of_equal_effect_are_equal() -> None:
    """So the search does not train twice for keys that the method ignores."""
    assert pruning(pruning="gradual") == pruning(pruning="magnitude", pruning_when="during")
    assert pruning(pruning="magnitude") == pruning(pruning="magnitude", pruning_end=0.9, pruning_rounds=3)
    assert pruning(pruning="movement") == pruning(pruning="movement", pruning_scope="embeddings")
    assert pruning(pruning="proximal", pruning_strength=0.1) == pruning(
        pruning="proximal", pruning_strength=0.1, sparsity=0.2
    )
    assert pruning(pruning="iterative") != pruning(pruning="iterative", pruning_rounds=3)
    assert None is pruning_of(Settings(sparsity=0.8))
    assert None is pruning_of(Settings(pruning="movement", sparsity=0.0))


@pytest.mark.parametrize("method", USES)
def test_idle_keys_change_nothing(method: str) -> None:
    """And each other key does."""
    other: dict[str, Any] = {
        "sparsity": 0.3,
        "pruning_scope": "embeddings",
        "pruning_when": "after",
        "pruning_begin": 0.2,
        "pruning_end": 0.9,
        "pruning_rounds": 4,
        "pruning_strength": 0.1,
        "pruning_learning_rate": 0.1,
    }
    assert KEYS == {"pruning", *other}
    settings = Settings(pruning=method)
    for key, value in other.items():
        same = pruning_of(settings) == pruning_of(dataclasses.replace(settings, **{key: value}))
        assert same == (key in idle(settings)), key


def test_a_schedule_that_ends_before_it_begins_is_refused() -> None:
    """A study file is checked before; a search may propose it."""
    with pytest.raises(ConfigError, match=r"pruning_begin is 0\.7"):
        pruning_of(Settings(pruning="gradual", pruning_begin=0.7))


def test_movement_waits_for_the_warm_up() -> None:
    """Before, all its scores are about 0; a later beginning counts, and other methods begin when they are told to."""
    assert [0.2, 0.3] == [pruning(pruning="movement", warmup_fraction=0.2, pruning_begin=x).begin for x in (0.0, 0.3)]
    assert 0.0 == pruning(pruning="gradual", warmup_fraction=0.2).begin
    with pytest.raises(ConfigError, match=r"settings\.warmup_fraction is 0\.7, which is not before pruning_end = 0\.6"):
        pruning_of(Settings(pruning="movement", warmup_fraction=0.7))
