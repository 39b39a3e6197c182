"""Events become rows exactly once, whatever a worker writes and whenever a process dies."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bertdistill.engine.contract import events as events_module
from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.runner import ingest as ingest_module
from bertdistill.engine.runner.digest import digest
from bertdistill.engine.runner.ingest import Batch, ingest, ingest_all
from bertdistill.store import reads, writes
from bertdistill.store.db import DATABASE_NAME, Database, open_db
from bertdistill.store.rows import Attempt, Notice, Series, Trial, TrialState


class Place:
    """A workspace with a running trial, its attempt and the events file of that attempt."""

    def __init__(self, workspace: Path, kind: str = "trial") -> None:
        self.workspace = workspace
        self.db = open_db(workspace)
        with self.db.write() as session:
            study = writes.create_study(session, name="squad", task="question-answering", spec={}, now=0.0)
            trial = writes.create_trial(
                session,
                study_id=study.id,
                origin="sampler",
                params={},
                settings={},
                known={},
                now=0.0,
                state=TrialState.RUNNING,
            )
            self.study_id, self.trial_id = study.id, trial.id
        self.attempt_id = self.add_attempt("runs/squad/0000-1", kind)

    def add_attempt(self, folder: str, kind: str = "trial") -> int:
        """Another attempt, with its folder."""
        with self.db.write() as session:
            attempt = writes.create_attempt(
                session,
                study_id=self.study_id,
                trial_id=None if kind == "prepare" else self.trial_id,
                kind=kind,
                folder=folder,
                slot="",
                now=0.0,
            )
        (self.workspace / folder).mkdir(parents=True)
        return attempt.id

    def attempt(self, attempt_id: int | None = None) -> Attempt:
        with self.db.read() as session:
            return reads.attempt_by_id(session, attempt_id or self.attempt_id)

    def events(self, attempt_id: int | None = None) -> Path:
        return RunPaths(self.workspace / self.attempt(attempt_id).folder).events

    def append(self, data: bytes, attempt_id: int | None = None) -> None:
        with self.events(attempt_id).open("ab") as file:
            file.write(data)

    def emit(self, kind: str, **fields: Any) -> None:
        self.append(json.dumps({"k": kind, "t": 100.0, **fields}).encode() + b"\n")

    def run(self, attempt_id: int | None = None, **options: int) -> Batch:
        return ingest(self.db, self.workspace, self.attempt(attempt_id), **options)

    def drain(self, attempt_id: int | None = None, **options: int) -> list[Batch]:
        batches = [self.run(attempt_id, **options)]
        while batches[-1].more:
            batches.append(self.run(attempt_id, **options))
        return batches

    def trial(self) -> Trial:
        with self.db.read() as session:
            return reads.trial_by_id(session, self.trial_id)

    def series(self) -> dict[str, Series]:
        with self.db.read() as session:
            return {one.name: one for one in reads.series(session, self.study_id)}

    def points(self, name: str) -> list[tuple[int, float | None, float]]:
        with self.db.read() as session:
            return reads.points_after(session, self.series()[name].id, -1, 1_000_000)

    def notices(self) -> list[Notice]:
        with self.db.read() as session:
            return reads.notices(session)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database file, made once, because alembic takes its time."""
    folder = tmp_path_factory.mktemp("empty")
    open_db(folder).close()
    return folder / DATABASE_NAME


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path) -> Path:
    """A workspace with an empty database."""
    (tmp_path / "workspace").mkdir(mode=0o700)
    shutil.copy(empty_database, tmp_path / "workspace")
    return tmp_path / "workspace"


@pytest.fixture
def place(workspace: Path) -> Iterator[Place]:
    """A place for a trial, closed afterwards."""
    made = Place(workspace)
    yield made
    made.db.close()


def line(step: int, **values: Any) -> bytes:
    named = {name.replace("_", "/"): value for name, value in values.items()}
    return json.dumps({"k": "metrics", "t": 100.0 + step, "step": step, "values": named}).encode() + b"\n"


def test_a_missing_file_and_an_empty_one_are_fine(place: Place) -> None:
    """The worker has not begun; no write lock is taken, so the database does not change."""
    version = place.db.data_version()
    assert Batch() == place.run()
    place.append(b"")
    assert Batch() == place.run()
    assert version == place.db.data_version()


