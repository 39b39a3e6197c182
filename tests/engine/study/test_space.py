"""The search space: what a study file may say, which parameters are active, and how many sets there are."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.paper_family import PaperFamily
from tests.spaces import parse_search

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.search_section import with_families
from bertdistill.engine.study.space import (
    Parameter,
    Space,
    active,
    check,
    coerce,
    contains,
    count,
    describe,
    grid,
    in_order,
    points,
    resolve,
)

CHAIN = parse_search(
    {
        "head_seed": {"choices": [1, 2, 3], "when": {"head_choice": ["random"]}},
        "layers": {"low": 1, "high": 4},
        "layer_choice": {"choices": ["first", "even"]},
        "head_choice": {"choices": ["random", "importance"], "when": {"layer_choice": ["even"]}},
    }
)


def test_inactive_parameters_are_dropped_along_a_chain() -> None:
    """head_seed hangs on head_choice, which hangs on layer_choice."""
    params = {"layers": 2, "layer_choice": "even", "head_choice": "random", "head_seed": 3}
    assert params == active(CHAIN, params, Fixed())
    assert {"layers": 2, "layer_choice": "first"} == active(CHAIN, {**params, "layer_choice": "first"}, Fixed())


def test_a_condition_sees_the_fixed_setting_of_an_inactive_parameter() -> None:
    """Where head_choice is inactive, its fixed setting is in force, and head_seed matters if that is random."""
    params = {"layers": 2, "layer_choice": "first", "head_choice": "importance", "head_seed": 3}
    found = active(CHAIN, params, Fixed(Settings(head_choice="random")))
    assert {"head_seed": 3, "layers": 2, "layer_choice": "first"} == found


def test_resolve_takes_fixed_settings_for_the_rest() -> None:
    """Inactive parameters take the fixed setting; keys that are not searched are taken as they are."""
    params = {"layers": 2, "layer_choice": "first", "head_seed": 3, "dropout": 0.3}
    settings = resolve(CHAIN, params, Fixed(Settings(head_seed=9)))
    assert (2, "first", 9, 0.3) == (settings.layers, settings.layer_choice, settings.head_seed, settings.dropout)


def test_check_names_what_is_wrong() -> None:
    """Unknown, out of range and inactive parameters are told apart; a missing one is fine."""
    assert [] == check(CHAIN, {"layers": 4})
    assert ["layer is not searched in this study; did you mean layers?"] == check(CHAIN, {"layer": 4})
    assert ["layers = 5 is outside the search space: 1 to 4"] == check(CHAIN, {"layers": 5})
    found = check(CHAIN, {"layer_choice": "first", "head_choice": "random"})
    assert ['head_choice has no effect here because layer_choice is "first", not even; leave it out'] == found


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (Parameter("layers", "int", 1, 6), "3", 3),
        (Parameter("learning_rate", "float", 1e-5, 1e-3, True), "3e-5", 3e-5),
        (Parameter("batch_size", "choice", choices=(8, 16)), "16", 16),
        (Parameter("layer_choice", "choice", choices=("first", "even")), " even ", "even"),
        (Parameter("dropout", "choice", choices=(0.0, 0.1)), "0", 0.0),
        (Parameter("dropout", "float", 0.0, 0.5, step=0.1), "0.3", 0.3),
    ],
)
def test_typed_values(parameter: Parameter, text: str, value: Any) -> None:
    """Text from the command line becomes a value of the right type."""
    found = coerce(parameter, text)
    assert value == found
    assert type(value) is type(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("7", "= 7 is outside the search space: 1 to 6"),
        ("0", "= 0 is outside the search space: 1 to 6"),
        ("2.5", "= 2.5 is not a whole number; allowed: 1 to 6"),
        ("many", "= many is not a whole number; allowed: 1 to 6"),
        ("", "is empty; allowed: 1 to 6"),
        ("nan", "= nan is not a whole number; allowed: 1 to 6"),
    ],
)
def test_typed_values_outside_of_the_space(text: str, words: str) -> None:
    """What is not possible is refused with what is."""
    with pytest.raises(ValueError, match=f"^layers {re.escape(words)}$"):
        coerce(Parameter("layers", "int", 1, 6), text)


def test_steps_have_no_noise() -> None:
    """0.1 + 2 * 0.1 is written 0.3."""
    assert (0.1, 0.2, 0.3, 0.4) == points(Parameter("dropout", "float", 0.1, 0.4, step=0.1))
    assert contains(Parameter("dropout", "float", 0.1, 0.4, step=0.1), 0.1 + 2 * 0.1)
    assert not contains(Parameter("dropout", "float", 0.1, 0.4, step=0.1), 0.25)


def test_count_of_a_chain() -> None:
    """4 layers x (first, or even x (importance, or random x 3 seeds))."""
    assert 4 * (1 + 1 + 3) == count(CHAIN)
    assert 4 * (3 + 1 + 3) == count(CHAIN, Fixed(Settings(head_choice="random")))
    assert count(parse_search({"alpha": {"low": 0, "high": 1}})) is None
    assert 1 == count(())


names = st.sampled_from(["layers", "heads", "batch_size", "accumulation", "head_seed"])


@st.composite
def finite_spaces(draw: st.DrawFn) -> dict[str, Any]:
    """Small spaces in which later parameters may hang on earlier ones."""
    raw: dict[str, Any] = {}
    for name in draw(st.lists(names, min_size=1, unique=True)):
        table: dict[str, Any] = {"choices": draw(st.lists(st.integers(1, 9), min_size=2, max_size=3, unique=True))}
        if raw and draw(st.booleans()):
            other = draw(st.sampled_from(sorted(raw)))
            table["when"] = {other: [draw(st.sampled_from(raw[other]["choices"]))]}
        raw[name] = table
    return dict(draw(st.permutations(sorted(raw.items()))))


@given(finite_spaces())
def test_grid_and_count_agree(raw: dict[str, Any]) -> None:
    """The grid holds each different set once, every set is valid, and count is its length."""
    space = parse_search(raw)
    sets = list(grid(space))
    assert count(space) == len(sets)
    assert len(sets) == len({tuple(sorted(params.items())) for params in sets})
    for params in sets:
        assert [] == check(space, params)
        assert params == active(space, params, Fixed())


def test_descriptions() -> None:
    """Words for the reference and for refusals."""
    assert "1e-05 to 0.001, logarithmic" == describe(Parameter("learning_rate", "float", 1e-5, 1e-3, True))
    assert "0 to 0.3, in steps of 0.1" == describe(Parameter("dropout", "float", 0.0, 0.3, step=0.1))
    assert "1, 2 or 3, only when head_choice is random" == describe(CHAIN[0])


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("alpha", {"low": 0.0, "high": 1.0, "step": 1e-300}),
        ("head_seed", {"low": 0, "high": 10**12}),
    ],
)
def test_more_values_than_could_be_listed_are_refused(name: str, raw: dict[str, float]) -> None:
    """A tiny step must be an error at once, not a machine without memory."""
    with pytest.raises(ValueError, match="more than 1,000,000 values"):
        parse_search({name: raw})


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> Space:
    """Two families: layers belong to one, the width has a table, alpha is fixed for one, the seed is for both."""
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())
    space = parse_search(
        {
            "paper": {"hidden_size": {"choices": [8, 16]}, "dropout": {"choices": [0.1, 0.2], "when": {"seed": [2]}}},
            "alpha": {"choices": [0.0, 0.5]},
            "layers": {"low": 1, "high": 4},
            "seed": {"choices": [1, 2]},
            "family": {"choices": ["transformer", "paper"]},
        }
    )
    return with_families(space, ("transformer", "paper"), {"paper.alpha"})


FIXED = Fixed(Settings(hidden_size=64, dropout=0.4), {"paper": {"alpha": 0.9}})


def test_parameters_follow_the_family(mixed: Space) -> None:
    """Each family has its own keys and values; what it does not use stays as it is fixed."""
    every = {"alpha": 0.5, "layers": 2, "seed": 2, "paper.hidden_size": 16, "paper.dropout": 0.1}
    own, other = {**every, "family": "paper"}, {**every, "family": "transformer"}
    assert {"paper.hidden_size": 16, "paper.dropout": 0.1, "seed": 2, "family": "paper"} == active(mixed, own, FIXED)
    assert {"alpha": 0.5, "layers": 2, "seed": 2, "family": "transformer"} == active(mixed, other, FIXED)
    first = Settings(family="paper", hidden_size=16, dropout=0.1, alpha=0.9, seed=2)
    assert first == resolve(mixed, own, FIXED)
    assert Settings(hidden_size=64, dropout=0.4, alpha=0.5, layers=2, seed=2) == resolve(mixed, other, FIXED)
    assert "paper.dropout" not in active(mixed, {**own, "seed": 1}, FIXED)


def test_a_family_outside_the_study_has_only_its_keys(mixed: Space) -> None:
    """A rerun may select it where the study does not: what is searched for others has no effect."""
    space = tuple(one for one in mixed if one.name in ("layers", "seed"))
    params = {"layers": 2, "seed": 2}
    assert {"seed": 2} == active(space, params, Fixed(Settings(family="paper")))
    assert Settings(family="paper", seed=2, dropout=0.2) == resolve(
        space, {**params, "family": "paper", "paper.dropout": 0.2, "transformer.dropout": 0.7}, Fixed()
    )


def test_the_sets_of_a_mixed_space(mixed: Space) -> None:
    """Every set once, with the keys of its family alone, and as many as are counted."""
    sets = list(grid(mixed, FIXED))
    assert 2 * 4 * 2 + 2 * (1 + 2) == len(sets) == count(mixed, FIXED)
    assert len(sets) == len({tuple(sorted(one.items())) for one in sets})
    assert all(active(mixed, one, FIXED) == one for one in sets)
    assert all(("layers" in one) != ("paper.hidden_size" in one) for one in sets)
    assert "family" == in_order(mixed)[0].name or "seed" == in_order(mixed)[0].name
    plain = tuple(one for one in mixed if not one.family)
    assert 2 * 4 * 2 + 2 == len(list(grid(plain, FIXED))) == count(plain, FIXED)


def test_the_words_of_a_family(mixed: Space) -> None:
    """A value for another family is refused by its condition, and a description names it."""
    assert ['paper.hidden_size has no effect here because family is "transformer", not paper; leave it out'] == check(
        mixed, {"family": "transformer", "paper.hidden_size": 8}
    )
    assert ["hidden_size is not searched in this study; did you mean paper.hidden_size?"] == check(
        mixed, {"hidden_size": 8}
    )
    named = {one.name: one for one in mixed}
    assert "1 to 4, only when family is transformer" == describe(named["layers"])
    assert "0.1 or 0.2, only when family is paper and seed is 2" == describe(named["paper.dropout"])
    assert 16 == coerce(named["paper.hidden_size"], "16")
