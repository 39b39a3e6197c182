"""A tenth of one's own examples is held out, and neither file is the data itself."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.questions import file_questions
from bertdistill.engine.data.tables import file_table
from bertdistill.engine.study.hold_out import FEWEST, hold_out


def texts(path: Path, rows: Sequence[Sequence[object]], head: Sequence[str] = ("review", "stars")) -> DataSpec:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return DataSpec(train=str(path))


def test_a_tenth_of_the_texts_and_none_twice(tmp_path: Path) -> None:
    """Also where the same text is there more than once, over several lines or with commas."""
    rows = [(f'text {i % 90},\n"quoted"', ("bad", "good")[i % 2]) for i in range(200)]
    data = texts(tmp_path / "mine.csv", rows)
    before = (tmp_path / "mine.csv").read_bytes()
    found, words = hold_out(data, tmp_path / "studies", "mine")
    train, report = ([tuple(row) for row in file_table(found, part).rows] for part in ("train", "report"))
    assert sorted(rows) == sorted(train + report)
    assert not {text for text, _ in train} & {text for text, _ in report}
    assert 20 <= len(report) <= 24
    assert f"{len(report)} of 200 examples are held out for the report, in mine-" in words
    assert before == (tmp_path / "mine.csv").read_bytes()


def test_it_is_the_same_for_the_same_data_and_another_for_other(tmp_path: Path) -> None:
    """A study that was started keeps its files when the data is drafted from again after a change."""
    rows = [(f"text {i}", i % 2) for i in range(60)]
    found = [hold_out(texts(tmp_path / "a.csv", rows), tmp_path, "a")[0] for _ in range(2)]
    other = hold_out(texts(tmp_path / "a.csv", [*rows, ("new", 1)]), tmp_path, "a")[0]
    assert found[0] == found[1]
    assert other.train != found[0].train


def test_questions_about_a_passage_stay_together(tmp_path: Path) -> None:
    """As SQuAD JSON, with answers where they were."""
    paragraphs = [
        {
            "context": f"Box {i} is red.",
            "qas": [
                {"id": f"{i}-{j}", "question": f"Colour {j}?", "answers": [{"text": "red", "answer_start": 9}]}
                for j in range(3)
            ],
        }
        for i in range(20)
    ]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "boxes", "paragraphs": paragraphs}]}))
    data = DataSpec(train=str(path))
    found, _ = hold_out(data, tmp_path, "mine")
    train, report = (file_questions(found, part)[0] for part in ("train", "report"))
    assert sorted(train + report, key=lambda row: row.id) == sorted(
        file_questions(data, "train")[0], key=lambda r: r.id
    )
    assert 6 == len(report)
    assert not {row.context for row in train} & {row.context for row in report}


@pytest.mark.parametrize("count", [4, FEWEST - 1])
def test_too_few_stay_as_they_are(tmp_path: Path, count: int) -> None:
    data = texts(tmp_path / "few.csv", [(f"text {i}", i % 2) for i in range(count)])
    assert (data, "") == hold_out(data, tmp_path / "studies", "few")
    assert not (tmp_path / "studies").exists()
