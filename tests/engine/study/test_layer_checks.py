"""Weights of losses that compare layers in a study file: with which teachers they mean something."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import CLS, LOGITS, TERMS, idle, signals, transfer_share
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.student import planned_student, wanted_signals

FILE = {"teacher": {"outputs": "llm.jsonl"}, "student": {"init": "scratch"}}
AVERAGE = {"teacher": {"model": "x", "ensemble": [{"model": "y"}]}}
WEIGHT = {"hidden_weight": {"low": 0.0, "high": 100.0}}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (
            FILE | {"settings": {"hidden_weight": 10.0}},
            "[settings] hidden_weight needs the hidden states of one teacher, and teacher.outputs is a file",
        ),
        (
            AVERAGE | {"search": WEIGHT},
            "[search.hidden_weight] needs the hidden states of one teacher, and the probabilities of teacher.ensemble",
        ),
        (
            AVERAGE | {"settings": {"attention_weight": 1.0}},
            "[settings] attention_weight needs the hidden states of one teacher",
        ),
        (
            AVERAGE | {"settings": {"recipe": "pkd"}, "recipes": {"pkd": {"hidden_weight": 9.0}}},
            "[recipes.pkd] hidden_weight needs the hidden states of one teacher",
        ),
        (AVERAGE | {"baseline": {"hidden_weight": 1.0}}, "[baseline] hidden_weight needs the hidden states"),
        (
            AVERAGE | {"settings": {"transformer": {"hidden_weight": 1.0}}},
            "[settings.transformer] hidden_weight needs the hidden states",
        ),
        (
            {"search": {"hidden_map": {"choices": ["skip", "last"]}}, "baseline": None},
            "[search.hidden_map] has no effect with hidden_weight = 0; set or search hidden_weight",
        ),
        (
            {"settings": {"states_weight": 1.0}, "search": {"layerwise_share": {"low": 0.1, "high": 0.9}}},
            '[search.layerwise_share] has no effect with layerwise = "together"; set or search layerwise',
        ),
        (
            {"settings": {"family": "bottleneck", "bottleneck_size": 10, "heads": 4}, "search": {}},
            "[settings] heads = 4 does not divide the width inside a layer, bottleneck_size = 10",
        ),
        (
            {
                "settings": {"states_weight": 1.0},
                "search": {"compared_layers": {"choices": ["all", "joint"]}},
                "baseline": None,
            },
            "[search.compared_layers] has no effect with separate_layers = 0: all layers see both segments",
        ),
    ],
)
def test_refusals(tmp_path: Path, sections: dict[str, Any], expected: str) -> None:
    raw = study_dict(tmp_path)
    with pytest.raises(ConfigError) as refused:
        study_from_dict(raw | sections, where="here")
    assert expected in str(refused.value)


def test_states_are_prepared_only_for_a_study_that_can_use_them(tmp_path: Path) -> None:
    def wanted(**sections: Any) -> list[str]:
        return wanted_signals(study_from_dict(study_dict(tmp_path) | {"baseline": None} | sections, where="here"))

    assert [LOGITS] == wanted()
    assert [CLS, LOGITS] == wanted(search=WEIGHT)
    assert [CLS, LOGITS] == wanted(settings={"recipe": "pkd"}, recipes={"pkd": {"hidden_weight": 9.0}})
    rate = {"learning_rate": {"low": 1e-4, "high": 1e-2}}
    assert [LOGITS] == wanted(settings={"family": "mlp"}, search=rate)


def test_a_weight_asked_for_too_late_is_refused(tmp_path: Path) -> None:
    """Queued in a study whose preparation cached no states; before the preparation it is not a problem."""
    spec = study_from_dict(study_dict(tmp_path), where="here")
    shape = {"architecture": "bert", "vocab_size": 9, "positions": 64, "types": 2, "hidden_size": 64, "ffn_size": 64}
    shape |= {"layers": 4, "heads": 4, "head_size": 16}
    settings = Settings(hidden_weight=1.0, layers=2)
    facts = Prepared(init_shape=shape, teacher_shape=shape)
    assert planned_student(spec, facts, settings)
    late = Prepared(init_shape=shape, teacher_shape=shape, features={"train": "x"})
    with pytest.raises(ConfigError, match="did not cache the teacher's cls"):
        planned_student(spec, late, settings)
    with pytest.raises(ConfigError, match="relation_weight needs a teacher model in every step"):
        planned_student(spec, late, Settings(relation_weight=1.0))


def test_the_keys_of_a_family_are_those_of_its_terms() -> None:
    """A term of one family has its weight among the keys of that family, and of no other."""
    for term in TERMS.values():
        users = {name for name, family in FAMILIES.items() if term.key in family.settings}
        assert users == set(term.families or FAMILIES)
        assert all(term.settings <= FAMILIES[name].settings for name in term.families)


def test_without_its_weight_a_key_is_idle() -> None:
    assert "hidden_map" in idle(Settings())
    assert "hidden_map" not in idle(Settings(hidden_weight=1.0))
    assert "hidden_map" in idle(Settings(hidden_weight=1.0, family="mlp"))
    assert {"relation_heads", "relation_layer"} <= idle(Settings(attention_weight=1.0))
    assert {"layerwise", "layerwise_share"} <= idle(Settings(layerwise="first"))
    assert {"layerwise_share"} == {"layerwise", "layerwise_share"} & idle(Settings(map_weight=1.0))
    assert not {"layerwise", "layerwise_share"} & idle(Settings(map_weight=1.0, layerwise="first"))
    assert {"layerwise"} <= idle(Settings(map_weight=1.0, layerwise="first", family="mlp"))


def test_upper_layers_alone_are_a_choice_only_with_separate_ones_and_a_loss_that_compares_them() -> None:
    apart = Settings(separate_layers=1, compared_layers="joint")
    assert "compared_layers" in idle(apart)
    assert "compared_layers" in idle(Settings(states_weight=1.0))
    assert "compared_layers" in idle(replace(apart, relation_weight=1.0))
    for key in ("hidden_weight", "states_weight", "attention_weight"):
        assert "compared_layers" not in idle(replace(apart, **{key: 1.0}))


def test_states_label_a_transfer_set_without_a_soft_loss() -> None:
    settings = Settings(alpha=0.0, hidden_weight=1.0, transfer_share=0.4)
    assert 0.4 == transfer_share(settings)
    assert {CLS} == signals(settings)
    assert "transfer_share" not in idle(settings)
