"""`[search]`: which tables are accepted, in which words others are refused, and the tables of single families."""

from __future__ import annotations

from typing import Any

import pytest
from tests.paper_family import PaperFamily
from tests.spaces import parse_search

from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.search_section import with_families
from bertdistill.engine.study.space import Parameter


def test_kinds_follow_the_settings() -> None:
    """Whether a range is whole-numbered follows from the setting, not from how it is written."""
    space = parse_search({"layers": {"low": 1, "high": 6}, "dropout": {"low": 0, "high": 0.5, "step": 0.1}})
    assert Parameter("layers", "int", 1, 6) == space[0]
    assert Parameter("dropout", "float", 0.0, 0.5, step=0.1) == space[1]


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("layer", {"low": 1, "high": 2}, "is not a setting; did you mean layers?"),
        ("layer_list", {"choices": [1, 2]}, "cannot be searched; fix it in [settings]"),
        ("layers", 3, "must be a table: { low = …, high = … } or { choices = […] }"),
        ("layers", {"low": 1}, "needs high as well as low"),
        ("layers", {"high": 1}, "needs low as well as high"),
        ("layers", {}, "needs either low and high, or choices"),
        ("layers", {"low": 1, "high": 3, "choices": [1, 2]}, "needs either low and high, or choices"),
        ("layers", {"low": 1, "hihg": 3}, "has no key hihg; did you mean high?"),
        ("layers", {"low": 0, "high": 3}, "low = 0 cannot be the end of a range"),
        ("layers", {"low": 3, "high": 3}, "low = 3 is not below high = 3; fix a single value in [settings]"),
        ("layers", {"low": 1, "high": 60}, "high = 60 is above 48; use 0 to 48"),
        ("layers", {"low": 1.5, "high": 3}, "low = 1.5 must be a whole number"),
        ("layers", {"low": True, "high": 3}, "low = true must be a whole number"),
        ("layers", {"low": 1, "high": 6, "step": 2}, "high = 6 is not a whole number of steps above low; use high = 5"),
        ("layers", {"low": 1, "high": 2, "step": 5}, "use a smaller step"),
        ("layers", {"low": 1, "high": 3, "step": 0.5}, "step = 0.5 must be a whole number above 0"),
        ("dropout", {"low": 0, "high": 0.3, "log": True}, "low = 0 has no logarithm"),
        ("dropout", {"low": 0.1, "high": 0.3, "log": 1}, "log = 1 must be true or false"),
        ("dropout", {"low": 0.1, "high": 0.3, "log": True, "step": 0.1}, "cannot have both log and step"),
        ("learning_rate", {"low": "a", "high": 2}, 'low = "a" must be a number'),
        ("layer_choice", {"low": 1, "high": 2}, "is not numeric; give choices instead of a range"),
        ("layer_choice", {"choices": ["first", "last"]}, '= "last" is not valid; use first, even or list'),
        ("batch_size", {"choices": [8, "16"]}, '= "16" must be a whole number'),
        ("batch_size", {"choices": [8, 8]}, "choices has a duplicate value"),
        ("batch_size", {"choices": [8]}, "choices needs at least two values"),
        ("batch_size", {"choices": 8}, "choices = 8 must be a list"),
        ("batch_size", {"choices": [8, 16], "log": True}, "has choices, so log has no effect"),
        ("batch_size", {"choices": [8, 16], "when": {"layers": 3}}, "when must map parameters to lists of values"),
        ("batch_size", {"choices": [8, 16], "when": {"layers": [3]}}, "when.layers is not a searched parameter"),
        ("batch_size", {"choices": [8, 16], "when": {"layers": ["a"]}}, 'when.layers: = "a" must be a whole number'),
    ],
)
def test_refusals_say_what_to_do(name: str, table: Any, message: str) -> None:
    """Each mistake in a table of [search] is refused with its key and a remedy."""
    with pytest.raises(ValueError, match=f"^\\[search.{name}\\] ") as caught:
        parse_search({name: table})
    assert message in str(caught.value)


def test_every_problem_is_told() -> None:
    """Two wrong parameters give two lines."""
    with pytest.raises(ValueError, match="search") as caught:
        parse_search({"layer": {}, "dropout": {"low": 2, "high": 3}})
    assert 3 == len(str(caught.value).splitlines())


def test_impossible_conditions() -> None:
    """A condition that never holds, hangs on a continuous value or on itself is refused."""
    two = {"choices": ["first", "even"]}
    with pytest.raises(ValueError, match=r"when.layer_choice = \"list\" never occurs"):
        parse_search({"layer_choice": two, "heads": {"low": 1, "high": 2, "when": {"layer_choice": ["list"]}}})
    with pytest.raises(ValueError, match=r"when\.dropout is a continuous range"):
        parse_search({"dropout": {"low": 0, "high": 0.5}, "heads": {"low": 1, "high": 2, "when": {"dropout": [0.5]}}})
    with pytest.raises(ValueError, match="circular condition: heads -> layers -> heads"):
        parse_search(
            {
                "heads": {"low": 1, "high": 2, "when": {"layers": [1]}},
                "layers": {"low": 1, "high": 2, "when": {"heads": [1]}},
            }
        )


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())


