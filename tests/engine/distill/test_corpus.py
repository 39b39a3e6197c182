"""The texts that a preparation collects for pre-training, and those that it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.preparing import make_run, split_report

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Corpus
from bertdistill.engine.contract.spec import PretrainSpec, TeacherSpec
from bertdistill.engine.demo.questions import write_demo
from bertdistill.engine.distill.corpus import collect_corpus
from bertdistill.engine.distill.data.corpus_file import read_corpus
from bertdistill.engine.distill.data.examples import NO_LABEL, Examples, TextExample, cut, load_examples, texts_of
from bertdistill.engine.distill.run import Run


def collected(run: Run, *tables: PretrainSpec, transfer: tuple[str, ...] = ()) -> Corpus:
    spec = dataclasses.replace(run.spec, pretrain=list(tables))
    train, _ = cut(load_examples(spec.data, spec.task, "train"), spec.data)
    more = [TextExample(f"transfer-{i}", text, None, NO_LABEL) for i, text in enumerate(transfer)]
    every = dataclasses.replace(train, rows=[*train.rows, *more])
    return collect_corpus(dataclasses.replace(run, spec=spec), train, every)


def splits(run: Run) -> tuple[Examples, Examples]:
    return cut(load_examples(run.spec.data, run.spec.task, "train"), run.spec.data)


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Run:
    return split_report(make_run(tmp_path / "run", TeacherSpec(model="scratch")))


def test_training_texts_transfer_set_and_files(run: Run, tmp_path: Path) -> None:
    """Each once, in the order of the tables; not the validation split."""
    path = tmp_path / "more.txt"
    path.write_text("a new text\nA New  text\n\na good film number 31\nof the set\n", encoding="utf-8")
    tables = (PretrainSpec("train"), PretrainSpec("transfer"), PretrainSpec("file", path=str(path)))
    corpus = collected(run, *tables, transfer=("of the set",))
    train, search = splits(run)
    texts = list(read_corpus(Path(corpus.folder)))
    assert [*texts_of(train), "of the set", "a new text", "a good film number 31"] == texts
    assert not {*texts} & {*texts_of(search)}
    assert (len(texts), sum(map(len, texts))) == (corpus.texts, corpus.characters)
    assert corpus == collected(run, *tables, transfer=("of the set",))
    assert Corpus() == collected(run)


def test_the_report_split_is_refused_under_any_name(run: Run, tmp_path: Path) -> None:
    """The file itself, a copy, a table of it, and the training file, which has the validation split."""
    report = Path(run.spec.data.report)
    link = tmp_path / "other.txt"
    link.hardlink_to(report)
    copy = tmp_path / "copy.csv"
    rows = [line.rsplit(";", 1)[0].upper() for line in report.read_text().splitlines()]
    copy.write_text("\n".join(["text", *rows, "a new one"]), encoding="utf-8")
    for path, message in (
        (report, r"report.txt \(pretrain.0.path\) is the file of the report split"),
        (link, r"other.txt \(pretrain.0.path\) is the file of the report split"),
        (copy, r"of its 11 texts, 10 are in the report split, 10 of them but for case"),
        (Path(run.spec.data.train), r"of its 60 texts, 6 are in the validation split; "),
    ):
        with pytest.raises(ConfigError, match=message):
            collected(run, PretrainSpec("file", path=str(path)))
    dropped = collected(run, PretrainSpec("file", path=str(copy), overlap="drop"))
    assert ["a new one"] == list(read_corpus(Path(dropped.folder)))


def test_questions_and_passages_of_held_back_articles_are_refused(tmp_path: Path) -> None:
    """In question answering both are texts, and the training file has those of the validation split."""
    files = write_demo(tmp_path / "data", articles=8)
    run = make_run(tmp_path / "run", TeacherSpec(model="scratch"))
    data = dataclasses.replace(run.spec.data, train=str(files.train), report=str(files.report), labels=[])
    run = dataclasses.replace(run, spec=dataclasses.replace(run.spec, data=data, task="question-answering"))
    train, search = splits(run)
    corpus = collected(run, PretrainSpec("train"))
    texts = [*read_corpus(Path(corpus.folder))]
    assert {*texts} <= {*texts_of(train)}
    assert {row.context for row in train.rows} <= {*texts}
    passage = tmp_path / "passages.txt"
    passage.write_text("\n".join(dict.fromkeys(row.context for row in search.rows)), encoding="utf-8")
    with pytest.raises(ConfigError, match="are in the validation split"):
        collected(run, PretrainSpec("file", path=str(passage)))
    with pytest.raises(ConfigError, match="are in the validation split"):
        collected(run, PretrainSpec("file", path=str(files.train)))


def test_no_text_at_all_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("\n \n", encoding="utf-8")
    with pytest.raises(ConfigError, match="hold no text"):
        collected(run, PretrainSpec("file", path=str(path)))
