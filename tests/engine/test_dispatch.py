"""What a worker is told: here, whether the preparation has to compute head importance."""

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_spec

from bertdistill.engine.dispatch import prunes_by_importance

HEADS = {"heads": {"low": 1, "high": 4}}
CHOICE = {"head_choice": {"choices": ["random", "importance"]}}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"search": HEADS}, True),
        ({"search": HEADS, "settings": {"head_choice": "random"}}, False),
        ({"search": HEADS | CHOICE}, True),
        ({"search": CHOICE, "settings": {"heads": 2}}, True),
        ({"search": {"alpha": {"low": 0.0, "high": 1.0}}, "baseline": {"heads": 2}}, True),
        ({"search": {"alpha": {"low": 0.0, "high": 1.0}}, "baseline": {}}, False),
    ],
)
def test_importance_is_computed_only_where_heads_are_cut_by_it(
    tmp_path: Path, sections: dict[str, Any], expected: bool
) -> None:
    """A study that keeps all heads, or draws them at random, does not pay for it."""
    base: dict[str, Any] = {"student": {"init": "teacher"}, "baseline": {}}
    assert expected == prunes_by_importance(study_spec(tmp_path, **{**base, **sections}))
