"""Which weights the shared projection compares, and what it refuses."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import INIT_UNITS, Prepared, Units
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import Shape, bert_shape, plan_student
from bertdistill.engine.families.shared_projection import (
    KEPT,
    PROJECTED,
    SAME,
    Compared,
    compared,
    projection_flops,
    projection_params,
)
from bertdistill.engine.families.transformer import TRANSFORMER

TEACHER = bert_shape(vocab_size=100, positions=64, hidden_size=32, ffn_size=128, layers=4, head_size=8)


def found(
    *, scratch: bool = False, own: bool = True, teacher: Shape = TEACHER, **settings: Any
) -> tuple[Compared, ...]:
    plan = plan_student(TEACHER, Settings(head_choice="random", **settings), scratch=scratch)
    return compared(plan, teacher, own=own)


def test_a_new_student_of_the_proportions_of_its_teacher_is_projected_along_all_axes() -> None:
    """As in the paper."""
    layers = found(scratch=True, own=False, hidden_size=16, layers=2, head_size=4)
    assert (Compared(0, 1, PROJECTED, PROJECTED), Compared(1, 3, PROJECTED, PROJECTED)) == layers


def test_a_student_cut_from_its_teacher_is_compared_with_what_it_kept() -> None:
    """Heads and neurons of that very layer; where nothing was cut, as they are."""
    assert {(SAME, SAME)} == {(one.attention, one.neurons) for one in found(hidden_size=16)}
    assert {(KEPT, KEPT)} == {(one.attention, one.neurons) for one in found(hidden_size=16, heads=3, ffn_size=100)}
    listed = found(hidden_size=16, ffn_size=100, layer_choice="list", layer_list=[1, 3])
    assert (Compared(0, 1, SAME, KEPT), Compared(1, 3, SAME, KEPT)) == listed


def test_layers_cut_from_others_are_projected_in_proportion() -> None:
    assert {PROJECTED} == {one.neurons for one in found(hidden_size=16, ffn_size=64, layers=2)}


@pytest.mark.parametrize(
    ("settings", "facts", "message"),
    [
        ({}, {}, "projection_weight = 1: it projects onto a smaller hidden size, and the student's is 32"),
        ({"hidden_size": 16, "ffn_size": 100, "layers": 2}, {}, "100 feed-forward neurons, where layer 1 of"),
        ({"hidden_size": 16}, {"teacher": {"layers": 2}}, "the student has 4 layers, and the teacher only 2"),
        ({"hidden_size": 16, "heads": 3}, {"init_folder": "other"}, "has attention of size 24"),
    ],
)
def test_refusals(settings: dict[str, Any], facts: dict[str, Any], message: str) -> None:
    """With the weight, and not without."""
    known = Prepared(
        init_shape=TEACHER.to_dict(),
        teacher_shape=TEACHER.to_dict() | facts.get("teacher", {}),
        init_folder=facts.get("init_folder", ""),
    )
    chosen = Settings(projection_weight=1.0, head_choice="random", **settings)
    with pytest.raises(ConfigError, match=message) as refused:
        TRANSFORMER.plan(known, chosen, scratch=False)
    assert "projection_weight = 0" in refused.value.hint or "use at most" in refused.value.hint or settings["layers"]
    TRANSFORMER.plan(known, dataclasses.replace(chosen, projection_weight=0.0), scratch=False)


def test_the_remedy_names_the_layers() -> None:
    with pytest.raises(ConfigError) as refused:
        found(hidden_size=16, ffn_size=100, layers=2)
    assert "layer_list = [1, 3]" in refused.value.hint


def test_dual_training_needs_a_vocabulary_cut_from_the_teachers() -> None:
    known = Prepared(init_shape=TEACHER.to_dict(), teacher_shape=TEACHER.to_dict())
    with pytest.raises(ConfigError, match=r"dual_share = 0\.5: the student has the teacher's whole vocabulary"):
        TRANSFORMER.plan(known, Settings(dual_share=0.5), scratch=False)
    TRANSFORMER.plan(known, Settings(dual_share=0.5, vocab_size=50), scratch=False)
    other = dataclasses.replace(known, units={INIT_UNITS: Units()})
    with pytest.raises(ConfigError, match="comes from another tokenizer than the teacher's"):
        TRANSFORMER.plan(other, Settings(dual_share=0.5, vocab_size=50), scratch=False)


def test_what_it_costs() -> None:
    """Two matrices; of each layer four products with the attention's matrices and two with the feed-forward ones."""
    assert 2 * 16 * 32 == projection_params(16, 32)
    forward = 2 * 2 * 16 * 32 * (4 * 32 + 2 * 128)
    assert 3 * forward == projection_flops(16, TEACHER, 2, "down")
    assert 6 * forward == projection_flops(16, TEACHER, 2, "both")
