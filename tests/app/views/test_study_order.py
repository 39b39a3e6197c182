"""The age of a study in one unit, and the words that find it."""

from __future__ import annotations

import pytest

from bertdistill.app.views.study_order import age, changed_at, in_order, matches
from bertdistill.app.views.view import StudyView
from bertdistill.engine.study.outline import outline
from bertdistill.store.rows import Study, StudyState, Trial


def a_view(name: str, *, at: float, ended: float | None = None) -> StudyView:
    study = Study(id=int(at), name=name, task="classification", created_at=at, state=StudyState.FAILED)
    trials = (Trial(study_id=1, number=0, created_at=at, finished_at=ended),) if ended else ()
    return StudyView(study, outline(study), trials)


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5.0, "now"), (59.9, "now"), (60.0, "1m"), (7300.0, "2h"), (8e5, "1w"), (6e5, "6d")]
)
def test_ages(seconds: float, words: str) -> None:
    assert age(seconds) == words


def test_the_study_that_changed_last_is_the_first() -> None:
    """Its newest trial counts; studies without a value come last, whichever way they are sorted."""
    old, new = a_view("old", at=1.0, ended=9.0), a_view("New", at=2.0)
    assert (changed_at(old), changed_at(new)) == (9.0, 2.0)
    assert in_order([old, new]) == [old, new]
    assert in_order([old, new], reverse=True) == [new, old]
    assert in_order([old, new], "study") == [new, old]
    assert in_order([old, new], "top", reverse=True) == [old, new]


@pytest.mark.parametrize(
    ("text", "found"), [("", True), ("SST class", True), ("sst -failed", False), ("-x", True), ("sst x", False)]
)
def test_the_words_that_find_a_study(text: str, found: bool) -> None:
    assert matches(a_view("sst2-small", at=1.0), text) is found
