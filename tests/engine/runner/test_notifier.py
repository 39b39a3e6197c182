"""Which events are told, and that none is told twice whatever happens to the runner."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, study_spec
from tests.kept import new_db

from bertdistill.engine.contract.imported import IMPORTED
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner.lookups import Lookups
from bertdistill.engine.runner.notifier import MARKS_FILE, Notifier
from bertdistill.engine.study.config import dump
from bertdistill.engine.study.notify_section import EVENTS
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database
from bertdistill.store.rows import Study, StudyState, TrialState

EMPTY: Mapping[str, Any] = {"params": {}, "settings": {}, "known": {}}
WORKSPACE_TOML = '[notify]\ncommand = ["tell"]\n'


class Place:
    """A workspace with a study; the messages of a runner are kept, not sent."""

    def __init__(self, tmp_path: Path, **sections: Any) -> None:
        self.workspace = Workspace((tmp_path / "ws").resolve())
        self.db: Database = new_db(self.workspace.path)
        self.spec: StudySpec = study_spec(tmp_path, **sections)
        self.study = self.new_study(self.spec.name)
        self.sent: list[Mapping[str, Any]] = []
        self.now = 100.0
        self.notifier = self.restart()

    def new_study(self, name: str) -> int:
        with self.db.write() as session:
            return writes.create_study(session, name=name, task=self.spec.task, spec=dump(self.spec), now=1.0).id

    def restart(self) -> Notifier:
        """Another runner; whatever the one before remembered is gone."""
        self.notifier = Notifier(self.workspace, self.db, Lookups(self.db).spec)
        self.notifier.messenger.send = lambda to, payload: self.sent.append(payload)  # type: ignore[method-assign]  # kept
        return self.notifier

    def trial(self, end: TrialState, **more: Any) -> int:
        """A trial that runs and ends."""
        self.now += 1
        with self.db.write() as session:
            made = writes.create_trial(
                session,
                study_id=self.study,
                origin="sampler",
                params={"layers": 2},
                settings={},
                known={},
                now=self.now,
            )
            writes.set_trial_state(session, made.id, TrialState.RUNNING, now=self.now)
            writes.set_trial_state(session, made.id, end, now=self.now, **more)
        return made.id

    def state(self, state: StudyState, diagnosis: str = "") -> None:
        self.now += 1
        with self.db.write() as session:
            writes.set_study_state(session, self.study, state, now=self.now, diagnosis=diagnosis)

    def look(self) -> list[str]:
        """The events of one round."""
        self.now += 1
        before = len(self.sent)
        self.notifier.look(self.now)
        return [f"{one['event']} {one['trial']}" for one in self.sent[before:]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    (found.workspace.path / "workspace.toml").write_text(WORKSPACE_TOML)
    return found


def test_what_was_before_is_no_news(place: Place) -> None:
    """Neither for the first runner with `[notify]` nor for a later one."""
    place.trial(TrialState.FAILED)
    place.state(StudyState.PAUSED)
    assert [] == place.look()
    place.restart()
    assert [] == place.look()


def test_each_event_is_told_once(place: Place) -> None:
    """Also by a runner that comes later, and again when it happens again."""
    place.look()
    failed = place.trial(TrialState.FAILED, reason="crashed", detail="boom\nmore")
    place.trial(TrialState.COMPLETE)
    place.state(StudyState.PAUSED, "3 attempts in a row failed.\nlog")
    assert ["trial-failed 0", "study-paused None"] == place.look()
    trial, study = place.sent
    assert ("toy/0 is failed (crashed: boom)", {"layers": 2}) == (trial["text"], trial["params"])
    assert (
        "study toy is paused (1 complete, 1 failed): 3 attempts in a row failed." == study["text"] == study["content"]
    )
    assert {"complete": 1, "failed": 1} == study["trials"]
    json.dumps(place.sent, allow_nan=False)
    for _ in range(2):
        place.restart()
        assert [] == place.look()
    place.state(StudyState.RUNNING)
    with place.db.write() as session:
        writes.set_trial_state(session, failed, TrialState.WAITING, now=place.now)
    assert [] == place.look()
    with place.db.write() as session:
        writes.set_trial_state(session, failed, TrialState.RUNNING, now=place.now)
        writes.set_trial_state(session, failed, TrialState.FAILED, now=place.now + 1)
    place.state(StudyState.COMPLETE)
    assert ["trial-failed 0", "study-complete None"] == place.look()


def test_imports_are_not_events_and_hide_none(place: Place) -> None:
    """Imported runs ended elsewhere; a trial that ends after thousands of them is still reported."""
    place.look()
    with place.db.write() as session:
        own = writes.create_trial(session, study_id=place.study, origin="sampler", **EMPTY, now=place.now)
        writes.set_trial_state(session, own.id, TrialState.RUNNING, now=place.now)
    logged = place.new_study("imported")
    with place.db.write() as session:
        made = writes.create_trial(session, study_id=logged, origin=IMPORTED, **EMPTY, now=place.now)
        writes.restate_imported(
            session,
            made.id,
            state=TrialState.FAILED,
            reason="",
            detail="",
            params={},
            settings={},
            started_at=None,
            finished_at=place.now + 1,
        )
        session.run("UPDATE trial SET id = id + 5000 WHERE id = ?", [(made.id,)])  # as the last of thousands
    with place.db.read() as session:  # an end elsewhere, perhaps in the future, does not move this runner's clock
        assert (0.0, place.now + 1) == tuple(reads.newest_end(session, without=name) for name in (IMPORTED, "none"))
    assert [] == place.look()
    with place.db.write() as session:
        writes.set_trial_state(session, own.id, TrialState.FAILED, now=place.now)
    assert ["trial-failed 0"] == place.look()


def test_killed_between_filing_and_sending_it_is_never_sent(place: Place) -> None:
    """At most once: what may have been sent is not sent again."""
    place.look()
    place.trial(TrialState.FAILED)
    place.notifier.messenger.send = _killed  # type: ignore[method-assign]  # as kill -9 there
    with pytest.raises(KeyboardInterrupt):
        place.look()
    place.restart()
    assert [] == place.look()
    place.trial(TrialState.FAILED)
    assert ["trial-failed 1"] == place.look()


def _killed(*message: object) -> None:
    raise KeyboardInterrupt


def test_a_study_has_its_own(tmp_path: Path) -> None:
    """With other events; other studies of the workspace tell nobody."""
    place = Place(tmp_path, notify={"webhook": "https://example.org/x", "on": list(EVENTS)})
    place.look()
    for end in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.INFEASIBLE, TrialState.STOPPED):
        place.trial(end)
    place.state(StudyState.STOPPED)
    wanted = ["trial-complete 0", "trial-pruned 1", "trial-infeasible 2", "trial-stopped 3", "study-stopped None"]
    assert wanted == place.look()


def test_without_notify_nothing_is_written_or_remembered(place: Place) -> None:
    """Who is named later is not told what happened meanwhile."""
    place.look()
    marks = place.workspace.path / MARKS_FILE
    assert marks.is_file()
    (place.workspace.path / "workspace.toml").unlink()
    place.trial(TrialState.FAILED)
    assert ([], False) == (place.look(), marks.exists())
    (place.workspace.path / "workspace.toml").write_text(WORKSPACE_TOML)
    place.trial(TrialState.FAILED)
    assert [] == place.look()


def test_a_restored_study_is_no_news(place: Place) -> None:
    """It was told before it was deleted."""
    place.look()
    place.state(StudyState.COMPLETE)
    assert ["study-complete None"] == place.look()
    for deleted_at in (place.now, None):
        with place.db.write() as session:
            writes.mark_deleted(session, Study, place.study, deleted_at)
        assert [] == place.look()


@pytest.mark.parametrize("text", ["", "[]", '{"since": "x"}', '{"since": 1, "studies": [], "trials": {}}'])
def test_damaged_marks_are_made_again(text: str, place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Rather silent than twice."""
    caplog.set_level(logging.WARNING)
    (place.workspace.path / MARKS_FILE).write_text(text)
    place.trial(TrialState.FAILED)
    assert [] == place.look()
    assert f"[notify] {MARKS_FILE} is damaged and is made again; events until now are not sent" in caplog.messages
    place.trial(TrialState.FAILED)
    assert ["trial-failed 1"] == place.look()


def test_a_wrong_workspace_file_is_logged_once(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """And stops no study."""
    caplog.set_level(logging.WARNING)
    (place.workspace.path / "workspace.toml").write_text('[notify]\nwebhook = "ftp://x/token-123"\n')
    for _ in range(3):
        place.trial(TrialState.FAILED)
        assert [] == place.look()
    [message] = caplog.messages
    assert "webhook must be an address that starts with http" in message
    assert "token-123" not in message


def test_the_runner_tells_before_it_exits(tmp_path: Path) -> None:
    """A whole study: its end is told although the runner has nothing left to do."""
    place = f"open({str(tmp_path / 'told')!r}, 'a').write(__import__('sys').stdin.read() + '\\n')"
    notify = {"command": [sys.executable, "-I", "-S", "-c", place], "on": ["study-complete"], "timeout": 60.0}
    bench = Workbench(tmp_path, study_spec(tmp_path, notify=notify, budget={"trials": 1})).start().run()
    bench.runner.close()
    [line] = (tmp_path / "told").read_text().splitlines()
    assert ("study-complete", "toy", {"complete": 1}) == tuple(
        json.loads(line)[key] for key in ("event", "study", "trials")
    )
