"""`student.init = "supernet"`: what is refused when the study file is read, and which sub-networks a study has."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict, study_spec

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import StudentSpec, SupernetSpec
from bertdistill.engine.families.supernet import ARCHITECTURE
from bertdistill.engine.study.config import changed, dump, study_from_dict
from bertdistill.engine.study.supernet_space import MOST, wanted_nets

SPACE: dict[str, Any] = {"layers": {"low": 2, "high": 6}, "heads": {"choices": [4, 8, 12]}}


def raw(folder: Path, **sections: Any) -> dict[str, Any]:
    base: dict[str, Any] = {"search": SPACE, "baseline": {"layers": 6}, "student": {"init": "supernet"}}
    base["teacher"] = {"model": "some/bert"}
    return study_dict(folder, **base | sections)


def test_it_is_read_and_written_back(tmp_path: Path) -> None:
    spec = study_from_dict(raw(tmp_path, supernet={"epochs": 2, "screen": 0}), where="here")
    assert spec.supernet == SupernetSpec(epochs=2.0, screen=0)
    assert study_from_dict(dump(spec), where="again") == spec
    assert study_from_dict(raw(tmp_path), where="here").supernet == SupernetSpec()
    assert "supernet" not in dump(study_spec(tmp_path))  # of a study without one


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"student": {"init": "teacher"}, "supernet": {}}, '[supernet] has no effect; set student.init = "supernet"'),
        ({"supernet": {"epoch": 1}}, "[supernet] epoch is not a known key; did you mean epochs?"),
        ({"supernet": {"screen": 5000}}, "[supernet] screen = 5000 is above 2000; use 0 to 2000"),
        ({"search": {"family": {"choices": ["mlp", "linear"]}}, "baseline": None}, "needs students of the family"),
        ({"search": {**SPACE, "family": {"choices": ["transformer", "bottleneck"]}}}, "and none of bottleneck"),
        ({"teacher": {"model": "", "outputs": "/o.jsonl", "fine_tune": None}}, "name a model in teacher.model"),
        ({"settings": {"hidden_size": 128}}, "[settings] hidden_size = 128 does not work with student.init"),
        ({"search": {**SPACE, "embedding_rank": {"low": 1, "high": 64}}}, "[search.embedding_rank] = 64 does not work"),
        ({"recipes": {"a": {"separate_layers": 1}, "b": {}}}, "[recipes.a] separate_layers = 1 does not work"),
        ({"settings": {"pretrain_epochs": 1.0}}, "pretrain_epochs = 1 does not work with"),
        ({"settings": {"head_choice": "random"}}, 'head_choice = "random" does not work'),
        ({"settings": {"vocab_size": 200, "vocabulary": "new"}}, 'vocabulary = "new" does not work with'),
        ({"settings": {"states_weight": 0.1}}, "states_weight is above 0, but with student.init"),
        ({"search": {"alpha": {"low": 0.0, "high": 1.0}}}, "has only one student to train; search layers, heads"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, sections: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        study_from_dict(raw(tmp_path, **sections), where="here")
    assert expected in str(refused.value)


def test_other_families_may_be_searched_beside(tmp_path: Path) -> None:
    """They start as ever, and are no sub-networks."""
    search = {**SPACE, "family": {"choices": ["transformer", "mlp"]}}
    spec = study_from_dict(raw(tmp_path, search=search, baseline=None), where="here")
    assert len(wanted_nets(spec)) == 15


def test_the_sub_networks_are_those_of_the_space_and_the_baseline(tmp_path: Path) -> None:
    """Each once, whatever else is searched, and with the conditions of the space."""
    search = {
        **SPACE,
        "layer_choice": {"choices": ["first", "even"]},
        "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "ffn_size": {"choices": [64, 128], "when": {"layer_choice": ["even"]}},
    }
    spec = study_from_dict(raw(tmp_path, search=search), where="here")
    nets = wanted_nets(spec)
    assert len(nets) == 1 + 15 * (1 + 2)
    assert all(set(one) == set(ARCHITECTURE) for one in nets)
    assert nets[-1]["layers"] == 6
    assert {one["ffn_size"] for one in nets if one["layer_choice"] == "first"} == {0}
    narrowed = changed(spec, "ranges", {"layers": {"low": 2, "high": 3}})
    assert wanted_nets(narrowed) == nets  # another supernet would be needed
    assert wanted_nets(dataclasses.replace(spec, student=StudentSpec())) == []


def test_of_a_large_space_some_are_drawn(tmp_path: Path) -> None:
    search = {**SPACE, "ffn_size": {"low": 1, "high": 3000}, "vocab_size": {"low": 500, "high": 5000}}
    spec = study_from_dict(raw(tmp_path, search=search), where="here")
    nets = wanted_nets(spec)
    assert len(nets) == MOST + 1  # with the baseline
    assert nets == wanted_nets(spec)
    assert len({one["vocab_size"] for one in nets}) <= 10  # each takes a tokenised split


def test_a_search_of_recipes_will_do(tmp_path: Path) -> None:
    recipes = {"a": {"layers": 2}, "b": {"layers": 4, "heads": 2}}
    spec = study_from_dict(
        raw(tmp_path, recipes=recipes, search={"recipe": {"choices": ["a", "b"]}}, baseline=None), where="here"
    )
    assert [(one["layers"], one["heads"]) for one in wanted_nets(spec)] == [(2, 0), (4, 2)]