def test_values_reach_the_curves_with_the_time_of_their_event(place: Place) -> None:
    """What the contract's writer wrote is what the store holds; NaN and infinities are counted and kept as nothing."""
    writer = EventWriter(place.events())
    writer.metrics(1, {"train/loss": 2.5, "train/lr": 1e-4})
    writer.metrics(2, {"train/loss": float("nan"), "train/lr": 2e-4})
    writer.close()
    place.append(b'{"k":"metrics","t":3.0,"step":3,"values":{"train/loss":Infinity,"train/lr":1}}\n')
    batch = place.run()
    assert (6, 0, place.events().stat().st_size, False) == (batch.points, batch.bad_lines, batch.offset, batch.more)
    assert [(1, 2.5), (2, None), (3, None)] == [row[:2] for row in place.points("train/loss")]
    assert [1e-4, 2e-4, 1.0] == [row[1] for row in place.points("train/lr")]
    assert 3.0 == place.points("train/lr")[-1][2]
    loss = place.series()["train/loss"]
    assert (3, 2, 3, None, 2.5) == (loss.points, loss.not_finite, loss.last_step, loss.last_value, loss.max_value)


def test_a_torn_line_waits_for_its_rest(place: Place) -> None:
    """It is neither lost nor counted, and asking meanwhile changes nothing."""
    whole, torn = line(1, train_loss=1.0), line(2, train_loss=2.0)
    place.append(whole + torn[:20])
    assert (1, len(whole), False) == ((batch := place.run()).points, batch.offset, not batch.more)
    version = place.db.data_version()
    assert len(whole) == place.run().offset
    assert version == place.db.data_version()
    place.append(torn[20:])
    assert 1 == place.run().points
    assert [1.0, 2.0] == [row[1] for row in place.points("train/loss")]
    assert 0 == place.attempt().bad_lines


GOOD = b'{"k":"metrics","t":1.0,"step":1,"values":{"train/loss":1.0}}'


@pytest.mark.parametrize(
    "bad",
    [
        b"Traceback (most recent call last):",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"[" * 100_000,
        b'{"k":"unknown","t":1.0}',
        b'{"k":"metrics","step":1,"values":{}}',
        b'{"k":"metrics","t":NaN,"step":1,"values":{"a":1}}',
        b'{"k":"metrics","t":1.0,"step":-1,"values":{"a":1}}',
        b'{"k":"metrics","t":1.0,"step":1.5,"values":{"a":1}}',
        b'{"k":"metrics","t":1.0,"step":99999999999999999999,"values":{"a":1}}',
        b'{"k":"metrics","t":1.0,"step":1,"values":{"a":"1"}}',
        b'{"k":"metrics","t":1.0,"step":1,"values":{"a":true}}',
        b'{"k":"metrics","t":1.0,"step":1,"values":[1]}',
        b'{"k":"metrics","t":1.0}',
        b'{"k":"progress","t":1.0,"phase":"train"}',
        b'{"k":"checkpoint","t":1.0,"role":"odd","step":1,"folder":"x","sha256":"","size_bytes":1,"metrics":{}}',
        b'{"k":"checkpoint","t":1.0,"role":"best","step":1,"folder":"a\\u0000","sha256":"","size_bytes":1,"metrics":{}}',
        b'{"k":"checkpoint","t":1.0,"role":"best","step":1,"folder":"/etc","sha256":"","size_bytes":1,"metrics":{}}',
        b'{"k":"result","t":1.0,"metrics":3}',
        b'{"k":"result","t":1.0,"metrics":{},"facts":{"teacher_metrics":"x"}}',
        b'{"k":"notice","t":1.0,"level":["x"],"text":3}',
        b'{"k":"ended","t":1.0,"status":3}',
    ],
)
def test_a_bad_line_is_counted_and_stops_nothing(place: Place, bad: bytes) -> None:
    """Whatever a worker, or a library that prints into its file, writes there."""
    place.append(bad + b"\n" + GOOD + b"\n")
    batch = place.run()
    assert (1, 1, 1) == (batch.points, batch.bad_lines, place.attempt().bad_lines)
    assert (["train/loss"], {}) == (list(place.series()), place.trial().metrics)


