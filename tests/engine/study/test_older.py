"""Studies that older versions wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.study.config import dump, study_from_dict

RATE = {"learning_rate": {"low": 1e-4, "high": 1e-2}}


@pytest.mark.parametrize(
    ("settings", "search", "size", "tables"),
    [
        ({}, {}, 5000, {}),
        ({"family": "mlp"}, {}, 5000, {}),
        ({"family": "mlp"}, {}, 300, {"mlp": {"vocab_size": 300}}),
        (
            {"mlp": {"hidden_size": 8}},
            {"family": {"choices": ["transformer", "mlp"]}},
            300,
            {"mlp": {"vocab_size": 300, "hidden_size": 8}},
        ),
    ],
)
def test_a_vocab_size_that_was_written_out_stays_that_of_tiny_families(
    settings: dict[str, Any], search: dict[str, Any], size: int, tables: dict[str, Any], tmp_path: Path
) -> None:
    """Stored studies hold every key, also those that their families did not have."""
    raw = {**study_dict(tmp_path, settings=settings, search={**RATE, **search}), "baseline": None}
    stored = dump(study_from_dict(raw, where="here"))
    del stored["settings"]["vocabulary"]
    stored["settings"]["vocab_size"] = size
    spec = study_from_dict(stored, where="there")
    assert (0, tables) == (spec.settings.vocab_size, spec.family_settings)
    assert study_from_dict(dump(spec), where="again") == spec


def test_a_file_that_somebody_wrote_is_taken_at_its_word(tmp_path: Path) -> None:
    """It names only what it sets."""
    raw = study_dict(tmp_path, settings={"vocab_size": 5000}, search=RATE)
    assert 5000 == study_from_dict({**raw, "baseline": None}, where="here").settings.vocab_size
