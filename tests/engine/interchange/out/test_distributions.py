"""Which distribution a parameter gets."""

from __future__ import annotations

import math

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from bertdistill.engine.interchange.out.distributions import distributions, scalar
from bertdistill.engine.study.space import Parameter


def test_the_space_counts_where_it_holds_what_ran() -> None:
    """What a person queued outside of it, or logged without it, is described as it was seen."""
    space = (
        Parameter("layers", "int", 1, 6),
        Parameter("rate", "float", 0.1, 1.0),
        Parameter("act", "choice", choices=("a", "b")),
    )
    seen = [
        {"layers": 2, "rate": 0.5, "act": "a", "free": 1, "same": "x", "either": None},
        {"layers": 3, "rate": 20.0, "act": "a", "free": 1000, "same": "x", "either": "y"},
    ]
    assert {
        "layers": IntDistribution(1, 6),
        "rate": FloatDistribution(0.5, 20.0, log=True),
        "act": CategoricalDistribution(("a", "b")),
        "free": IntDistribution(1, 1000, log=True),
        "same": CategoricalDistribution(("x",)),
        "either": CategoricalDistribution((None, "y")),
    } == distributions(space, seen)


def test_values_that_optuna_cannot_hold_are_text() -> None:
    """It keeps numbers as floats."""
    for value in (None, "x", True, 3, 2.5, 2**53):
        assert value is scalar(value)
    assert ["inf", str(2**53 + 1), "[1]"] == [scalar(value) for value in (math.inf, 2**53 + 1, [1])]
