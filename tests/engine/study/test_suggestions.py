"""Values that are taken instead of a refused one: near it, never the old one, and every one of them checked."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.engine.study.space import Parameter, Value
from bertdistill.engine.study.suggestions import example, fixed_parameter, limits, read_fixed, suggested

WIDTH = Parameter("hidden_size", "int", 16, 64)
RATE = Parameter("learning_rate", "float", 1e-5, 1e-3, log=True)


def anything(value: Value) -> bool:
    """Every value is taken."""
    return True


@pytest.mark.parametrize(
    ("parameter", "text", "old", "found"),
    [
        (Parameter("layers", "int", 1, 6), "9", 6, [4, 5]),
        (Parameter("layers", "int", 1, 6), "9", 4, [5, 6]),
        (Parameter("layers", "int", 1, 6), "-3", 4, [1, 2]),
        (Parameter("layers", "int", 1, 6), "", 4, [3, 5]),
        (Parameter("layers", "int", 1, 6), "1e300", 4, [3, 5]),
        (Parameter("layers", "int", 1, 6, step=5), "3", 1, [6]),
        (Parameter("dropout", "float", 0.1, 0.4, step=0.1), "0.25", 0.2, [0.1, 0.3]),
        (Parameter("dropout", "choice", choices=(0.0, 0.3, 0.1)), "0.2", 0.0, [0.1, 0.3]),
        (Parameter("layer_choice", "choice", choices=("first", "even", "list")), "od", "first", ["even", "list"]),
        (RATE, "5", 1e-3, [1e-4, 5e-4]),
        (RATE, "nan", 1e-4, [5e-5, 2e-4]),
        (fixed_parameter("seed"), "-1", 42, [0, 1]),
        (fixed_parameter("seed"), "", 42, [41, 43]),
        (fixed_parameter("max_grad_norm"), "x", 1.0, [0.5, 2.0]),
    ],
)
def test_the_nearest_on_both_sides(parameter: Parameter, text: str, old: Any, found: list[Value]) -> None:
    """One below and one above what was typed, or around the old value; two of one side where the other has none."""
    assert found == suggested(parameter, text, old, anything)
    assert all(type(old) is type(value) for value in found)


def test_only_what_is_taken_is_named() -> None:
    """Widths that eight divides: the neighbours of 36 are 32 and 40; of nothing that is taken, nothing is named."""
    assert [32, 40] == suggested(WIDTH, "36", 16, lambda value: int(value) % 8 == 0)
    assert [24, 40] == suggested(WIDTH, "36", 32, lambda value: int(value) % 8 == 0)
    assert [] == suggested(WIDTH, "36", 32, lambda value: False)
    assert ("For example 32 or 40.", "") == (example([32, 40]), example([]))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("batch_size", "", "batch_size is empty; allowed: 1 to 4096"),
        ("batch_size", "8.5", "batch_size = 8.5 is not a whole number; allowed: 1 to 4096"),
        ("seed", "-1", "seed = -1 is below 0; use at least 0"),
        ("epochs", "nan", "epochs = nan must be a number"),
        ("precision", "", "precision is empty; allowed: auto, fp32 or bf16"),
    ],
)
def test_a_fixed_setting_says_what_it_can_be(name: str, text: str, words: str) -> None:
    """Also where its key has no upper limit."""
    with pytest.raises(ValueError, match=f"^{words}$"):
        read_fixed(name, text)


def test_fixed_settings_are_read_as_their_kind() -> None:
    """Words stay words, whole numbers whole."""
    assert ("auto", 8, 2.0) == (
        read_fixed("precision", "auto"),
        read_fixed("batch_size", "8"),
        read_fixed("epochs", "2"),
    )
    assert "transformer, bottleneck, mlp, bilstm or linear" == limits(fixed_parameter("family"))
    assert ("at least 0", "0 to 0.9") == (limits(fixed_parameter("seed")), limits(fixed_parameter("dropout")))
