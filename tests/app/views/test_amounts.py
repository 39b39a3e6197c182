"""Amounts are close to what a preparation counts, and exactly those where one has counted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bertdistill.app.views.amounts import estimate, prepared_before
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


def test_a_text_is_one_window() -> None:
    """A longer one is cut."""
    data = DataSpec(search_fraction=0.2, max_length=16)
    found = estimate(data, [(5000, None)] + [(4, None)] * 9)
    assert (8, 8, False) == (found.examples, found.windows, found.exact)
    assert 10 * 16 > found.tokens > 16


def test_a_limit_of_one_split_leaves_the_other() -> None:
    """What is not trained on is not searched with: the cut comes before the limits."""
    whole, few = (
        estimate(DataSpec(search_fraction=0.2, max_train_examples=limit), [(10, None)] * 100) for limit in (0, 10)
    )
    assert (80, 10) == (whole.examples, few.examples)
    assert few.tokens / whole.tokens == pytest.approx((10 + 20) / (80 + 20))
