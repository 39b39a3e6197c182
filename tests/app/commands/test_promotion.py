"""What a verification found and what a model answers, as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertdistill.app.commands.promotion import answer_text, ask_model, model_folder, verified_text
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import ModelVersion


def test_verified_text_compares_the_record() -> None:
    """Recorded, repeated and report score stand side by side with the interval; measurements below."""
    report = {
        "exact_recorded": 35.0,
        "exact_repeated": 34.9,
        "exact_interval": "29.55 to 35.56",
        "problem": "exact was recorded as 35.00",
        "remarks": ["No \x1b[31mONNX file", "Another"],
    }
    version = ModelVersion(name="m", version=1, trial_id=1, checkpoint_id=1, report=report, created_at=0.0)
    row = {
        "model": "m:1",
        "state": "verified",
        "study": "demo",
        "trial": 7,
        "aliases": ["production"],
        "folder": "/models/m/v1",
        "metrics": {"exact": 32.56, "latency_ms": 0.64},
    }
    text = verified_text(row, version)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "score recorded repeated report split 95 % interval" in lines
    assert "exact 35.00 34.90 32.56 29.55 to 35.56" in lines
    facts = ["mismatch exact was recorded as 35.00", "remark No ONNX file", "remark 2 Another"]
    assert facts == [line for line in lines if line.startswith(("mismatch", "remark"))]
    assert "latency_ms 0.64 ms" in lines
    assert "remark No ONNX file" in lines


@pytest.mark.parametrize(
    ("found", "first"),
    [
        ({"answer": "Ada", "abstained": False, "best_span": "Ada", "score": 3.0, "null_score": 1.0}, "Ada"),
        (
            {"answer": "", "abstained": True, "best_span": "Ada", "score": 3.0, "null_score": 9.0},
            "no answer in the passage",
        ),
        ({"label": "good", "probability": 0.9, "probabilities": {"bad": 0.1, "good": 0.9}}, "good"),
        ({"label": "\x1b[2Jgood", "probability": 0.9, "probabilities": {"\x1b[2Jgood": 0.9}}, "good"),
    ],
)
def test_answers_begin_with_the_answer(found: dict[str, object], first: str) -> None:
    """The first line is the answer alone, so that a script can take it; foreign text is made safe."""
    text = answer_text(found)
    assert (first, False) == (text.splitlines()[0], "\x1b" in text)


def test_model_folder_by_name_needs_a_version(ws: Workspace) -> None:
    """An unknown name is an error, not a path."""
    with pytest.raises(NotFound, match="nothing"):
        model_folder(ws, "nothing")


def test_model_folder_by_path(ws: Workspace, tmp_path: Path) -> None:
    """An exported folder needs no workspace."""
    folder = tmp_path / "exported"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert folder == model_folder(ws, str(folder))


def test_a_model_that_cannot_answer_says_why_in_one_line(tmp_path: Path) -> None:
    """The last line of the answering process is the error; its traceback stays away."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WorkerFailed) as caught:
        ask_model(tmp_path, {"text": "good"}, as_json=False)
    assert 1 == len(str(caught.value).splitlines())
    assert str(tmp_path) in str(caught.value)
