"""Amounts are close to what a preparation counts, and exactly those where one has counted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bertdistill.app.views.amounts import estimate, prepared_before, text_lengths
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.study.config import changed, dump
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import writes
from bertdistill.store.db import Database, open_db

FACTS = {"train_examples": 7, "train_features": 9, "search_features": 2, "mean_length": 40.5}
LATER = 4e9


@pytest.fixture
def prepared(tmp_path: Path, spec: StudySpec) -> Any:
    """A workspace with one prepared study, opened."""
    db = open_db(tmp_path / "other")
    with db.write() as session:
        study = writes.create_study(session, name="first", task=spec.task, spec=dump(spec), now=LATER)
        writes.set_prepared(session, study.id, FACTS)
    yield db
    db.close()


def test_the_same_data_was_counted_before(prepared: Database, spec: StudySpec) -> None:
    """What only a promotion or the scoring reads may differ."""
    assert Prepared.from_dict(FACTS) == prepared_before(prepared, spec)
    assert Prepared.from_dict(FACTS) == prepared_before(prepared, changed(spec, "data.n_best", 5))


@pytest.mark.parametrize(("key", "value"), [("data.max_length", 48), ("teacher.vocab_size", 400)])
def test_other_lengths_or_words_are_counted_anew(prepared: Database, spec: StudySpec, key: str, value: int) -> None:
    """Windows follow from both."""
    assert prepared_before(prepared, changed(spec, key, value)) is None


def test_a_file_that_was_written_since_is_counted_anew(prepared: Database, spec: StudySpec) -> None:
    """The study of its old content says nothing about the new one."""
    os.utime(spec.data.train, (LATER + 1, LATER + 1))
    assert prepared_before(prepared, spec) is None


def test_a_study_that_is_not_prepared_says_nothing(tmp_path: Path, spec: StudySpec) -> None:
    """It has read nothing yet."""
    db = open_db(tmp_path / "other")
    with db.write() as session:
        writes.create_study(session, name="first", task=spec.task, spec=dump(spec), now=LATER)
    assert prepared_before(db, spec) is None
    db.close()


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "sentence,label\ngood,1\n\nbad,0\n", [(6, None), (5, None)]),
        ("a.txt", "good;1\nbad;0\n", [(6, None), (5, None)]),
        ("a.jsonl", '{"a":1}\n', [(7, None)]),
    ],
)
def test_lengths_of_texts(tmp_path: Path, name: str, text: str, expected: list[tuple[int, None]]) -> None:
    """Empty lines and the header are no examples."""
    path = tmp_path / name
    path.write_text(text)
    assert expected == list(text_lengths(path, "text-classification"))


def test_a_text_is_one_window(tmp_path: Path) -> None:
    """A longer one is cut."""
    path = tmp_path / "a.txt"
    path.write_text("word " * 1000 + ";1\n" + "word;0\n" * 9)
    found = estimate(DataSpec(train=str(path), search_fraction=0.2, max_length=16), "text-classification")
    assert (8, 8, False) == (found.examples, found.windows, found.exact)
    assert 10 * 16 > found.tokens > 16


def test_a_limit_of_one_split_leaves_the_other(tmp_path: Path) -> None:
    """What is not trained on is not searched with: the cut comes before the limits."""
    path = tmp_path / "a.txt"
    path.write_text("some words;1\n" * 100)
    whole, few = (
        estimate(DataSpec(train=str(path), search_fraction=0.2, max_train_examples=limit), "text-classification")
        for limit in (0, 10)
    )
    assert (80, 10) == (whole.examples, few.examples)
    assert few.tokens / whole.tokens == pytest.approx((10 + 20) / (80 + 20))


def test_unreadable_data_is_a_config_error(tmp_path: Path) -> None:
    """A file that is no SQuAD JSON is named with the key."""
    path = tmp_path / "broken.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match=r"data\.train = .*broken\.json"):
        list(text_lengths(path, "question-answering"))
