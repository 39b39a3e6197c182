"""Which layers are compared: as published where layers divide, and refused where there are none."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import INIT_UNITS, Prepared, Units
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.layer_pairs import compared, even_pairs, hidden_pairs, states_bytes
from bertdistill.engine.families.transformer import TRANSFORMER

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


def test_the_layers_of_tinybert() -> None:
    """Embeddings with embeddings, the last layer with the last."""
    assert ((0, 0), (1, 3), (2, 6), (3, 9), (4, 12)) == even_pairs(4, 12)


def test_the_layers_of_deformer() -> None:
    """With 9 of 12 layers separate, the upper three; all of them without separate layers."""
    pairs = even_pairs(12, 12)
    joint = Settings(compared_layers="joint")
    assert ((10, 10), (11, 11), (12, 12)) == compared(pairs, replace(joint, separate_layers=9))
    assert ((10, 10), (11, 11)) == compared(hidden_pairs(12, 12, "skip"), replace(joint, separate_layers=9))
    assert pairs == compared(pairs, joint) == compared(pairs, Settings(separate_layers=9))


@pytest.mark.parametrize(
    ("settings", "teacher", "message"),
    [
        ({"hidden_weight": 10.0, "layers": 1}, {}, "hidden_weight = 10: .* this student has one layer"),
        ({"hidden_weight": 10.0}, {"layers": 2}, "the student has 4 layers, and the teacher only 2"),
        ({"states_weight": 1.0}, {"layers": 2}, "the student has 4 layers, and the teacher only 2"),
        ({"attention_weight": 1.0, "heads": 3, "head_choice": "random"}, {}, "has 3 where the teacher has 4"),
        ({"attention_weight": 1.0}, {"architecture": "electra"}, "architecture electra are not known"),
        (
            {"hidden_weight": 1.0, "separate_layers": 3, "compared_layers": "joint"},
            {},
            "compared_layers is joint, and only the last of the 4 layers is above the 3 separate ones",
        ),
        ({"relation_weight": 1.0, "relation_layer": 5}, {}, "relation_layer is 5, and the teacher has 4 layers"),
        ({"relation_weight": 1.0, "relation_heads": 5}, {}, "attention of the student is 32 wide, which 5 relation"),
        ({"relation_weight": 1.0, "heads": 3, "head_choice": "random"}, {}, "student is 24 wide, which 16 relation"),
    ],
)
def test_what_does_not_exist_is_refused(settings: dict[str, Any], teacher: dict[str, Any], message: str) -> None:
    """And not without the weight."""
    heads = {"relation_heads": 16} if "relation_weight" in settings else {}
    known = facts(4, 4)
    known = dataclasses.replace(known, teacher_shape={**known.teacher_shape, **teacher})
    with pytest.raises(ConfigError, match=message):
        TRANSFORMER.plan(known, Settings(**{**heads, **settings}), scratch=False)
    rest = {key: value for key, value in settings.items() if not key.endswith("_weight")}
    TRANSFORMER.plan(known, Settings(**rest), scratch=False)


def test_relations_need_neither_heads_nor_layers_of_the_teacher() -> None:
    settings = Settings(relation_weight=1.0, heads=2, head_choice="random", relation_heads=16, relation_layer=2)
    TRANSFORMER.plan(facts(2, 4), settings, scratch=False)


def test_other_tokens_can_be_compared_only_text_by_text() -> None:
    """[CLS] stands for the whole text; a student that reads other tokens has no counterpart of a single one."""
    known = dataclasses.replace(facts(4, 4), units={INIT_UNITS: Units()})
    TRANSFORMER.plan(known, Settings(hidden_weight=1.0), scratch=False)
    for key in ("states_weight", "attention_weight", "relation_weight"):
        with pytest.raises(ConfigError, match=f"{key} = 1: the student reads other tokens than the teacher"):
            TRANSFORMER.plan(known, Settings(**{key: 1.0}), scratch=False)
