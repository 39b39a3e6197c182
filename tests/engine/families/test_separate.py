"""Separate layers before training: who can have them, what is then known, and what a study file may say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.student import known
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.table import TASKS

SHAPE = Shape("bert", 100, 128, 2, 32, 64, 4, 4, 8)
FACTS = Prepared(
    init_shape=SHAPE.to_dict(), features={"train": "/somewhere"}, mean_length=100, first_length=16, first_position=True
)
SEPARATE = Settings(separate_layers=3)


def test_what_is_known_before() -> None:
    """Sizes are those of any student; with the passage read before, the lower layers read the question alone."""
    apart, whole = (
        TRANSFORMER.known(TRANSFORMER.plan(FACTS, one, scratch=False), TASKS[QUESTION_ANSWERING], FACTS)
        for one in (SEPARATE, Settings())
    )
    hidden, ffn = 32, 64
    lower, upper = (8 * hidden**2 * n + 4 * hidden * ffn * n + 4 * hidden * n**2 for n in (16, 100))
    assert (3 * lower + upper + 4 * 100 * hidden) / 1e9 == pytest.approx(apart["gflops_cached"])
    assert whole["gflops"] == whole["gflops_cached"] == apart["gflops"]
    assert {**apart, "gflops_cached": 0} == {**whole, "gflops_cached": 0}


def test_it_shapes_the_student() -> None:
    """The plan says all about it, so students that differ in it are different ones."""
    plan = TRANSFORMER.plan(FACTS, SEPARATE, scratch=False)
    assert plan != TRANSFORMER.plan(FACTS, Settings(), scratch=False)
    assert "separate_layers" in TRANSFORMER.settings & TRANSFORMER.idle(SEPARATE, plan)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"labels": ("a", "b"), "pairs": False}, "single sentences"),
        ({"first_length": 0.0}, "does not mark segments"),
        ({"labels": ("a", "b"), "pairs": True, "first_length": 0.0}, "done by an older version"),
    ],
)
def test_inputs_that_cannot_be_separated(facts: dict[str, Any], text: str) -> None:
    """Refused for each proposal, with the reason; other students of the study are built."""
    prepared = replace(FACTS, **facts)
    with pytest.raises(ConfigError, match=text):
        TRANSFORMER.plan(prepared, SEPARATE, scratch=False)
    TRANSFORMER.plan(prepared, Settings(), scratch=False)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"settings": {"layers": 3, "separate_layers": 3}, "search": {}}, "[settings] separate_layers = 3 leaves none"),
        (
            {"settings": {}, "search": {"layers": {"low": 1, "high": 3}, "separate_layers": {"low": 3, "high": 5}}},
            "[search] separate_layers = 3 leaves none of 3 layers to see both segments; use less than 3, or 0",
        ),
    ],
)
def test_study_files_without_a_joint_layer(tmp_path: Path, sections: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        study_from_dict(study_dict(tmp_path) | {"baseline": None} | sections, where="here")
    assert expected in str(refused.value)


def test_study_files_with_one(tmp_path: Path) -> None:
    """Also where some combinations have none; an objective may be known before training, for every family."""
    sections: dict[str, Any] = {
        "settings": {},
        "baseline": None,
        "search": {"layers": {"low": 1, "high": 3}, "separate_layers": {"low": 0, "high": 2}},
        "objectives": [{"metric": "accuracy"}, {"metric": "gflops_cached"}],
    }
    spec = study_from_dict(study_dict(tmp_path) | sections, where="here")
    found = known(spec, replace(FACTS, features={}), replace(SEPARATE, hidden_size=32, head_size=8, layers=4))
    assert 0 < found["gflops_cached"] < found["gflops"]