@pytest.mark.usefixtures("paper")
def test_a_table_of_a_family_holds_its_own_parameters() -> None:
    """They are named with the family, set its key, and keep the place of the table in the file."""
    space = parse_search(
        {
            "family": {"choices": ["transformer", "paper"]},
            "paper": {"hidden_size": {"choices": [8, 16]}, "alpha": {"low": 0, "high": 1}},
            "layers": {"low": 1, "high": 4},
        }
    )
    assert ["family", "paper.hidden_size", "paper.alpha", "layers"] == [one.name for one in space]
    assert ["family", "hidden_size", "alpha", "layers"] == [one.key for one in space]
    assert ["", "paper", "paper", ""] == [one.family for one in space]
    assert Parameter("paper.alpha", "float", 0.0, 1.0, families=("paper",)) == space[2]


@pytest.mark.usefixtures("paper")
@pytest.mark.parametrize(
    ("table", "name", "message"),
    [
        (3, "paper", "must be a table of the parameters of this family"),
        (
            {"layers": {"low": 1, "high": 2}},
            "paper.layers",
            "is not used by paper; remove it. paper uses hidden_size, head_size, dropout and the keys of training",
        ),
        ({"hiden_size": {"choices": [8, 16]}}, "paper.hiden_size", "is not a setting; did you mean hidden_size?"),
        ({"family": {"choices": ["paper"]}}, "paper.family", "selects the table, so it cannot be inside"),
        ({"checkpoint_minutes": {"low": 1, "high": 2}}, "paper.checkpoint_minutes", "cannot be searched"),
        ({"hidden_size": {"low": 0, "high": 8}}, "paper.hidden_size", "low = 0 cannot be the end of a range"),
        ({"dropout": {"low": 0.1, "high": 3}}, "paper.dropout", "high = 3 is above 0.9; use 0 to 0.9"),
        ({"dropout": {"low": 0.1, "high": 0.2, "when": {"alpa": [1]}}}, "paper.dropout", "when.alpa is not a searched"),
    ],
)
def test_refusals_in_a_table_of_a_family(table: Any, name: str, message: str) -> None:
    """The key is named with its family, and a foreign key is refused with those that the family has."""
    with pytest.raises(ValueError, match=f"^\\[search.{name}\\] ") as caught:
        parse_search({"paper": table})
    assert message in str(caught.value)


def test_the_family_has_no_condition() -> None:
    """Other parameters depend on it."""
    alpha = {"choices": [0, 1]}
    with pytest.raises(ValueError, match=r"family\] cannot have a condition"):
        parse_search({"alpha": alpha, "family": {"choices": ["transformer"], "when": {"alpha": [1]}}})


@pytest.mark.usefixtures("paper")
def test_conditions_are_about_settings_not_about_tables() -> None:
    """In a table, a condition asks about the family's own parameter if it has one, otherwise about the plain one."""
    one, two = {"choices": [8, 16]}, {"choices": [16, 32]}
    batch = {"batch_size": {"choices": [1, 2], "when": {"hidden_size": [32]}}}
    space = parse_search({"hidden_size": one, "paper": {"hidden_size": two, **batch}})
    assert {"hidden_size": (32,)} == space[-1].when
    with pytest.raises(ValueError, match=r"when.hidden_size = 32 never occurs; it is 8 or 16"):
        parse_search({"hidden_size": one, "paper": batch})
    # A key of the family asks about a plain one, which asks about the key of other families: no circle.
    alpha, seed = {"choices": [0.1, 0.2]}, {"choices": [1, 2]}
    plain = {"alpha": alpha, "seed": {**seed, "when": {"alpha": [0.1]}}}
    parse_search({**plain, "paper": {"seed": seed, "alpha": {**alpha, "when": {"seed": [1]}}}})
    with pytest.raises(ValueError, match=r"circular condition: seed -> paper\.alpha -> seed"):
        parse_search({**plain, "paper": {"alpha": {**alpha, "when": {"seed": [1]}}}})


@pytest.mark.usefixtures("paper")
def test_families_of_a_parameter() -> None:
    """A plain parameter belongs to the selected families that use its key and have no value of their own."""
    space = parse_search(
        {
            "alpha": {"choices": [0.1, 0.2]},
            "layers": {"low": 1, "high": 4},
            "seed": {"choices": [1, 2]},
            "epochs": {"choices": [1, 2]},
            "paper": {"seed": {"choices": [3, 4]}},
        }
    )

    def families(*selected: str) -> list[tuple[str, ...]]:
        return [one.families for one in with_families(space, selected, {"paper.epochs"})]

    plain = ("transformer",)
    assert [(), plain, plain, plain, ("paper",)] == families("transformer", "paper")
    assert [(), (), (), ()] == families("transformer")[:4]
