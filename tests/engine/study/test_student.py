"""What a study asks of its preparation: the units and embeddings that any of its trials may read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.student import wanted_units, wanted_vectors

RATE = {"learning_rate": {"low": 1e-4, "high": 1e-2}}


@pytest.mark.parametrize(
    ("sections", "units", "vectors"),
    [
        ({"search": {**RATE, "layers": {"low": 1, "high": 4}}}, [], {}),
        ({"settings": {"family": "mlp"}, "search": RATE, "baseline": None}, [], {}),
        (
            {
                "settings": {"family": "mlp", "embedding_init": "teacher"},
                "search": {"units": {"choices": ["teacher", "words"]}, "vocab_size": {"low": 100, "high": 900}},
                "baseline": None,
            },
            ["words"],
            {"teacher": 5000},
        ),
    ],
)
def test_only_what_a_trial_may_read_is_prepared(
    sections: dict[str, Any], units: list[str], vectors: dict[str, int], tmp_path: Path
) -> None:
    """Tokenising again and running the teacher over its vocabulary cost time."""
    spec = study_from_dict({**study_dict(tmp_path, **sections), "baseline": sections.get("baseline")}, where="here")
    assert (units, vectors) == (wanted_units(spec), wanted_vectors(spec))


@pytest.mark.parametrize("family", ["mlp", "bilstm"])
def test_tiny_families_do_not_answer_questions(family: str, tmp_path: Path) -> None:
    """They give labels; the message names the families that give spans."""
    raw = study_dict(tmp_path, settings={"family": family}, search=RATE, task="question-answering")
    objectives = [{"metric": "exact"}, {"metric": "params"}]
    with pytest.raises(ConfigError, match=f'"{family}" does not support question-answering; use transformer'):
        study_from_dict({**raw, "objectives": objectives, "baseline": None}, where="here")
