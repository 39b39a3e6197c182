"""`[teacher]` in a study file: a file of outputs, several teachers, and what they exclude."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import MemberSpec
from bertdistill.engine.study.config import dump, load_study, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.study_text import write_toml

FILE = {"outputs": "llm.jsonl"}


def read(tmp_path: Path, teacher: dict[str, Any], **more: Any) -> StudySpec:
    return study_from_dict(study_dict(tmp_path, **more) | {"teacher": teacher}, where="here")


@pytest.mark.parametrize(
    ("teacher", "more", "expected"),
    [
        ({}, {}, "[teacher] model is missing"),
        (FILE, {}, '[student] init = "teacher", but teacher.outputs is a file'),
        (FILE | {"fine_tune": {}}, {"student": {"init": "scratch"}}, "fine_tune has no effect: there is no teacher"),
        (
            FILE,
            {"student": {"init": "scratch"}, "metrics": {"stored": ["latency_ratio"]}},
            "outputs is a file without a latency",
        ),
        (
            FILE,
            {"student": {"init": "scratch"}, "objectives": [{"metric": "accuracy"}, {"metric": "compression"}]},
            "outputs is a file without a size, so there is no compression; use bytes",
        ),
        ({"model": "x", "ensemble": [{"weight": 2.0}]}, {}, "[teacher.ensemble.0] needs either model or outputs"),
        ({"model": "x", "ensemble": [{"model": "y", "wieght": 1}]}, {}, "[teacher.ensemble.0] wieght is not a known"),
        ({"model": "x", "ensemble": [{"model": "y", "weight": 0}]}, {}, "[teacher.ensemble.0] weight = 0 is below"),
        ({"model": "x", "ensemble": {"model": "y"}}, {}, "must be a list of tables: [[teacher.ensemble]]"),
    ],
)
def test_refusals(tmp_path: Path, teacher: dict[str, Any], more: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, teacher, **more)
    assert expected in str(refused.value)


def test_answers_need_one_model(tmp_path: Path) -> None:
    raw = {"task": "question-answering", "data": {"train": "a", "report": "b"}, "student": {"init": "scratch"}}
    objectives = [{"metric": "exact"}, {"metric": "params"}]
    for teacher in ({"outputs": "x"}, {"model": "x", "ensemble": [{"model": "y"}]}):
        with pytest.raises(ConfigError, match=r"is for text-classification only: use one teacher\.model"):
            read(tmp_path, teacher, **raw, objectives=objectives)


def test_files_and_folders_are_those_beside_the_study_file(tmp_path: Path) -> None:
    """And come back from the stored form as they were."""
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "config.json").touch()
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).touch()
    members = [{"model": "second", "weight": 2.0}, {"outputs": "b.jsonl"}]
    raw = study_dict(tmp_path, student={"init": "scratch"})
    raw["teacher"] = {"outputs": "a.jsonl", "ensemble": members}
    (tmp_path / "study.toml").write_text(write_toml(raw))
    spec = load_study(tmp_path / "study.toml")
    assert str(tmp_path / "a.jsonl") == spec.teacher.outputs
    assert [
        MemberSpec(model=str(tmp_path / "second"), weight=2.0),
        MemberSpec(outputs=str(tmp_path / "b.jsonl")),
    ] == spec.teacher.ensemble
    assert spec == study_from_dict(dump(spec), where="here")