def test_text_that_is_no_unicode_is_stored_all_the_same(place: Place) -> None:
    """JSON may escape half of a surrogate pair; SQLite takes only whole characters. Long text is cut."""
    place.append(b'{"k":"notice","t":1.0,"level":"odd","text":"half \\ud800"}\n')
    place.append(b'{"k":"metrics","t":1.0,"step":1,"values":{"search/\\ud800":1.0}}\n')
    place.emit("notice", level="error", text="x" * 9000)
    place.emit("ended", status="failed", reason="crashed", detail="half \ud800")
    batch = place.run()
    stored = [(one.level, one.text) for one in place.notices() if not one.text.startswith("Values")]
    assert [("info", "half ?"), ("error", "x" * 2000)] == stored
    assert (1, 0, {}) == (len(place.notices()) - len(stored), batch.bad_lines, place.trial().metrics)
    assert {"status": "failed", "reason": "crashed", "detail": "half ?", "at": 100.0} == place.attempt().outcome


def test_batches_end_at_lines_and_a_small_limit_loses_nothing(place: Place) -> None:
    """Also where a line is longer than the limit."""
    for step in range(200):
        place.append(line(step, train_loss=step / 4, **{f"train_m{n}": 0.5 for n in range(20)}))
    offsets = [batch.offset for batch in place.drain(max_bytes=300)]
    assert (200, place.events().stat().st_size) == (len(set(offsets)), offsets[-1])
    assert [(step, step / 4) for step in range(200)] == [row[:2] for row in place.points("train/loss")]


def test_a_line_without_end_is_skipped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or nothing behind it would ever be read."""
    monkeypatch.setattr(events_module, "LONGEST_LINE", 1000)
    place.append(b"x" * 2500)
    place.drain(max_bytes=100)
    place.append(b"x\n" + GOOD + b"\n")
    place.drain(max_bytes=100)
    assert [(1, 1.0, 1.0)] == place.points("train/loss")
    assert 3 == place.attempt().bad_lines


def test_a_file_that_became_shorter_is_read_anew_and_doubles_nothing(place: Place) -> None:
    """After a power cut the file may have lost its end, or have been put back from a backup."""
    best = place.workspace / "runs/squad/0000-1/checkpoints/step-1"
    checkpoint = {"step": 1, "folder": str(best), "sha256": "0", "size_bytes": 1, "metrics": {"exact": 1.0}}
    place.append(line(1, train_loss=1.0))
    place.append(b"garbage\n")
    place.emit("notice", level="info", text="once")
    place.emit("checkpoint", role="best", **checkpoint)
    whole = place.events().read_bytes()
    place.append(line(2, train_loss=2.0))
    place.run()
    place.events().write_bytes(whole)
    batch = place.run()
    assert (len(whole), 1) == (batch.offset, place.attempt().bad_lines)
    assert [1.0, 2.0] == [row[1] for row in place.points("train/loss")]
    with place.db.read() as session:
        assert 1 == len(reads.checkpoints(session, place.trial_id, dropped=True))
    assert ["once"] == [one.text for one in place.notices()]


def test_an_old_copy_of_the_attempt_stores_nothing_twice(place: Place) -> None:
    """The stored offset decides, not the caller's."""
    old = place.attempt()
    place.append(line(1, train_loss=1.0))
    place.run()
    place.append(line(2, train_loss=2.0))
    batch = ingest(place.db, place.workspace, old)
    assert (1, place.events().stat().st_size) == (batch.points, batch.offset)


def test_a_resumed_attempt_replaces_the_steps_that_it_repeats(place: Place) -> None:
    """Same series of the trial: the summaries are those of the values that stand at the end."""
    for step in range(1500):
        place.append(line(step, train_loss=1000.0 + step))
    place.run()
    second = place.add_attempt("runs/squad/0000-2")
    for step in range(900, 1500):
        place.append(line(step, train_loss=float(step)), second)
    place.run(second)
    values = [row[1] for row in place.points("train/loss")]
    assert [1000.0 + step for step in range(900)] + [float(step) for step in range(900, 1500)] == values
    loss = place.series()["train/loss"]
    assert (1500, 900.0, 1899.0, 1499.0) == (loss.points, loss.min_value, loss.max_value, loss.last_value)


