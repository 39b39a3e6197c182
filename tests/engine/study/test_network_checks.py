"""Shared projection and dual training in a study file: where they cannot work, and that they are off by default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import active, idle, online, transfer_share, with_network
from bertdistill.engine.study.config import study_from_dict

DUAL: dict[str, Any] = {"settings": {"dual_share": 0.5, "vocab_size": 100}}
QUESTIONS: dict[str, Any] = {"task": "question-answering", "objectives": [{"metric": "f1"}, {"metric": "params"}]}


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (
            {"settings": {"projection_weight": 1.0}},
            "[settings] projection_weight needs students that are narrower than the teacher; set or search hidden_size",
        ),
        (
            {"settings": {"dual_share": 0.5}},
            "[settings] dual_share needs students with a vocabulary of their own; set or search vocab_size, or use 0",
        ),
        (
            QUESTIONS | DUAL,
            "[settings] dual_share needs labels of whole texts, and the answers of question-answering are tokens",
        ),
        (
            DUAL | {"teacher": {"outputs": "llm.jsonl"}, "student": {"init": "scratch"}},
            "[settings] dual_share needs the network of one teacher, and teacher.outputs is a file",
        ),
        (
            {"search": {"projection": {"choices": ["up", "down"]}}, "baseline": None},
            "[search.projection] has no effect with projection_weight = 0; set or search projection_weight",
        ),
        (
            {"settings": {"family": "mlp", "projection_weight": 1.0}},
            "[settings] projection_weight has no effect: mlp does not use it",
        ),
    ],
)
def test_refusals(tmp_path: Path, sections: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        study_from_dict(study_dict(tmp_path) | {"baseline": None} | sections, where="here")
    assert expected in str(refused.value)


def test_off_by_default() -> None:
    """And without its weight, what is compared has no effect."""
    assert {"soft_loss", "hard_loss"} == {term.name for term in active(Settings())}
    assert "projection" in idle(Settings())
    assert "projection" not in idle(Settings(projection_weight=1.0))


def test_what_they_need_of_the_teacher() -> None:
    """Its network, but not its tokens; dual training is taught by it, so that texts without labels count."""
    both = Settings(projection_weight=1.0, dual_share=0.5)
    assert ["projection_loss", "dual_loss"] == [term.name for term in with_network(both)]
    assert not online(both)
    assert 0.4 == transfer_share(Settings(alpha=0.0, dual_share=0.5, transfer_share=0.4))
    assert 0.0 == transfer_share(Settings(alpha=0.0, projection_weight=1.0, transfer_share=0.4))
