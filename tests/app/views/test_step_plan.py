"""The cost of a teacher that runs in every step, from the sizes of teacher and students."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes import study_spec

from bertdistill.app.views.step_plan import layer_stages, stage_words, step_words, teacher_in_step
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.encoder_sizes import known_metrics

SHAPE = bert_shape(vocab_size=500, positions=64, hidden_size=64, ffn_size=128, layers=4, head_size=16)


def test_the_teacher_adds_one_forward_pass_to_three_of_the_student(tmp_path: Path) -> None:
    """A student as large as its teacher takes four thirds of the time; one of a quarter of the cost, 2.3 times."""
    spec = study_spec(tmp_path, settings={"attention_weight": 1.0})
    cost = known_metrics(SHAPE, spec.settings, scratch=False, task=spec.task, labels=2, mean_length=32)
    found = teacher_in_step(spec, SHAPE, [cost["gflops"], cost["gflops"] / 4], labels=2)
    assert found is not None
    assert [4 / 3, 7 / 3] == pytest.approx([found["least"], found["most"]])
    assert 4 * cost["params"] == found["bytes"]
    words = step_words(found, "unknown")
    assert words.startswith("for attention_weight: a step takes about 1.3 to 2.3 times as long; ")
    unknown = teacher_in_step(spec, None, [], labels=2)
    assert unknown is not None
    assert "for attention_weight; unknown" == step_words(unknown, "unknown")


def test_what_is_cached_needs_no_teacher_in_the_step(tmp_path: Path) -> None:
    assert teacher_in_step(study_spec(tmp_path, settings={"hidden_weight": 1.0}), SHAPE, [1.0], labels=2) is None


def test_stages_are_said(tmp_path: Path) -> None:
    """Which share of the steps compares layers; the teacher runs in these alone, unless some trial has no stages."""
    settings = {"map_weight": 1.0, "layerwise": "progressive", "layerwise_share": 0.3}
    spec = study_spec(tmp_path, settings=settings)
    found, teacher = layer_stages(spec), teacher_in_step(spec, None, [], labels=2)
    assert found is not None
    assert stage_words(found).startswith("progressive: the first 30 % of the steps compare layers alone, ")
    assert teacher is not None
    assert "for map_weight, where layers are compared; unknown" == step_words(teacher, "unknown")
    search = {"layerwise": {"choices": ["together", "first"]}, "layerwise_share": {"low": 0.2, "high": 0.6}}
    spec = study_spec(tmp_path, settings={"map_weight": 1.0}, search=search)
    found, teacher = layer_stages(spec), teacher_in_step(spec, None, [], labels=2)
    assert found is not None
    assert stage_words(found).startswith("first: the first 20 to 60 % of the steps")
    assert teacher is not None
    assert teacher["always"]
    assert layer_stages(study_spec(tmp_path, settings={"layerwise": "first"})) is None
    assert layer_stages(study_spec(tmp_path, settings={"map_weight": 1.0})) is None


def test_dual_training_and_shared_projection_cost_what_they_compute(tmp_path: Path) -> None:
    """Two passes of the teacher, and products of matrices that a whole batch shares; together at most both."""
    narrow = {"hidden_size": 32, "vocab_size": 100, "batch_size": 4}
    dual = study_spec(tmp_path, settings=narrow | {"dual_share": 0.5})
    forward = known_metrics(SHAPE, Settings(), scratch=False, task=dual.task, labels=2, mean_length=32)["gflops"]
    found = teacher_in_step(dual, SHAPE, [forward], labels=2)
    assert found is not None
    assert [5 / 3, 5 / 3] == pytest.approx([found["least"], found["most"]])
    both = study_spec(tmp_path, settings=narrow | {"dual_share": 0.5, "projection_weight": 1.0, "layers": 4}, search={})
    products = 3 * 4 * 2 * 64 * 32 * (4 * 64 + 2 * 128) / 4 / 1e9
    found = teacher_in_step(both, SHAPE, [forward], labels=2)
    assert found is not None
    assert ["projection_weight", "dual_share"] == found["keys"]
    assert 1 + (2 * forward + products) / (3 * forward) == pytest.approx(found["most"])
    assert 1 + min(2 * forward, products) / (3 * forward) == pytest.approx(found["least"])
