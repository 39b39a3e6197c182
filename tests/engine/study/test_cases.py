"""Parameter sets by case: the same answers as one by one, with far less work."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict
from tests.paper_family import PaperFamily
from tests.spaces import parse_search

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study import cases
from bertdistill.engine.study.cases import Cases
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.search_section import with_families
from bertdistill.engine.study.space import Space, active, resolve

FIXED = Fixed(Settings(hidden_size=64, dropout=0.4), {"paper": {"alpha": 0.9}})


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> Space:
    """Conditions, a table of one family, and a setting that only one family searches."""
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())
    raw = {
        "paper": {"hidden_size": {"choices": [8, 16]}, "dropout": {"choices": [0.1, 0.2], "when": {"seed": [2]}}},
        "alpha": {"choices": [0.0, 0.5]},
        "layers": {"low": 1, "high": 4},
        "seed": {"choices": [1, 2]},
        "family": {"choices": ["transformer", "paper"]},
    }
    return with_families(parse_search(raw), ("transformer", "paper"), {"paper.alpha"})


def random_set(dice: random.Random) -> dict[str, Any]:
    """Some parameters, in any order, some of them without effect or not searched at all."""
    every = {
        "family": dice.choice(["transformer", "paper"]),
        "paper.hidden_size": dice.choice([8, 16]),
        "paper.dropout": dice.choice([0.1, 0.2]),
        "alpha": dice.choice([0.0, 0.5]),
        "layers": dice.randint(1, 4),
        "seed": dice.choice([1, 2]),
        "batch_size": dice.choice([8, 32]),
    }
    names = dice.sample(sorted(every), dice.randint(1, len(every)))
    return {name: every[name] for name in names}


def test_cases_answer_as_the_space_does(mixed: Space) -> None:
    """Whatever is missing, inactive or beside the space."""
    dice, found = random.Random(5), Cases(mixed, FIXED)
    for params in (random_set(dice) for _ in range(500)):
        assert list(active(mixed, params, FIXED).items()) == list(found.active(params).items())
        assert vars(resolve(mixed, params, FIXED)) == found.settings(params)


def test_a_recipe_makes_a_case(tmp_path: Path) -> None:
    """It sets keys that are searched elsewhere."""
    raw = study_dict(
        tmp_path,
        recipes={"plain": {"alpha": 0.0}, "short": {"layers": 2, "temperature": 4.0}},
        search={
            "recipe": {"choices": ["plain", "short"]},
            "layers": {"low": 1, "high": 4},
            "alpha": {"choices": [0.5, 0.7]},
        },
    )
    spec = study_from_dict({**raw, "baseline": None}, where="here")
    found = Cases(spec.search, spec.fixed)
    for recipe in ("plain", "short"):
        params = {"recipe": recipe, "layers": 3, "alpha": 0.5}
        assert active(spec.search, params, spec.fixed) == found.active(params)
        assert vars(resolve(spec.search, params, spec.fixed)) == found.settings(params)


def test_one_case_is_worked_out_once(mixed: Space, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that decide nothing make no case of their own."""
    asked: list[Any] = []
    monkeypatch.setattr(cases, "active", lambda *given: asked.append(given) or active(*given))
    found = Cases(mixed, FIXED)
    for layers in (1, 2, 3):
        found.active({"family": "transformer", "layers": layers})
    assert 1 == len(asked)
