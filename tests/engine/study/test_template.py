"""A study file for someone's own data: what is guessed, what is refused, and that the result is a valid study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.config import load_study
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.study_text import read_toml
from bertdistill.engine.study.template import data_spec, study_name, study_template

ODD = "id,Stars,Review text\n" + "".join(
    f'{i},{"good" if i % 4 else "bad"},"a film, {"very " * (i % 7)}long"\n' for i in range(80)
)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A table whose columns have names of its own, and a report file beside it."""
    path = tmp_path / "odd reviews.csv"
    path.write_text(ODD)
    (tmp_path / "report.csv").write_text(ODD)
    return path


def written(train: Path, report: Path | None, *changes: str) -> tuple[StudySpec, str]:
    """The study that the file describes, and the guesses."""
    made = study_template(data_spec(train, report, changes), study_name(train))
    path = train.with_name("made.toml")
    path.write_text(made.text, encoding="utf-8")
    return load_study(path), " / ".join(made.guesses)


def test_a_table_becomes_a_study(reviews: Path, tmp_path: Path) -> None:
    """Columns, labels and length come from the file; accuracy must beat the most frequent label."""
    spec, guesses = written(reviews, tmp_path / "report.csv")
    assert (spec.name, spec.task) == ("odd-reviews", "text-classification")
    assert (spec.data.text_column, spec.data.label_column) == ("Review text", "Stars")
    assert (spec.data.labels, spec.data.max_length) == (["bad", "good"], 32)
    assert spec.objectives[0].threshold == 76.0
    assert 'always answering "good" is right for 75.0 %' in guesses
    assert 'not used: "id"' in guesses


@pytest.mark.parametrize(("rows", "epochs", "of_teacher"), [(80, 10, 10), (810, 8, 8), (7000, 1, 2)])
def test_a_small_file_is_read_several_times(tmp_path: Path, rows: int, epochs: int, of_teacher: int) -> None:
    """One pass over 810 texts is 25 steps, after which a small student answers the commonest label."""
    path, report = tmp_path / "texts.csv", tmp_path / "report.csv"
    path.write_text("text,label\n" + "".join(f"a film of {i} hours,{i % 2}\n" for i in range(rows)))
    report.write_text("text,label\na film,0\nanother film,1\n")
    spec, _ = written(path, report)
    assert (spec.settings.epochs, spec.teacher.fine_tune.epochs) == (epochs, of_teacher)


def test_an_ambiguous_column_is_named_by_the_user(reviews: Path, tmp_path: Path) -> None:
    """Without it, the columns are listed."""
    rows = "".join(f"{i % 2},{i % 3},a film of {i} hours\n" for i in range(60))
    for path in (reviews, tmp_path / "report.csv"):
        path.write_text(f"a,b,words\n{rows}")
    with pytest.raises(ConfigError, match=r"set data\.label_column") as refusal:
        written(reviews, None)
    assert "--set data.label_column=" in refusal.value.hint
    spec, _ = written(reviews, tmp_path / "report.csv", "data.label_column=a", "data.max_train_examples=50")
    assert spec.data.label_column == "a"


def test_questions_are_recognised(tmp_path: Path) -> None:
    """SQuAD JSON; with unanswerable questions, a student must also answer some."""
    context = "Ada wrote notes."
    qas = [
        {"id": "1", "question": "Who wrote?", "answers": [{"text": "Ada", "answer_start": 0}]},
        {"id": "2", "question": "Who read?", "answers": [], "is_impossible": True},
    ]
    train = tmp_path / "train-v2.0.json"
    train.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [{"context": context, "qas": qas}]}]}))
    spec, guesses = written(train, tmp_path / "dev.json")
    assert (spec.name, spec.task) == ("train-v2.0", "question-answering")
    assert [one.metric for one in spec.objectives] == ["f1", "params", "has_answer_f1"]
    assert "2 questions, 1 of them without an answer" in guesses


def test_a_missing_report_file_is_reported(reviews: Path) -> None:
    """The file says so, and so does loading it."""
    made = study_template(data_spec(reviews, None, ()), "x")
    assert "data.report is empty" in made.guesses[-1]
    path = reviews.with_name("made.toml")
    path.write_text(made.text)
    with pytest.raises(ConfigError, match="report"):
        load_study(path)


def test_hostile_cells_stay_text(tmp_path: Path) -> None:
    """Control characters and line breaks in names and labels are escaped: they neither end a comment nor add a key."""
    path = tmp_path / "x.csv"
    rows = "".join(f'"some words here {i}","a\x1b[31m\nname = 3"\n"other words here {i}",b\n' for i in range(9))
    path.write_text(f"text,label\n{rows}")
    made = study_template(data_spec(path, None, ()), "x")
    assert "\x1b" not in made.text
    path.with_suffix(".toml").write_text(made.text)
    assert read_toml(path.with_suffix(".toml"))["name"] == "x"


def test_other_keys_are_refused(reviews: Path) -> None:
    """Only what describes the data is needed to read it."""
    with pytest.raises(ConfigError, match=r"budget\.trials"):
        data_spec(reviews, None, ["budget.trials=3"])
    with pytest.raises(ConfigError, match="labl_column"):
        data_spec(reviews, None, ["data.labl_column=x"])


@pytest.mark.parametrize(("file", "name"), [("a b.csv.gz", "a-b"), ("con.csv", "study"), ("漢字.tsv", "study")])
def test_the_name_is_a_valid_folder(file: str, name: str) -> None:
    """Whatever the file is called."""
    assert study_name(Path(file)) == name


def test_a_data_file_is_no_study_file(reviews: Path) -> None:
    """The command that makes one of it is named."""
    with pytest.raises(ConfigError, match="data file") as refusal:
        read_toml(reviews)
    assert "engine new" in refusal.value.hint
