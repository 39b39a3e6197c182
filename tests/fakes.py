"""What the engine's tests share: a study on paper, workspaces, fake workers and waiting on a condition."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kept import Kept, new_db

from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.local import COMMAND_VARIABLE, LocalLauncher
from bertdistill.engine.launch.protocol import Handle, Launcher, Slot
from bertdistill.engine.runner.runner import Runner
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, open_db
from bertdistill.store.rows import Attempt, Request, Study, Trial

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")
FAKE_COMMAND = (sys.executable, "-I", "-S", str(FAKE_WORKER))
DEADLINE = 30.0
"""Seconds after which a wait has failed; reached only by a defect."""


def wait_for(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """Wait until `condition` is true and return its value."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.01)
    return found


def study_dict(tmp_path: Path, **sections: Any) -> dict[str, Any]:
    """A valid study over files that exist; sections replace or, when they are tables, extend the given ones.

    None in such a table takes a key out.
    """
    train = tmp_path / "train.txt"
    report = tmp_path / "report.txt"
    for path in (train, report):
        path.write_text("good film;yes\nbad film;no\n")
    raw: dict[str, Any] = {
        "name": "toy",
        "task": "text-classification",
        "data": {"train": str(train), "report": str(report), "max_length": 32},
        "teacher": {"model": "scratch", "hidden_size": 64, "head_size": 16, "fine_tune": {"epochs": 1.0}},
        "search": {
            "layers": {"low": 1, "high": 4},
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        },
        "objectives": [
            {"metric": "accuracy", "direction": "maximize"},
            {"metric": "params", "direction": "minimize"},
        ],
        "baseline": {"layers": 4, "learning_rate": 1e-4},
        "budget": {"trials": 5},
        "sampler": {"kind": "random", "seed": 3},
        "runner": {"slots": 2, "retries": 2, "grace_seconds": 5.0, "min_free_gb": 0.0},
        "stopping": {"rule": "none"},
    }
    for name, value in sections.items():
        merge = isinstance(value, Mapping) and isinstance(raw.get(name), Mapping) and name != "search"
        raw[name] = {k: v for k, v in {**raw[name], **value}.items() if v is not None} if merge else value
    return raw


def study_spec(tmp_path: Path, **sections: Any) -> StudySpec:
    """`study_dict`, validated."""
    return study_from_dict(study_dict(tmp_path, **sections), where="test")


def fake_environment(folder: Path, **behaviour: Any) -> dict[str, str]:
    """An environment in which workers are fakes that behave so."""
    path = folder / "behaviour.json"
    path.write_text(json.dumps(behaviour))
    command = " ".join(FAKE_COMMAND)
    return {**os.environ, "BERTDISTILL_FAKE": str(path), COMMAND_VARIABLE: command, "CUDA_VISIBLE_DEVICES": ""}


def behave(folder: Path, **behaviour: Any) -> None:
    """Change how workers that start from now on behave."""
    (folder / "behaviour.json").write_text(json.dumps(behaviour))


FINISHED: dict[str, Kept] = {}
"""Studies that have run in this process, by what they are and how their workers behave."""


class Workbench:
    """A workspace with one study, a runner driven by hand, and fake workers."""

    def __init__(self, tmp_path: Path, spec: StudySpec, **behaviour: Any) -> None:
        self.tmp_path = tmp_path
        self.workspace = Workspace((tmp_path / "ws").resolve())
        self.workspace.make()
        self.behaviour = behaviour
        self.launcher: Launcher = LocalLauncher(environ=fake_environment(tmp_path, **behaviour))
        fresh = not self.workspace.database.exists()
        self.db: Database = new_db(self.workspace.path) if fresh else open_db(self.workspace.path)
        self.spec = spec
        self.runner = Runner(self.workspace, self.db, self.launcher)

    def start(self) -> Workbench:
        """Create the study."""
        with self.db.write() as session:
            study = writes.create_study(
                session,
                name=self.spec.name,
                kind=self.spec.kind,
                task=self.spec.task,
                spec=dump(self.spec),
                now=time.time(),
            )
            if self.spec.program is not None:
                writes.set_prepared(session, study.id, {})
        return self

    def renew(self) -> None:
        """A new runner, as after a restart, with the present launcher."""
        self.runner.close()
        self.runner = Runner(self.workspace, self.db, self.launcher)

    def run(self) -> Workbench:
        """Tick until nothing is left to do."""
        end = time.monotonic() + DEADLINE
        while self.runner.tick():
            assert time.monotonic() < end, "the study does not end"
            self.runner.wait(0.01, 0.1)
        return self

    def finish(self) -> Workbench:
        """Like `run`, for tests of what comes after it: a copy, if this process has run an equal study before."""
        made = json.dumps([dump(self.spec), self.behaviour, len(self._requests())])
        key = made.replace(str(self.tmp_path), "")
        if key not in FINISHED:
            self.run()
            FINISHED[key] = Kept(self.workspace, self.db, self.tmp_path)
            return self
        self.runner.close()
        self.db.close()
        FINISHED[key].restore(self.workspace, self.tmp_path)
        self.db = open_db(self.workspace.path)
        self.runner = Runner(self.workspace, self.db, self.launcher)
        return self

    def _requests(self) -> list[Request]:
        with self.db.read() as session:
            return reads.requests(session)

    def ask(self, verb: str, **where: Any) -> None:
        """Leave a request to the runner."""
        with self.db.write() as session:
            writes.add_request(session, who="test", verb=verb, now=time.time(), **where)

    def tick_until(self, condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
        """Tick the runner until `condition` is true."""

        def look() -> Any:
            self.runner.tick()
            if not (found := condition()):
                self.runner.wait(0.01, 0.05)
            return found

        return wait_for(look, what, seconds)

    def study(self) -> Study:
        with self.db.read() as session:
            return reads.study(session, self.spec.name)

    def trials(self) -> list[Trial]:
        with self.db.read() as session:
            return reads.trials(session, self.study().id)

    def trial(self, number: int) -> Trial:
        return self.trials()[number]

    def attempts(self, number: int | None = None) -> list[Attempt]:
        with self.db.read() as session:
            if number is None:
                return reads.attempts(session, study_id=self.study().id)
            return reads.attempts(session, trial_id=self.trial(number).id)

    def live(self) -> list[Attempt]:
        with self.db.read() as session:
            return reads.live_attempts(session)

    def at_half(self, workers: int) -> bool:
        """Whether so many trials stand at half of their six steps, where `hold` keeps them."""
        done = [attempt.done for attempt in self.live() if attempt.kind == "trial"]
        return done == [3.0] * workers

    def notices(self) -> list[str]:
        with self.db.read() as session:
            return [notice.text for notice in reads.notices(session)]

    def paths(self, attempt: Attempt) -> RunPaths:
        return RunPaths(self.workspace.absolute(attempt.folder))

    def end(self, attempt: Attempt) -> None:
        """Kill all processes of an attempt."""
        paths, handle = self.paths(attempt), Handle.from_dict(attempt.handle)

        def gone() -> bool:
            self.launcher.kill(paths, handle)
            return not self.launcher.alive(paths, handle)

        wait_for(gone, "killed processes to end")

    def close(self) -> None:
        """Kill what still runs and close the database."""
        for attempt in self.live():
            self.end(attempt)
        self.runner.close()
        self.db.close()


@dataclass(frozen=True)
class FixedSlots(LocalLauncher):
    """A local launcher on a machine with the given slots, some of them busy."""

    given: tuple[Slot, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        return list(self.given)

    def busy(self, slot: Slot) -> str:
        return self.reasons.get(slot.name, "")


CPU = Device("cpu", 1)
