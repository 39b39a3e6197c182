"""The command that prints surveys, in a workspace with stored predictions."""

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
    return Climbed(tmp_path)


@pytest.fixture(name="type_")
def typing(climbed: Climbed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command: exit status, stdout, stderr."""
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(climbed.workspace.path))
    return typist(capsys, "survey")


def test_the_survey_of_the_newest_study(type_: Type) -> None:
    status, out, err = type_()
    assert (0, "") == (status, err)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "survey of toy" == lines[0]
    assert any(line.startswith("layers #0 5×") for line in lines)
    assert any(line.startswith("tagger #2 111×") for line in lines)
    assert any(line.startswith("60× tagger #2") for line in lines)
    assert "Published points are on SST-2" in out


def test_after_verification_the_report_split_decides(climbed: Climbed, type_: Type) -> None:
    climbed.scored_on_report(REPORTED)
    found = json.loads(type_("toy", "--json")[1])
    assert "validation" == found["split"], "one of the rows has no result there"
    assert {"data": "SST-2"}.items() <= found["published"].items()


def test_formats_and_published_points(type_: Type, tmp_path: Path) -> None:
    assert ["layers", "tagger"] == sorted({row["method"] for row in csv.DictReader(io.StringIO(type_("--csv")[1]))})
    assert type_("--html")[1].startswith("<!DOCTYPE html>")
    assert "### toy" in type_("--format", "md")[1]
    chart = tmp_path / "survey.svg"
    assert (0, "", f"wrote {chart}\n") == type_("--svg", str(chart))
    assert "toy: score kept against compression" in chart.read_text()
    assert "Published points" not in type_("--published", "none")[1]
    status, _, err = type_("--published", "ImageNet")
    assert (1, True) == (status, "there are no published points on 'ImageNet'" in err)
    assert "Use SST-2, MNLI-m, CoLA" in err