def test_only_the_newest_progress_of_a_batch_is_kept(place: Place) -> None:
    """Training moves the trial; other phases only the attempt."""
    for done in (10, 20):
        place.emit("progress", phase="train", done=done, total=80, rate=2.5, unit="examples")
    place.emit("progress", phase="evaluate", done=1, total=0, rate=None, unit="windows")
    place.run()
    found = place.attempt()
    assert ("evaluate", 1.0, 0.0, 0.0, "windows") == (found.phase, found.done, found.total, found.rate, found.unit)
    assert 0.25 == place.trial().progress


def test_a_checkpoint_outside_of_the_attempt_is_not_recorded(place: Place) -> None:
    """Its folder is removed one day: a worker must not be able to name all runs, or another trial."""
    for name in ("runs", "runs/squad", "runs/squad/0000-1", "models/m/v1", "runs/squad/0000-10/checkpoints/best-1"):
        given = {"step": 1, "folder": str(place.workspace / name), "sha256": "", "size_bytes": 1, "metrics": {}}
        place.emit("checkpoint", role="best", **given)
    batch = place.run()
    assert (0, 5) == (batch.checkpoints, batch.bad_lines)


def test_scores_of_a_running_trial_are_the_newest(place: Place) -> None:
    """Search metrics without their prefix and those of the best checkpoint, in the order of the lines."""
    folder = place.workspace / "runs/squad/0000-1/checkpoints/step-7"
    place.append(line(1, search_exact=50.0, search_f1=60.0, train_loss=1.0))
    place.emit(
        "checkpoint", role="best", step=7, folder=str(folder), sha256="ab", size_bytes=12, metrics={"exact": 55.0}
    )
    place.emit(
        "checkpoint", role="last", step=8, folder=str(folder), sha256="ab", size_bytes=12, metrics={"exact": 1.0}
    )
    batch = place.run()
    assert (2, {"exact": 55.0, "f1": 60.0}) == (batch.checkpoints, place.trial().metrics)
    with place.db.read() as session:
        best = reads.best_checkpoint(session, place.trial_id)
    assert best is not None
    assert ("runs/squad/0000-1/checkpoints/step-7", 7, "ab", 12, {"exact": 55.0}, 100.0) == (
        best.folder, best.step, best.sha256, best.size_bytes, best.metrics, best.created_at
    )  # fmt: skip
    place.append(line(9, search_exact=54.0))
    place.run()
    assert {"exact": 54.0, "f1": 60.0} == place.trial().metrics


def test_a_result_is_final(place: Place) -> None:
    """It replaces the newest scores, also those of its own batch, and later scores leave a settled trial alone."""
    place.append(line(1, search_exact=50.0))
    place.emit("result", metrics={"exact": 56.0, "latency_ms": 3.5})
    place.emit("ended", status="complete", reason="", detail="")
    batch = place.run()
    assert {"exact": 56.0, "latency_ms": 3.5} == place.trial().metrics
    assert batch.result is not None
    assert batch.ended is not None
    assert ({"exact": 56.0, "latency_ms": 3.5}, "complete") == (batch.result["metrics"], batch.ended["status"])
    with place.db.write() as session:
        writes.set_trial_state(session, place.trial_id, TrialState.COMPLETE, now=1.0)
    place.append(line(2, search_exact=1.0))
    place.emit("progress", phase="train", done=1, total=4, rate=1, unit="steps")
    place.run()
    assert ({"exact": 56.0, "latency_ms": 3.5}, 1.0) == (place.trial().metrics, place.trial().progress)


