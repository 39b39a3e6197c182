"""The command that prints ladders, in a workspace with stored predictions."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from tests.app.commands.typing_words import Type, typist
from tests.ladders import REPORTED, Climbed


@pytest.fixture
def climbed(tmp_path: Path) -> Climbed:
    """The workspace."""
    return Climbed(tmp_path)


@pytest.fixture(name="type_")
def typing(climbed: Climbed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command: exit status, stdout, stderr."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(climbed.workspace.path))
    return typist(capsys, "ladder")


def test_the_ladder_of_the_newest_study(type_: Type) -> None:
    """Rows by size, the teacher and the reference; distillation brought more than chance."""
    status, out, err = type_()
    assert (0, "") == (status, err)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "ladder of toy" == lines[0]
    assert lines[2].startswith("tagger plain #1 80.00")
    assert lines[3].startswith("tagger distilled #2 93.00 ± 1.41 (2)")
    assert lines[4].startswith("transformer plain #0 94.00")
    assert [["teacher", "95.00"], ["published", "published"]] == [line.split()[:2] for line in lines[5:7]]
    assert any(line.startswith("tagger, distilled against plain: +13.00 (95 % interval") for line in lines)
    assert any(
        "within 1 point of the teacher on the validation split is transformer, plain (#0" in line for line in lines
    )


def test_intervals_to_the_teacher_need_no_verification(climbed: Climbed, type_: Type) -> None:
    """Its stored predictions of the validation split are compared with those of each student, example by example."""
    climbed.teacher_predicted(wrong=10)
    [found] = json.loads(type_("toy", "--json")[1])
    low, high = found["rungs"][0]["scores"]["validation"]["gap_interval"]
    assert ("validation", True) == (found["split"], -25 < low < -15 < high < -5)
    assert "the interval reaches beyond 1 point" in type_("toy")[1]


def test_after_verification_the_report_split_decides(climbed: Climbed, type_: Type) -> None:
    """With paired intervals, because the teacher's predictions are stored there."""
    climbed.scored_on_report(REPORTED)
    [found] = json.loads(type_("toy", "--json")[1])
    assert ("report", {"validation": 200, "report": 300}) == (found["split"], found["examples"])
    distilled = found["rungs"][1]["scores"]["report"]
    assert (2, pytest.approx(89.5), pytest.approx(-5.5)) == (distilled["seeds"], distilled["value"], distilled["gap"])
    assert distilled["gap_interval"][1] < 0
    assert found["near"]["rung"] is None


def test_several_studies_and_formats(climbed: Climbed, type_: Type, tmp_path: Path) -> None:
    """One block each, in the order given; HTML to a file."""
    page = tmp_path / "ladder.html"
    status, out, err = type_("toy", "--html", "--output", str(page))
    assert (0, "", f"wrote {page}\n") == (status, out, err)
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert type_("toy", "--format", "md")[1].startswith("### toy\n\n| student |")
    rows = list(csv.DictReader(io.StringIO(type_("toy", "--csv")[1])))
    assert ["plain", "distilled", "plain", "teacher", "reference"] == [row["kind"] for row in rows]
    assert "93.0" == rows[1]["validation.value"]


def test_without_the_data_only_intervals_are_missing(climbed: Climbed, type_: Type) -> None:
    """Scores are in the database; the note names what could not be read."""
    Path(climbed.spec.data.train).unlink()
    status, out, err = type_()
    assert (0, True, True) == (status, "tagger" in out, "train.txt" in err)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--json", "--csv"], "csv and json exclude each other"),
        (["--html", "--format", "md"], "html and md exclude each other"),
        (["--format", "pdf"], "there is no format 'pdf'"),
    ],
)
def test_misuse(type_: Type, words: list[str], message: str) -> None:
    """Exit status 2, nothing on stdout."""
    status, out, err = type_(*words)
    assert (2, "", True) == (status, out, message in err)


def test_a_study_without_complete_trials(type_: Type) -> None:
    """An unknown one names the nearest."""
    status, _, err = type_("toi")
    assert (1, True) == (status, "toy" in err)
