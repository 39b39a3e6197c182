"""What a trial's settings are called."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bertdistill.engine.analysis.methods import METHODS, WHOLE, method_of
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, WHOLE),
        ({"layers": 3}, "layers"),
        ({"layer_list": [0, 2], "layers": 2, "heads": 6}, "layers + heads"),
        ({"recipe": "narrow", "layers": 3}, "narrow"),
        ({"family": "mlp", "layers": 3}, "mlp"),
        ({"family": "", "layers": 3}, ""),
    ],
)
def test_names(settings: dict[str, Any], name: str) -> None:
    assert name == method_of({**dataclasses.asdict(Settings()), **settings})


def test_defaults_are_the_whole_model() -> None:
    """No default counts as a method, whatever keys the family gains."""
    values = dataclasses.asdict(Settings())
    assert [] == [
        key for key, word in METHODS if key in FAMILIES["transformer"].settings & values.keys() and word(values[key])
    ]