def test_a_preparation_fills_the_study(workspace: Path) -> None:
    """Facts and teacher metrics; its curves belong to trial 0, which no trial has."""
    place = Place(workspace, "prepare")
    place.emit("started", pid=1, device="cpu")
    place.append(line(1, train_loss=1.0, search_exact=5.0))
    place.emit("progress", phase="train", done=1, total=4, rate=1, unit="steps")
    place.emit("result", metrics={"exact": 90.0}, facts={"labels": ["a"], "teacher_metrics": {"f1": 91.0}})
    batch = place.run()
    with place.db.read() as session:
        study = reads.study(session, "squad")
        assert {"search/exact": 0, "train/loss": 0} == {name: one.trial_id for name, one in place.series().items()}
    assert {"labels": ["a"], "teacher_metrics": {"f1": 91.0, "exact": 90.0}} == study.prepared
    assert batch.started is not None
    assert (1, {}, 0.0) == (batch.started["pid"], place.trial().metrics, place.trial().progress)
    place.db.close()


def test_what_a_worker_runs_with_is_stored_with_its_attempt(place: Place) -> None:
    """Also if it is killed later; what is no version is left out, and its end comes beside it."""
    place.emit("started", versions={"python": "3.11.7", "torch": "2.13.0", "odd": 3})
    place.run()
    known = {"python": "3.11.7", "torch": "2.13.0"}
    assert place.attempt().outcome == {"versions": known}
    place.emit("ended", status="complete", reason="", detail="")
    place.run()
    assert (place.attempt().outcome["versions"], place.attempt().outcome["status"]) == (known, "complete")


def test_a_promotion_leaves_trial_and_study_alone(workspace: Path) -> None:
    """Whoever started it reads its result; its progress, notices and end are kept with the attempt."""
    place = Place(workspace, "promote")
    place.append(line(1, search_exact=5.0))
    place.emit("result", metrics={"exact": 90.0})
    place.emit("progress", phase="score", done=1, total=4, rate=1, unit="windows")
    place.emit("notice", level="info", text="scored")
    place.emit("ended", status="complete", reason="", detail="")
    batch = place.run()
    assert (0, {}, {}) == (batch.points, place.series(), place.trial().metrics)
    found = place.attempt()
    assert ("score", "complete", ["scored"]) == (
        found.phase, found.outcome["status"], [one.text for one in place.notices()]
    )  # fmt: skip
    place.db.close()


def test_series_are_capped_and_unfit_names_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake cannot fill the database; series that are there go on, and people are told once."""
    monkeypatch.setattr(ingest_module, "MAX_SERIES", 3)
    place.append(line(1, train_a=1.0, train_b=1.0))
    place.run()
    place.append(json.dumps({"k": "metrics", "t": 1, "step": 2, "values": {"x" * 200: 1, "a\nb": 1, "": 1}}).encode())
    place.append(b"\n" + line(3, train_a=1.0, train_c=1.0, train_d=1.0, train_e=1.0))
    assert 2 == place.run().points
    place.append(line(4, train_a=1.0, train_e=1.0))
    assert 1 == place.run().points
    assert ["train/a", "train/b", "train/c"] == sorted(place.series())
    assert ["warning"] == [one.level for one in place.notices()]


def test_a_flood_of_notices_is_cut(place: Place) -> None:
    """One batch brings at most a hundred."""
    for number in range(150):
        place.emit("notice", level="info", text=f"n{number}")
    assert (100, 100) == (place.run().notices, len(place.notices()))


def test_rows_and_offset_commit_together(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """When anything fails, nothing of the batch is there and the next call stores all of it."""
    place.append(line(1, train_loss=1.0))
    with monkeypatch.context() as patched:
        patched.setattr(writes, "set_attempts_reported", lambda *_: (_ for _ in ()).throw(RuntimeError("killed here")))
        with pytest.raises(RuntimeError, match="killed here"):
            place.run()
    assert ({}, 0) == (place.series(), place.attempt().ingest_offset)
    assert 1 == place.run().points


def test_digesting_needs_no_database() -> None:
    """Reading lines is a function of their bytes."""
    events = digest(line(1, search_exact=2.0) + b"\n" + b"bad\n")
    assert ([("search/exact", 1, 2.0, 101.0)], {"exact": 2.0}, 1) == (events.points, events.scores, events.bad_lines)


FORKS = """
import os, sys
from pathlib import Path
from bertdistill.engine.runner.ingest import ingest
from bertdistill.store import reads
from bertdistill.store.db import open_db

