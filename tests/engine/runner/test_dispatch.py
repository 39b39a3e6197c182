"""What a worker is told: whether the preparation computes head importance, and which settings tell it the same."""

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_spec

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.study.student import effect, may_cut, prunes_by_importance

HEADS = {"heads": {"low": 1, "high": 4}}
CHOICE = {"head_choice": {"choices": ["random", "importance"]}}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"search": HEADS}, True),
        ({"search": HEADS, "settings": {"head_choice": "random"}}, False),
        ({"search": HEADS | CHOICE}, True),
        ({"search": CHOICE, "settings": {"heads": 2}}, True),
        ({"search": {"alpha": {"low": 0.0, "high": 1.0}}, "baseline": {"heads": 2}}, True),
        ({"search": {"alpha": {"low": 0.0, "high": 1.0}}, "baseline": {}}, False),
    ],
)
def test_importance_is_computed_only_where_heads_are_cut_by_it(
    tmp_path: Path, sections: dict[str, Any], expected: bool
) -> None:
    """A study that keeps all heads, or draws them at random, does not pay for it."""
    base: dict[str, Any] = {"student": {"init": "teacher"}, "baseline": {}}
    assert expected == prunes_by_importance(study_spec(tmp_path, **{**base, **sections}))


RANGE = {"alpha": {"low": 0.0, "high": 1.0}}
RECIPE = {"recipe": {"choices": ["some", "all"]}}
WIDTHS = {"choices": [512, 1024]}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"search": {"ffn_size": WIDTHS}}, True),
        ({"search": RANGE, "settings": {"ffn_size": 8}}, True),
        ({"search": RANGE, "baseline": {"ffn_size": 8}}, True),
        ({"search": RANGE}, False),
        ({"search": RECIPE, "recipes": {"some": {"ffn_size": 8}, "all": {"layers": 1}}}, True),
        ({"search": RECIPE, "recipes": {"some": {"family": "bilstm", "ffn_size": 8}, "all": {"layers": 1}}}, False),
        ({"search": {"ffn_size": WIDTHS, "head_size": {"choices": [4, 8]}}, "student": {"init": "scratch"}}, False),
        ({"search": {"family": {"choices": ["transformer", "bilstm"]}, "bilstm": {"ffn_size": WIDTHS}}}, False),
        ({"search": RANGE, "settings": {"family": "bilstm", "ffn_size": 8}}, False),
    ],
)
def test_neurons_are_weighed_only_where_some_may_go(tmp_path: Path, sections: dict[str, Any], expected: bool) -> None:
    """Not for the width of another family, nor from scratch; and the hidden states are not projected for it."""
    base: dict[str, Any] = {"student": {"init": "teacher"}, "baseline": {}}
    spec = study_spec(tmp_path, **{**base, **sections})
    assert (expected, False) == (may_cut(spec, "ffn_size"), may_cut(spec, "hidden_size"))


def test_hidden_states_are_projected_only_for_a_student_of_smaller_width(tmp_path: Path) -> None:
    """Searched or fixed."""
    base: dict[str, Any] = {"student": {"init": "teacher"}, "baseline": {}}
    assert may_cut(study_spec(tmp_path, **base, search={"hidden_size": {"choices": [8, 12]}}), "hidden_size")
    assert may_cut(study_spec(tmp_path, **base, search=RANGE, settings={"hidden_size": 8}), "hidden_size")


SHAPE = {
    "architecture": "bert",
    "vocab_size": 100,
    "positions": 64,
    "types": 2,
    "hidden_size": 16,
    "ffn_size": 32,
    "layers": 4,
    "heads": 4,
    "head_size": 4,
}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"alpha": 0.0, "temperature": 1.0}, {"alpha": 0.0, "temperature": 8.0}, True),
        ({"alpha": 0.5, "temperature": 1.0}, {"alpha": 0.5, "temperature": 8.0}, False),
        ({"layers": 4, "layer_choice": "first"}, {"layers": 0, "layer_choice": "even"}, True),
        ({"layers": 3, "layer_choice": "first"}, {"layers": 3, "layer_choice": "even"}, False),
        ({"heads": 4, "head_choice": "random"}, {"heads": 0, "head_choice": "importance"}, True),
        ({"heads": 2, "head_choice": "random"}, {"heads": 2, "head_choice": "importance"}, False),
        ({"ffn_size": 32, "ffn_choice": "global"}, {"ffn_size": 0}, True),
        ({"ffn_size": 16}, {"ffn_size": 24}, False),
        ({"hidden_size": 16}, {"hidden_size": 0}, True),
        ({"hidden_size": 8}, {"hidden_size": 0}, False),
        ({"heads": 2, "head_seed": 1}, {"heads": 2, "head_seed": 2}, True),
        ({"learning_rate": 1e-4}, {"learning_rate": 2e-4}, False),
    ],
)
def test_settings_of_one_effect(tmp_path: Path, one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    """Settings that nothing reads, as a temperature without soft loss, do not make another training."""
    spec, prepared = study_spec(tmp_path, student={"init": "teacher"}), Prepared(init_shape=SHAPE)
    assert same == (effect(spec, prepared, Settings(**one)) == effect(spec, prepared, Settings(**other)))
