"""How a study is looked at survives being written, and nothing of a damaged file is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bertdistill.app.views.habits import Habits, read_habits


@pytest.mark.parametrize("habits", [Habits(), Habits(("state", "params"), "params", True, "params", "f1", False, "")])
def test_what_was_chosen_is_read_back(habits: Habits) -> None:
    """Through JSON, as in the file."""
    assert habits == read_habits(json.loads(json.dumps(habits.to_dict())))


def test_what_was_not_chosen_takes_no_room() -> None:
    """A study that was only opened leaves nothing behind."""
    assert {} == Habits().to_dict()


@pytest.mark.parametrize(
    "raw",
    [
        {"columns": "state", "sort": 3, "reverse": "yes", "x": None, "log": 1, "by": 7},
        {"columns": [{}, None], "sort": "a" * 300, "y": ["f1"]},
        {"columns": ["state"] * 300},
    ],
)
def test_other_types_are_left_to_the_study(raw: dict[str, Any]) -> None:
    """A person may have edited the file."""
    assert Habits() == read_habits(raw)