def loop(workspace, attempt_id):
    db = open_db(workspace)
    while True:
        with db.read() as session:
            attempt = reads.attempt_by_id(session, attempt_id)
        ingest(db, workspace, attempt, max_bytes=2000)

for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        loop(Path(sys.argv[1]), int(sys.argv[2]))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""Forks an ingesting process for every line on stdin, prints its pid and how it ended: one import for ten kills."""


def wait_until(db: Database, attempt_id: int, offset: int) -> None:
    """Until the events are stored up to `offset`."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with db.read() as session:
            if reads.attempt_by_id(session, attempt_id).ingest_offset >= offset:
                return
    raise AssertionError("the events were not stored in time")


def append_torn(descriptor: int, draw: random.Random, first: int, last: int) -> int:
    """Append steps in pieces, as a dying and a reborn writer would; returns the number of lines left broken."""
    broken = 0
    for step in range(first, last):
        whole = line(step, train_loss=step / 8, train_lr=float(step), search_exact=step % 7.0)
        if draw.random() < 0.05:
            os.write(descriptor, whole[: draw.randrange(1, len(whole) - 1)] + b"\n")
            broken += 1
        cut = draw.randrange(len(whole))
        os.write(descriptor, whole[:cut])
        os.write(descriptor, whole[cut:])
    return broken


