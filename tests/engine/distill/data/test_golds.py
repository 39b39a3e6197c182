"""The right answers of a validation split, as the error analysis reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.distill.data.examples import cut, digest, load_examples
from bertdistill.engine.distill.data.golds import main

QA, CLS = "question-answering", "text-classification"


def attempt(folder: Path, data: DataSpec, task: str, labels: list[str]) -> Path:
    """A run folder with the spec of a trial over these data."""
    _, search = cut(load_examples(data, task, "train", labels=tuple(labels)), data)
    folder.mkdir()
    AttemptSpec(
        kind="trial",
        study="s",
        task=task,
        data=data,
        teacher=TeacherSpec("scratch"),
        student=StudentSpec(),
        settings=Settings(),
        device=Device(),
        caches=str(folder / "caches"),
        prepared=Prepared(labels=tuple(labels), search_digest=digest(search)),
    ).write(RunPaths(folder).spec)
    return folder


def squad_data(path: Path) -> DataSpec:
    """Two articles with an answerable and an unanswerable question each; one of them is the validation split."""
    articles = [
        {
            "title": title,
            "paragraphs": [
                {
                    "context": "Box one is red.",
                    "qas": [
                        {"id": f"{title}1", "question": "Colour?", "answers": [{"text": "red", "answer_start": 11}]},
                        {"id": f"{title}2", "question": "Weight?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
        for title in ("a", "b")
    ]
    path.write_text(json.dumps({"version": "v2.0", "data": articles}))
    return DataSpec(train=str(path), search_fraction=0.5)


def test_questions_with_article_and_golds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only those of the validation split; an unanswerable one has no gold."""
    folder = attempt(tmp_path / "run", squad_data(tmp_path / "train.json"), QA, [])
    assert 0 == main([str(folder)])
    found = json.loads(capsys.readouterr().out)
    title = found["rows"][0]["article"]
    expected = [
        {"id": f"{title}1", "article": title, "question": "Colour?", "golds": ["red"], "starts": [11]},
        {"id": f"{title}2", "article": title, "question": "Weight?", "golds": [], "starts": []},
    ]
    for row in expected:
        row["passage"] = "Box one is red."
    assert expected == found["rows"]


def test_texts_with_the_names_of_their_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second sentence stands behind the first."""
    path = tmp_path / "train.tsv"
    lines = [f"one {i}\ttwo {i}\t{'yes' if i % 2 else 'no'}" for i in range(8)]
    path.write_text("\n".join(["sentence1\tsentence2\tlabel", *lines]))
    folder = attempt(tmp_path / "run", DataSpec(train=str(path), search_fraction=0.25), CLS, ["no", "yes"])
    assert 0 == main([str(folder)])
    found = json.loads(capsys.readouterr().out)
    assert ["no", "yes"] == found["labels"]
    assert {"no", "yes"} == {row["label"] for row in found["rows"]}
    assert all(row["text"] == f"one {row['id']} / two {row['id']}" for row in found["rows"])


def test_changed_data_are_refused_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The predictions were made for other questions."""
    data = squad_data(tmp_path / "train.json")
    folder = attempt(tmp_path / "run", data, QA, [])
    text = Path(data.train).read_text()
    Path(data.train).write_text(text.replace("Colour?", "Which colour?"))
    assert 1 == main([str(folder)])
    assert "changed since the study was prepared (restore the file, or start a new study)" in capsys.readouterr().err


def test_a_folder_that_is_no_run_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, no traceback; no folder at all is misuse."""
    assert [1, 2] == [main([str(tmp_path)]), main([])]
    assert 2 == len(capsys.readouterr().err.splitlines())
