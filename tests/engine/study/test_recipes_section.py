"""`[recipes]`: whole methods as one searched choice, whose keys nothing else sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict
from tests.paper_family import PaperFamily

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study import student
from bertdistill.engine.study.config import dump, load_study, study_from_dict, to_toml
from bertdistill.engine.study.space import active, conditions, count, grid, resolve
from bertdistill.engine.study.study_spec import StudySpec

RECIPES: dict[str, Any] = {
    "plain": {"alpha": 0.0},
    "short": {"layers": 2, "temperature": 4.0},
    "paper": {"family": "paper", "hidden_size": 8},
}
NAMES = {"choices": list(RECIPES)}
LAYERS = {"low": 1, "high": 4}


@pytest.fixture(autouse=True)
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())


def study(folder: Path, **sections: Any) -> StudySpec:
    raw = study_dict(folder, **{"recipes": RECIPES, **sections})
    return study_from_dict({**raw, "baseline": sections.get("baseline")}, where="here")


def problems(folder: Path, **sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        study(folder, **sections)
    return [line.removeprefix("here: ") for line in str(caught.value).splitlines()]


def test_a_recipe_sets_its_keys_and_no_parameter_does(tmp_path: Path) -> None:
    spec = study(tmp_path, search={"recipe": NAMES, "layers": LAYERS, "seed": {"choices": [1, 2]}})
    settings = {
        name: resolve(spec.search, {"recipe": name, "layers": 3, "seed": 2}, spec.fixed) for name in NAMES["choices"]
    }
    assert {"plain": 3, "short": 2, "paper": 0} == {name: one.layers for name, one in settings.items()}
    assert {"plain": 0.0, "short": 0.5, "paper": 0.5} == {name: one.alpha for name, one in settings.items()}
    assert [2, 2, 2] == [one.seed for one in settings.values()]
    assert NAMES["choices"] == [one.recipe for one in settings.values()]
    assert ("paper", 8) == (settings["paper"].family, settings["paper"].hidden_size)
    given = {"recipe": "short", "layers": 3, "seed": 2}
    assert {"recipe": "short", "seed": 2} == active(spec.search, given, spec.fixed)
    layers = next(one for one in spec.search if one.name == "layers")
    assert {"recipe": ("plain", "paper"), "family": ("transformer",)} == conditions(layers)


def test_the_grid_has_each_student_once(tmp_path: Path) -> None:
    """Layers are free in one recipe only: the second holds them, and the family of the third has none."""
    spec = study(tmp_path, search={"recipe": NAMES, "layers": LAYERS, "seed": {"choices": [1, 2]}})
    every = list(grid(spec.search, spec.fixed))
    assert 2 * (4 + 1 + 1) == len(every) == count(spec.search, spec.fixed)
    assert len({str(resolve(spec.search, one, spec.fixed)) for one in every}) == len(every)
    assert [4, 1, 1] == [
        sum(one["recipe"] == name and one["seed"] == 1 for one in every) for name in ("plain", "short", "paper")
    ]


def test_the_baseline_and_the_fixed_settings_may_have_a_recipe(tmp_path: Path) -> None:
    search = {"learning_rate": {"low": 1e-5, "high": 1e-3}}
    fixed = study(tmp_path, search=search, recipes={"short": RECIPES["short"]}, settings={"recipe": "short"})
    assert 2 == resolve(fixed.search, {}, fixed.fixed).layers
    both = {name: RECIPES[name] for name in ("short", "plain")}
    spec = study(tmp_path, search={"recipe": {"choices": [*both]}}, recipes=both, baseline={"recipe": "short"})
    found = spec.fixed.baseline(spec.baseline or {})
    assert (2, 4.0) == (found.layers, found.temperature)
    assert 1 == spec.fixed.baseline({"recipe": "short", "layers": 1}).layers


def test_the_preparation_hears_what_recipes_ask_for(tmp_path: Path) -> None:
    spec = study(tmp_path, search={"recipe": NAMES})
    assert {"transformer", "paper"} == set(student.wanted_families(spec))
    assert 2 in student.possible(spec, "layers")


def test_the_preparation_counts_vocabularies_of_recipes(tmp_path: Path) -> None:
    """Those of transformers alone: another family's vocabulary is no cut of the teacher's."""
    recipes = {"small": {"vocab_size": 900}, "new": {"vocab_size": 700, "vocabulary": "new"}}
    other = {"mlp": {"family": "mlp", "vocab_size": 50}}
    spec = study(tmp_path, search={"recipe": {"choices": ["small", "new", "mlp"]}}, recipes=recipes | other)
    assert {"cut": [700, 900], "new": [700, 900]} == student.wanted_vocabularies(spec)


def test_files_and_dumps_round_trip(tmp_path: Path) -> None:
    spec = study(tmp_path, search={"recipe": NAMES, "layers": LAYERS})
    assert spec == study_from_dict(dump(spec), where="dump")
    file = tmp_path / "study.toml"
    file.write_text(to_toml(spec))
    assert spec == load_study(file)
    assert "[recipes.short]" in to_toml(spec)


@pytest.mark.parametrize(
    ("sections", "problem"),
    [
        (
            {"search": {"recipe": {"choices": ["plain", "short"]}}},
            "[recipes.paper] has no effect: no trial has this recipe; remove the table, or select it in "
            "settings.recipe or search.recipe",
        ),
        (
            {"search": {"recipe": {"choices": [*RECIPES, "tall"]}}},
            '[search.recipe] choices = "tall" is not in [recipes]; use plain, short or paper',
        ),
        (
            {"search": {"layers": LAYERS}, "recipes": None, "settings": {"recipe": "tall"}},
            '[settings] recipe = "tall" is not in [recipes]; add a table [recipes.tall]',
        ),
        (
            {"search": {"recipe": NAMES}, "recipes": {**RECIPES, "plain": {"layrs": 2}}},
            "[recipes.plain] layrs is not a setting; did you mean layers?",
        ),
        (
            {"search": {"recipe": NAMES}, "recipes": {**RECIPES, "plain": {"layers": 99}}},
            "[recipes.plain] layers = 99 is above 48; use 0 to 48",
        ),
        (
            {"search": {"recipe": NAMES}, "recipes": {**RECIPES, "plain": {"recipe": "short"}}},
            "[recipes.plain] recipe selects the table, so it cannot be inside; remove it",
        ),
        (
            {"search": {"recipe": NAMES}, "recipes": {**RECIPES, "paper": {"family": "paper", "layers": 2}}},
            "[recipes.paper] layers has no effect: paper does not use it; remove it",
        ),
        (
            {"search": {"recipe": NAMES}, "recipes": {**RECIPES, "paper": {"family": "papr"}}},
            '[recipes.paper] family = "papr" is not a family; use transformer, bottleneck, mlp, bilstm, linear '
            "or paper",
        ),
        (
            {"search": {"recipe": {**NAMES, "when": {"layers": [1]}}, "layers": LAYERS}},
            "[search.recipe] cannot have a condition, because other parameters depend on it; remove when",
        ),
        (
            {
                "search": {"layers": LAYERS, "seed": {"choices": [1, 2]}},
                "recipes": {"short": RECIPES["short"]},
                "settings": {"recipe": "short"},
            },
            "[search.layers] has no effect: the recipe sets it; remove it here or there",
        ),
        ({"search": {"layers": LAYERS}, "recipes": 3}, "[recipes] must be a table of keys and values"),
    ],
)
def test_what_is_refused(tmp_path: Path, sections: dict[str, Any], problem: str) -> None:
    assert problem in problems(tmp_path, **sections)
