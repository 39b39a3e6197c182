"""The age of a study in one unit, what it is found by, and which changed last."""

from __future__ import annotations

import pytest

from bertdistill.app.views.study_order import age, changed_at, held, newest_first
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
    """Its newest trial counts."""
    old, new = a_view("old", at=1.0, ended=9.0), a_view("New", at=2.0)
    assert (changed_at(old), changed_at(new)) == (9.0, 2.0)
    assert newest_first([new, old]) == [old, new]


def test_what_a_study_is_found_by() -> None:
    assert held(a_view("sst2-small", at=1.0)).startswith("sst2-small failed classification")
