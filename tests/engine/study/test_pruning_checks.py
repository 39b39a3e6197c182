"""Keys about pruning in a study file: those that no trial uses, and schedules that end before they begin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.metrics import COUNTS
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.student import effect, plan

SEARCH: dict[str, Any] = {"learning_rate": {"low": 1e-5, "high": 1e-4}}


@pytest.mark.parametrize(
    ("settings", "search", "expected"),
    [
        ({"sparsity": 0.8}, {}, "[settings] sparsity has no effect unless pruning is magnitude, random, gradual"),
        ({}, {"sparsity": {"low": 0.1, "high": 0.9}}, "[search.sparsity] has no effect unless pruning is magnitude"),
        (
            {"pruning": "magnitude", "pruning_end": 0.9},
            {},
            "[settings] pruning_end has no effect unless pruning is gradual, iterative, movement or proximal",
        ),
        (
            {"pruning": "movement", "pruning_scope": "embeddings"},
            {},
            "[settings] pruning_scope has no effect unless pruning is magnitude, random, gradual",
        ),
        (
            {"pruning": "proximal", "pruning_strength": 0.1, "sparsity": 0.8},
            {},
            "[settings] sparsity has no effect unless",
        ),
        (
            {"pruning": "gradual", "pruning_begin": 0.7},
            {},
            "[settings] pruning_begin = 0.7 is not before pruning_end = 0.6; let it begin earlier or end later",
        ),
        (
            {"pruning": "proximal", "pruning_scope": "heads"},
            {},
            '[settings] pruning_scope = "heads" and the norm of pruning = proximal is one of single weights; use',
        ),
        ({"pruning": "lottery"}, {}, '[settings] pruning = "lottery" is not valid; use none, magnitude'),
        ({"pruning": "gradual", "sparsity": 1.0}, {}, "[settings] sparsity = 1 is above 0.99"),
    ],
)
def test_refusals(tmp_path: Path, settings: dict[str, Any], search: dict[str, Any], expected: str) -> None:
    """Each with its table, key and remedy."""
    with pytest.raises(ConfigError) as refused:
        study_from_dict(study_dict(tmp_path, settings=settings, search={**SEARCH, **search}), where="here")
    assert expected in str(refused.value)


def test_movement_has_a_scope_only_of_heads_and_neurons(tmp_path: Path) -> None:
    """Which it prunes as a whole; sizes follow."""
    settings = {"pruning": "movement", "pruning_scope": "neurons", "sparsity": 0.25}
    spec = study_from_dict(study_dict(tmp_path, settings=settings, search=SEARCH) | {"baseline": None}, where="here")
    shape = bert_shape(vocab_size=60, positions=32, hidden_size=16, ffn_size=32, layers=2, head_size=8).to_dict()
    facts = Prepared(labels=("a", "b"), mean_length=9.0, teacher_shape=shape, init_shape=shape)
    dense = plan(replace(spec, settings=Settings()), facts, {"learning_rate": 1e-5}).known
    known = plan(spec, facts, {"learning_rate": 1e-5}).known
    assert dense["params"] - 2 * 8 * 33 == known["params"] == known["nonzero_params"]
    assert dense["bytes"] - 4 * 2 * 8 * 33 == known["bytes"]
    with pytest.raises(ConfigError, match="pruning_scope is neurons, and the norm of pruning = proximal"):
        effect(spec, facts, replace(spec.settings, pruning="proximal"))


def test_the_comparison_of_ways_and_times_is_a_study(tmp_path: Path) -> None:
    """Known sizes for every trial but the proximal ones, and no two trials of equal effect."""
    search = {
        "pruning": {"choices": ["none", "magnitude", "random", "gradual", "proximal"]},
        "pruning_when": {"choices": ["before", "during", "after"]},
        "sparsity": {"choices": [0.5, 0.8]},
    }
    objectives = [{"metric": "accuracy"}, {"metric": "nonzero_params"}]
    raw = study_dict(tmp_path, settings={"pruning_end": 0.5}, search=search) | {"objectives": objectives}
    spec = study_from_dict({**raw, "baseline": None}, where="here")
    shape = bert_shape(vocab_size=60, positions=32, hidden_size=16, ffn_size=32, layers=2, head_size=8).to_dict()
    facts = Prepared(labels=("a", "b"), mean_length=9.0, teacher_shape=shape, init_shape=shape)
    linears = 2 * (4 * 16 * 16 + 2 * 16 * 32)

    def planned(**params: Any) -> tuple[float | None, float]:
        params = {"pruning_when": "before", "sparsity": 0.5, **params}
        known = plan(spec, facts, params).known
        assert set(COUNTS) - {"nonzero_params"} <= set(known)
        return known.get("nonzero_params"), known["params"]

    (dense, params), (half, same) = planned(pruning="none"), planned(pruning="gradual")
    assert dense == params == same
    assert half == params - linears / 2
    assert (params - 2 * (4 * 205 + 2 * 410), params) == planned(pruning="random", sparsity=0.8)
    assert (None, params) == planned(pruning="proximal")

    def of(**params: Any) -> Any:
        planned = plan(spec, facts, {"pruning_when": "before", "sparsity": 0.5, **params})
        return effect(spec, facts, Settings(**planned.settings))

    assert of(pruning="gradual") == of(pruning="gradual", pruning_when="after")
    assert of(pruning="gradual") == of(pruning="magnitude", pruning_when="during")
    assert of(pruning="none") == of(pruning="none", sparsity=0.8)
    assert of(pruning="random") != of(pruning="magnitude")
