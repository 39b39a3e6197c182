"""Which layers are compared: as published where layers divide, and refused where there are none."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.layer_pairs import hidden_pairs, states_bytes
from bertdistill.engine.families.transformer import TRANSFORMER, bert_shape

SIZES: dict[str, Any] = {"vocab_size": 100, "positions": 64, "hidden_size": 32, "ffn_size": 64, "head_size": 8}


def facts(teacher: int, init: int) -> Prepared:
    shapes = [bert_shape(**SIZES, layers=layers).to_dict() for layers in (teacher, init)]
    return Prepared(teacher_shape=shapes[0], init_shape=shapes[1])


@pytest.mark.parametrize(
    ("student", "teacher", "how", "expected"),
    [
        (6, 12, "skip", [2, 4, 6, 8, 10]),
        (6, 12, "last", [7, 8, 9, 10, 11]),
        (3, 12, "last", [10, 11]),
        (6, 24, "skip", [4, 8, 12, 16, 20]),
        (4, 6, "skip", [1, 3, 4]),
        (6, 6, "skip", [1, 2, 3, 4, 5]),
        (1, 6, "last", []),
    ],
)
def test_the_teacher_layers_of_pkd(student: int, teacher: int, how: str, expected: list[int]) -> None:
    """Its paper and its scripts, which count from 0; never the last layer of either."""
    pairs = hidden_pairs(student, teacher, how)
    assert list(range(1, student)) == [layer for layer, _ in pairs]
    assert expected == [layer for _, layer in pairs]


def test_the_size_of_the_states_of_mnli() -> None:
    """393 thousand pairs, eleven layers of 768 numbers of two bytes."""
    assert 392_702 * 11 * 768 * 2 == states_bytes(392_702, 12, 768)


@pytest.mark.parametrize(
    ("layers", "teacher", "message"),
    [(1, 4, "this student has one layer"), (4, 2, "for each of the student's 4, and it has 2")],
)
def test_layers_that_do_not_exist_are_refused(layers: int, teacher: int, message: str) -> None:
    settings = Settings(hidden_weight=10.0, layers=layers)
    with pytest.raises(ConfigError, match=message):
        TRANSFORMER.plan(facts(teacher, 4), settings, scratch=False)
    TRANSFORMER.plan(facts(teacher, 4), Settings(layers=layers), scratch=False)
