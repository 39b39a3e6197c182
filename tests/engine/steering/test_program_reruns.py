"""Reruns and queued trials of a program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench

from bertdistill.engine.contract.errors import ActionRefused, InvalidRequest
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.program_reruns import program_keys
from bertdistill.engine.study.config import study_from_dict

SEARCH = {
    "lr": {"low": 0.1, "high": 1.0},
    "kind": {"choices": ["tree", "forest"]},
    "trees": {"low": 1, "high": 9, "when": {"kind": ["forest"]}},
    "flag": {"choices": [True, False]},
}


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    raw = {
        "name": "p",
        "program": {"command": ["sh", "-c", "true"]},
        "settings": {"epochs": 3, "shuffle": True},
        "search": SEARCH,
        "objectives": [{"metric": "acc"}],
        "budget": {"trials": 3},
    }
    made = Workbench(tmp_path, study_from_dict(raw, where="test")).start()
    yield made
    made.close()


@pytest.fixture
def queue(bench: Workbench) -> Callable[..., dict[str, Any]]:
    def add(**params: Any) -> dict[str, Any]:
        return actions.queue_trial(bench.workspace, "p", params, who="test").settings

    return add


def test_a_queued_trial_is_filled_and_a_repeated_one_refused(queue: Callable[..., dict[str, Any]]) -> None:
    """Missing values are the middle of their ranges; fixed values come along, values without effect do not."""
    fixed = {"epochs": 3, "shuffle": True}
    assert {**fixed, "lr": 0.5, "kind": "tree", "flag": True} == queue(lr="0.5", kind="tree", flag="true")
    assert {**fixed, "lr": 0.55, "kind": "forest", "trees": 5, "flag": True} == queue(kind="forest")
    with pytest.raises(ActionRefused, match=r"trial 0 \(waiting\) has exactly these settings"):
        queue(lr=0.5, kind="tree", flag=True)
    with pytest.raises(InvalidRequest, match="trees has no effect"):
        queue(kind="tree", trees=3)
    with pytest.raises(InvalidRequest, match="rate is not searched in this study"):
        queue(rate=3)


def test_a_rerun_changes_one_value(bench: Workbench, queue: Callable[..., dict[str, Any]]) -> None:
    """A searched or a fixed one; parameters come and go with their condition."""
    queue(lr=0.5, kind="tree")

    def rerun(key: str, value: Any) -> dict[str, Any]:
        return actions.rerun(bench.workspace, "p", 0, key, value, who="test").settings

    before = bench.trial(0).settings
    assert {**before, "lr": 0.25} == rerun("lr", "0.25")
    assert {**before, "epochs": 5} == rerun("epochs", "5")
    assert {**before, "shuffle": False} == rerun("shuffle", "false")
    assert {**before, "flag": False} == rerun("flag", "false")
    assert {**before, "kind": "forest", "trees": 5} == rerun("kind", "forest")
    forecast = actions.forecast_rerun(bench.workspace, "p", 0, "lr", "0.25")
    assert (0.5, 0.25, {}, None, 1) == (
        forecast.before,
        forecast.after,
        forecast.known,
        forecast.minutes,
        forecast.repeats,
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rate", "1", "'rate' is not a parameter of study p"),
        ("lr", "2", "lr = 2 is outside the search space: 0.1 to 1"),
        ("lr", "x", "lr = x is not a number"),
        ("epochs", "2.5", "epochs = 2.5 is not a whole number"),
        ("shuffle", "maybe", "shuffle = maybe is neither true nor false"),
        ("lr", "0.5", "lr is already 0.5 in trial 0"),
        ("trees", "3", "trees has no effect in trial 0"),
    ],
)
def test_refused_reruns(
    key: str, value: str, words: str, bench: Workbench, queue: Callable[..., dict[str, Any]]
) -> None:
    """Each says what is allowed, and nothing is made."""
    queue(lr=0.5, kind="tree")
    with pytest.raises(ActionRefused) as error:
        actions.rerun(bench.workspace, "p", 0, key, value, who="test")
    assert words in str(error.value)
    assert 1 == len(bench.trials())
    assert ("lr", "kind", "trees", "flag", "epochs", "shuffle") == program_keys(bench.spec)
