"""What was tried of a parameter, and what a key allows."""

from __future__ import annotations

from bertdistill.app.views.setting_card import STRIP, key_facts, tried
from bertdistill.engine.study.space import Parameter
from bertdistill.engine.study.study_spec import RunnerSection


def test_choices_are_counted_even_those_that_were_not_tried() -> None:
    """In the order of the study file."""
    assert "16 (2)  32 (0)  64 (1)" == tried(Parameter("hidden_size", "choice", choices=(16, 32, 64)), [16, 64, 16])


def test_numbers_stand_along_their_range() -> None:
    """On the scale of the parameter: 0.01 is in the middle of 0.0001 to 1 if it is logarithmic."""
    parameter = Parameter("learning_rate", "float", 1e-4, 1.0, log=True)
    low, strip, high = tried(parameter, [0.01 * (1 + n / 1000) for n in range(10)], ascii_only=True).split(" ")
    assert ("0.0001", "1", STRIP // 2) == (low, high, strip.index("#"))


def test_a_key_with_its_limits() -> None:
    """What it is by itself, and what it may be."""
    found = dict(key_facts(RunnerSection(), "retries"))
    assert ("by itself", "at least") == (next(iter(found)), found["limits"][:8])
