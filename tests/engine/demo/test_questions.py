"""The demo's data set: same bytes, sound answers, honest labels, graded questions."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.demo.questions import KINDS, NAMES, SOURCE, DemoFiles, write_demo
from bertdistill.engine.distill.data.examples import QAExample, cut, load_examples


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """The default data set, written once."""
    return write_demo(tmp_path_factory.mktemp("demo"))


def rows(path: Path) -> list[QAExample]:
    """The questions of one file, read as the worker reads them."""
    return list(load_examples(DataSpec(train=str(path)), "question-answering", "train").rows)


def test_the_same_arguments_give_the_same_bytes(files: DemoFiles, tmp_path: Path) -> None:
    """The bytes are pinned: another Python or machine must make the very same study."""
    again = write_demo(tmp_path)
    assert files.train.read_bytes() == again.train.read_bytes()
    assert files.report.read_bytes() == again.report.read_bytes()
    assert (
        "40496d4a896637181d58ae29664ec09a54808c9bbd0e285f4b8c4dbfe924709c"
        == hashlib.sha256(files.train.read_bytes()).hexdigest()
    )
    assert files.train.read_bytes() != write_demo(tmp_path, seed=8).train.read_bytes()


def test_sizes_and_the_share_without_answer(files: DemoFiles) -> None:
    """About 8,000 and 1,000 questions, one in three unanswerable, inputs short enough for two CPU cores."""
    train, report = rows(files.train), rows(files.report)
    assert (8100, 900) == (len(train), len(report))
    for part in (train, report):
        assert 0.30 < sum(row.impossible for row in part) / len(part) < 0.38
    assert max(len((row.context + " " + row.question).split()) for row in train) < 56


def test_every_answer_stands_where_it_says_and_only_there(files: DemoFiles) -> None:
    """No value occurs twice in a passage, so every answer has one place."""
    for row in rows(files.train) + rows(files.report):
        for text, start in zip(row.answers, row.starts, strict=True):
            assert text == row.context[start : start + len(text)]
            assert 1 == row.context.replace(".", " ").split().count(text)


def test_no_article_and_no_question_is_in_both_files(files: DemoFiles) -> None:
    """The report stays unseen."""
    train, report = rows(files.train), rows(files.report)
    assert {row.title for row in train}.isdisjoint(row.title for row in report)
    assert {row.id for row in train}.isdisjoint(row.id for row in report)
    assert {row.context for row in train}.isdisjoint(row.context for row in report)


def test_a_search_part_can_be_cut_off(files: DemoFiles) -> None:
    """The demo study cuts by article like any other."""
    data = DataSpec(train=str(files.train))
    train, search = cut(load_examples(data, "question-answering", "train"), data)
    assert 8100 == len(train) + len(search)
    assert 600 < len(search) < 1000


def asked(row: QAExample) -> tuple[str, Any]:
    """The person and the kind of fact that a question is about."""
    for kind in KINDS:
        for template in kind.asks:
            before, after = template.split("{who}")
            who = row.question.removeprefix(before).removesuffix(after)
            if who in NAMES and row.question == before + who + after:
                return who, kind
    raise AssertionError(row.question)


def told(context: str, kind: Any) -> list[tuple[str, str]]:
    """The (person or pronoun, value) pairs that a passage tells of one kind of fact."""
    values = "|".join(kind.values)
    found: list[tuple[str, str]] = []
    for template in (kind.plain, kind.other):
        pattern = re.escape(template).replace(r"\{who\}", r"(?P<who>\w+)").replace(r"\{fact\}", f"(?P<fact>{values})")
        found += [(m["who"], m["fact"]) for m in re.finditer(pattern, context)]
    return found


def test_a_question_is_answerable_exactly_when_its_passage_tells_the_fact(files: DemoFiles) -> None:
    """Unanswerable ones are about an unnamed person or an untold kind; answers are told of the right person."""
    for row in rows(files.train):
        who, kind = asked(row)
        facts = [fact for subject, fact in told(row.context, kind) if subject in (who, "She", "He")]
        if row.impossible:
            assert who not in row.context.replace(".", " ").split() or not told(row.context, kind)
        else:
            assert [row.answers[0]] == facts


def test_it_holds_hard_questions_of_every_sort(files: DemoFiles) -> None:
    """Two people with the same kind of fact, pronouns, second wordings, shared colours and rare kinds all occur."""
    train = rows(files.train)
    assert 0.02 < sum(sum(name in row.context for name in NAMES) > 1 for row in train) / len(train) < 0.2
    assert any(" She " in row.context for row in train)
    assert any(" He " in row.context for row in train)
    assert any("door" in row.context and " hat" in row.context for row in train)
    counts = [sum(asked(row)[1] is kind for row in train) for kind in KINDS]
    assert min(counts) > 50
    assert max(counts) > 3 * min(counts)


def test_the_files_say_that_they_are_made(files: DemoFiles) -> None:
    """Nobody can take them for collected data."""
    for path in (files.train, files.report):
        raw = json.loads(path.read_text())
        assert ("v2.0", SOURCE) == (raw["version"], raw["source"])
        assert {SOURCE} == {article["source"] for article in raw["data"]}
        assert all(article["title"].startswith("Made village") for article in raw["data"])
    assert SOURCE.startswith("made from templates by bertdistill-tui")
