"""`engine difficulty`: what people and scripts read, on a real study and on values."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from tests.order_child import stay_here
from tests.order_study import order_workspace

from bertdistill.app.cli import main
from bertdistill.app.report.difficulty_text import difficulty_text
from bertdistill.app.report.summary import Page
from bertdistill.app.views.difficulty import Difficulty, difficulty_row
from bertdistill.engine.analysis.difficulty import FamilyScore
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.tasks.word_order import Shuffling, WordOrder

ESCAPE = "\x1b]52;c;AAAA\x07"
FOUND = WordOrder(
    wos=0.236,
    still_right=88.2,
    spread=0.84,
    examples=300,
    classes=2,
    shuffling=Shuffling(shuffles=3),
    left_out={"wrong": 41, "short": 7},
    notes=(f"no example of {ESCAPE} could be used",),
    cpu_seconds=7.04,
)
FAMILIES = (FamilyScore("transformer", 7, 87.4, -0.1, 17.8e6), FamilyScore("mlp", 3, 81.0, -6.5, 80_306))
SHOWN = Difficulty("sst2", None, FOUND, "accuracy", FAMILIES)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["engine", "difficulty", *words])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


def test_in_words() -> None:
    """The numbers, the prediction, what was true, and the families; class names of the data are made harmless."""
    text = difficulty_text(SHOWN, Page())
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "word order of the teacher of sst2" == lines[0]
    assert "word order sensitivity 0.236" in lines
    assert (
        "still right 88.20 ± 0.48 %, mean over 3 shuffles of single words; standard deviation of a single one 0.84"
        in lines
    )
    assert "left out 41 wrong, 7 short" in lines
    assert "Below about 0.3: a bag of words or a Bi-LSTM can take over what this teacher knows." in lines
    assert "mlp (trial 3), loses 6.50 points to the teacher" in text
    assert "mlp #3 81.00 -6.50 80.3k" in lines
    assert "\x1b" not in text


def test_a_trial_predicts_nothing() -> None:
    """Its number describes that student only."""
    shown = dataclasses.replace(SHOWN, trial=3, families=())
    assert () == shown.sentences
    assert "word order of trial 3 of sst2" in difficulty_text(shown, Page())
    assert [] == difficulty_row(shown, cached=True)["sentences"]


def test_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One pass, then the cached numbers; a trial of its own; the seed is part of the question."""
    stay_here(monkeypatch)
    where = ("--workspace", str(order_workspace(tmp_path).path), "--shuffles", "2")
    status, out, err = run(capsys, "order", *where)
    assert (0, True, "") == (status, "word order of the teacher of order" in out, err)
    found = json.loads(run(capsys, "order", *where, "--json")[1])
    assert (True, None, "accuracy", []) == tuple(found[key] for key in ("cached", "trial", "metric", "families"))
    assert 0 < found["wos"] < 1
    found = json.loads(run(capsys, "order", *where, "--json", "--trial", "0")[1])
    assert (False, 0) == (found["cached"], found["trial"])


def test_questions_have_no_word_order(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Refused with the reason."""
    status, out, err = run(capsys, "demo", "--workspace", str(ws.path))
    assert (1, "") == (status, out)
    assert "shuffled words would move the answers" in err


@pytest.mark.parametrize("words", [["--ngram", "4"], ["--shuffles", "0"], ["--trial", "-1"]])
def test_misuse(ws: Workspace, capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    """Exit status 2."""
    assert 2 == run(capsys, "demo", *words, "--workspace", str(ws.path))[0]
