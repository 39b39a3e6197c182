"""What the reader keeps between two looks is read again when it no longer holds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import closing
from typing import Any

from bertdistill.app.reader import Reader
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.rows import StudyState
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]


def test_why_a_study_ended_is_seen_in_an_app_that_is_open(ws: Workspace, edit: Edit) -> None:
    """The last trial had ended before: nothing but the state of the study changed."""

    def end(session: Writing) -> None:
        study = reads.study(session, "demo")
        text = "The study is complete after 6 of 8 trials: no other values are left."
        writes.add_notice(session, level="info", text=text, now=9.0, study_id=study.id)
        writes.set_study_state(session, study.id, StudyState.COMPLETE, now=9.0)

    with closing(Reader(ws)) as reader:
        assert "" == reader.view("demo").cause
        edit(end)
        assert reader.view("demo").cause.startswith("The study is complete after 6 of 8")


def test_certainty_is_computed_again_for_another_threshold(ws: Workspace, edit: Edit) -> None:
    """Even if the same trials meet it."""

    def lower(session: Writing) -> None:
        study = reads.study(session, "demo")
        spec = copy.deepcopy(study.spec)
        spec["objectives"][0]["threshold"] = 20.5
        writes.set_study_spec(session, study.id, spec)

    def prepared(session: Writing) -> None:
        study = reads.study(session, "demo")
        writes.set_prepared(session, study.id, {**study.prepared, "search_examples": 200})

    edit(prepared)
    with closing(Reader(ws)) as reader:
        assert reader.certain("demo").certainty is not None
        edit(lower)
        assert reader.certain("demo").certainty is not None