def test_killing_the_ingester_at_random_moments_loses_and_doubles_nothing(place: Place) -> None:
    """Ten kills while lines are appended and torn; then every complete line is there once, with exact summaries."""
    draw, step, broken = random.Random(7), 0, 0
    descriptor = os.open(place.events(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    command = [sys.executable, "-c", FORKS, str(place.workspace), str(place.attempt_id)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as forks:
        assert forks.stdin is not None
        assert forks.stdout is not None
        for _ in range(10):
            forks.stdin.write("\n")
            process = int(forks.stdout.readline())
            try:
                start, more = os.fstat(descriptor).st_size, draw.randrange(40)
                broken += append_torn(descriptor, draw, step, step + 100)
                wait_until(place.db, place.attempt_id, draw.randint(start + 1, os.fstat(descriptor).st_size - 2000))
                broken += append_torn(descriptor, draw, step + 100, step + 100 + more)
                step += 100 + more
            finally:
                os.kill(process, signal.SIGKILL)
            assert -signal.SIGKILL == int(forks.stdout.readline())
        forks.stdin.close()
    os.close(descriptor)
    place.drain()
    assert [] == place.db.check()
    assert (place.events().stat().st_size, broken) == (place.attempt().ingest_offset, place.attempt().bad_lines)
    steps = list(range(step))
    assert [(n, n / 8, 100.0 + n) for n in steps] == place.points("train/loss")
    assert [(n, float(n), 100.0 + n) for n in steps] == place.points("train/lr")
    assert [(n, n % 7.0, 100.0 + n) for n in steps] == place.points("search/exact")
    loss = place.series()["train/loss"]
    assert (step, 0.0, (step - 1) / 8, step - 1) == (loss.points, loss.min_value, loss.max_value, loss.last_step)
    with place.db.read() as session:
        query = "SELECT sum(points), sum(sum_value) FROM metric_rollup WHERE series_id = ?"
        assert [(step, sum(steps) / 8)] == session.rows(query, loss.id)


def test_all_attempts_are_stored_in_one_transaction(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand that report every second would else need a thousand of them."""
    others = [place.add_attempt(f"runs/squad/0000-{number}") for number in range(2, 6)]
    for number, attempt_id in enumerate([place.attempt_id, *others]):
        place.append(line(number, train_loss=1.0), attempt_id)
    transactions, write = [], place.db.write
    monkeypatch.setattr(place.db, "write", lambda: transactions.append(1) or write())
    stored = ingest_all(place.db, place.workspace, [place.attempt(one) for one in (place.attempt_id, *others)])
    assert ([1], [1] * 5) == (transactions, [batch.points for batch in stored.values()])
    assert [0, 1, 2, 3, 4] == [row[0] for row in place.points("train/loss")]
    again = ingest_all(place.db, place.workspace, [place.attempt(one) for one in (place.attempt_id, *others)])
    assert ([1], 0) == (transactions, sum(batch.points for batch in again.values()))


def test_what_was_stored_since_the_caller_looked_is_stored_once(place: Place) -> None:
    """Among many attempts, too: only the one whose offset has moved is read again."""
    other = place.add_attempt("runs/squad/0000-2")
    place.append(line(1, train_loss=1.0))
    place.append(line(2, train_loss=2.0), other)
    old = [place.attempt(), place.attempt(other)]
    place.run()
    place.append(line(3, train_loss=3.0))
    ingest_all(place.db, place.workspace, old)
    assert [(1, 1.0), (2, 2.0), (3, 3.0)] == [row[:2] for row in place.points("train/loss")]
    assert place.attempt().ingest_offset == place.events().stat().st_size


def test_a_linked_folder_brings_no_checkpoints(place: Place, tmp_path: Path) -> None:
    """What is recorded is removed one day, so nothing behind a link may be."""
    folder, outside = place.workspace / place.attempt().folder, tmp_path / "outside"
    (folder / "checkpoints" / "step-1").mkdir(parents=True)
    shutil.move(folder, outside)
    checkpoint = {"role": "best", "step": 1, "sha256": "0", "size_bytes": 1, "metrics": {}}
    news = [json.dumps({"k": "checkpoint", "t": 1.0, "folder": str(outside / "checkpoints" / "step-1"), **checkpoint})]
    folder.symlink_to(outside, target_is_directory=True)
    (outside / "events.jsonl").write_text("\n".join(news) + "\n")
    assert Batch() == place.run()
    folder.unlink()
    folder.mkdir()
    shutil.copy(outside / "events.jsonl", folder / "events.jsonl")
    assert (0, 1) == (place.run().checkpoints, place.attempt().bad_lines)


SCREENED: dict[str, Any] = {
    "settings": {"layers": 2, "layer_choice": "even", "layer_list": []},
    "score": 71.5,
    "metrics": {"accuracy": 71.5},
    "known": {"params": 100},
    "examples": 692,
    "seconds": 0.3,
    "ruined": False,
}


def test_screened_sub_networks_are_stored_once(tmp_path: Path) -> None:
    """By their settings: a repeated preparation replaces them. They are no trials."""
    place = Place(tmp_path, "prepare")
    place.emit("screened", **SCREENED)
    place.emit("screened", **{**SCREENED, "settings": {"layers": 3}, "ruined": True})
    place.run()
    place.emit("screened", **{**SCREENED, "score": 80.0})
    place.run()
    with place.db.read() as session:
        found = reads.screened(session, place.study_id)
        assert len(reads.trials(session, place.study_id)) == 1
    assert [(one.settings, one.score, one.ruined) for one in found] == [
        (SCREENED["settings"], 80.0, False),
        ({"layers": 3}, 71.5, True),
    ]
    assert (found[0].known, found[0].examples, found[0].seconds) == ({"params": 100.0}, 692, 0.3)
    place.db.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": {"layers": {"a": 1}}},
        {"settings": {"layers": None}},
        {"settings": {"layer_list": ["a"]}},
        {"settings": {"layers": 2**80}},
        {"settings": {str(number): 1 for number in range(100)}},
        {"score": "high"},
        {"metrics": {"accuracy": "high"}},
        {"examples": -1},
    ],
)
def test_what_is_no_sub_network_is_not_stored(wrong: dict[str, Any]) -> None:
    line = json.dumps({"k": "screened", "t": 1.0, **SCREENED, **wrong}).encode()
    found = digest(line)
    assert (found.screened, found.bad_lines) == ([], 1)


def test_a_trial_cannot_report_sub_networks(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.emit("screened", **SCREENED)
    place.run()
    with place.db.read() as session:
        assert reads.screened(session, place.study_id) == []
    place.db.close()


def test_progress_that_nobody_reports_is_the_newest_step(place: Place) -> None:
    """Of a program that only prints metrics; whoever reports progress is believed."""
    place.emit("metrics", step=16, values={"accuracy": 0.5})
    place.run()
    found = place.attempt()
    assert ("train", 17.0, 0.0, "steps") == (found.phase, found.done, found.total, found.unit)
