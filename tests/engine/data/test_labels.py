"""Cells of a label column: what is a class, and what only looks like one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.data.labels import label_texts


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        ([["sport"], ("money",)], ["sport", "money"]),
        (["['sport']", '["money"]'], ["sport", "money"]),
        (["[sport]", "[money]"], ["[sport]", "[money]"]),
        ([1.0, 0.0], ["1", "0"]),
        (["1.0", "0"], ["1", "0"]),
        (["-1", "1"], ["-1", "1"]),
        ([True, False], ["1", "0"]),
        ([" joy ", "fear"], ["joy", "fear"]),
        (["joy, calm", "fear, dread"], ["joy, calm", "fear, dread"]),
        (["1.5", "beta"], ["1.5", "beta"]),
    ],
)
def test_what_is_one_class_is_read(cells: Sequence[Any], labels: list[str]) -> None:
    """Lists of one, whole decimals, and names that only contain a comma."""
    assert labels == label_texts(cells, "d.csv")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([["a"], ["b", "a"]], r"the label of example 2 is a list, \['b', 'a'\]\. Multi-label data is not supported"),
        (["['a']", "['b', 'a']"], "the label of example 2 is a list"),
        ([[[0, 5, "PER"]], ["b"]], "the label of example 1 is a list"),
        ([{"x": 1}], "the label of example 1 is an object"),
        (["a#b", "b#a", "a"], "'a#b' holds several labels in one cell"),
        (["a|b", "a", "b"], "several labels in one cell"),
        (["a", "", None, "b"], "2 of 4 examples have no label, the first is example 2"),
        ([["a"], []], "1 of 2 examples have no label"),
        ([float("nan"), 1.0], "1 of 2 examples have no label"),
        (["-1", "-1"], r"has no labels \(they are all -1\)"),
        (["", ""], r"has no labels \(they are all empty\)"),
        ([0.0, 2.5], "decimals, for example '2.5' in example 2: scores are a regression"),
        (["1", "1.4000000000000001"], "scores are a regression"),
        (["1", "5e-1"], "scores are a regression"),
    ],
)
def test_what_is_no_class_is_refused_with_its_row(cells: Sequence[Any], message: str) -> None:
    """The message says what it is and what to do."""
    with pytest.raises(ConfigError, match=message):
        label_texts(cells, "d.csv")


def test_names_that_a_person_listed_are_classes() -> None:
    """Half stars and versions can be meant."""
    assert ["0.5", "1.0"] == label_texts([0.5, 1.0], "d.csv", given=["0.5", "1.0"])
    assert ["0.5", "1", "1"] == label_texts(["0.5", "1.0", "1"], "d.csv", given=["0.5", "1"])
    assert ["a#b", "b#a"] == label_texts(["a#b", "b#a"], "d.csv", given=["a#b", "b#a"])
