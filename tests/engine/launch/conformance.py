"""What every launcher owes to the runner, as one class of tests: the tests of each launcher inherit it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes import CPU, wait_for

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import DataSpec, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.launch.protocol import Handle, Launcher, Slot


def attempt(folder: Path, kind: str = "prepare") -> RunPaths:
    """A run folder with a spec in it."""
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    AttemptSpec(
        kind=kind,
        study="s",
        task="text-classification",
        data=DataSpec(),
        teacher=TeacherSpec(model="scratch"),
        student=StudentSpec(),
        settings=Settings(),
        device=CPU,
        caches=str(folder.parent / "caches"),
        trial=0 if kind == "trial" else None,
    ).write(paths.spec)
    return paths


class Conformance:
    """What every launcher owes to the runner. `launcher` makes one whose workers behave as told."""

    never_started = ("lost", "never_started")
    """Class of an attempt without any trace of a worker: with a handle, and without."""

    @pytest.fixture
    def launcher(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launcher]:
        raise NotImplementedError

    def finished(self, launcher: Launcher, paths: RunPaths, handle: Handle) -> str:
        wait_for(lambda: not launcher.alive(paths, handle), "the attempt to end")
        found = launcher.ended(paths, handle)
        assert found is not None
        return found.kind

    def slots(self, launcher: Launcher) -> list[Slot]:
        """Its slots, as soon as it knows them."""
        return wait_for(lambda: launcher.slots(2), "slots")  # type: ignore[no-any-return]  # what it waited for

    def test_it_runs_a_worker_to_its_end(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """Events and exit.json are there; the handle is JSON."""
        one, paths = launcher(), attempt(tmp_path / "a")
        handle = one.start(paths, CPU, grace=5)
        assert self.finished(one, paths, handle) == "complete"
        kinds = [parse_event(line)["k"] for line in paths.events.read_bytes().splitlines()]  # type: ignore[index]
        assert (kinds[0], kinds[-1]) == ("started", "ended")
        assert handle != Handle()
        assert Handle.from_dict(json.loads(json.dumps(handle.to_dict()))) == handle

    def test_it_tells_ends_apart(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """A refusal and a crash have their classes, and the log says why."""
        for name, behaviour, kind in (
            ("a", {"refuse_prepare": True}, "refused"),
            ("b", {"crash_prepare": 1}, "crashed"),
        ):
            one, paths = launcher(**behaviour), attempt(tmp_path / name)
            assert kind == self.finished(one, paths, one.start(paths, CPU, grace=5))

    def test_an_attempt_starts_once(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """A folder that was used is refused."""
        one, paths = launcher(), attempt(tmp_path / "a")
        self.finished(one, paths, one.start(paths, CPU, grace=5))
        with pytest.raises(LaunchError, match="runs or has ended"):
            one.start(paths, CPU, grace=5)

    def test_what_never_started_is_lost(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """A free lock without an exit.json: nobody wrote down the end."""
        for name, handle, kind in zip("ab", (Handle(host="here"), Handle()), self.never_started, strict=True):
            assert kind == self.finished(launcher(), attempt(tmp_path / name), handle)

    def test_a_whole_slot_is_the_same_slot(self, launcher: Callable[..., Launcher]) -> None:
        """With at least as many cores, and the very device that it had."""
        one = launcher()
        for slot in self.slots(one):
            whole = one.whole(slot)
            assert (slot.name, slot.device.kind, slot.device.uuid) == (whole.name, whole.device.kind, whole.device.uuid)
            assert whole.device.threads >= slot.device.threads

    @pytest.mark.parametrize(
        "damage",
        [
            "[]",
            "{}",
            '{"kind": 5, "ended_at": 1}',
            '{"kind": "complete", "ended_at": "x"}',
            '{"kind": "\\u001b[2J", "ended_at": 1}',
            '{"kind": "complete", "ended_at": 1e999}',
            "[" * 5000,
        ],
    )
    def test_an_exit_that_nobody_can_have_written_is_lost(
        self, launcher: Callable[..., Launcher], tmp_path: Path, damage: str
    ) -> None:
        """A worker may write anything into its folder; only what has the right types is believed."""
        paths = attempt(tmp_path / "a")
        paths.exit.write_text(damage)
        assert self.finished(launcher(), paths, Handle(host="here")) == "lost"

    @pytest.mark.parametrize("name", ["exit.json", "state.json", "log.txt", "lock", "events.jsonl"])
    @pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
    def test_what_is_no_file_blocks_nobody(
        self, launcher: Callable[..., Launcher], tmp_path: Path, name: str, kind: str
    ) -> None:
        """A FIFO without a writer, a link to a device that never ends, a folder."""
        paths = attempt(tmp_path / "a")
        place = paths.folder / name
        if kind == "fifo":
            os.mkfifo(place)
        elif kind == "device":
            place.symlink_to("/dev/zero")
        else:
            place.mkdir()
        one, handle = launcher(), Handle(host="here")
        wait_for(lambda: not one.alive(paths, handle), "the attempt to be given up")
        found = one.ended(paths, handle)
        assert found is not None
        assert (found.kind in ("lost", self.never_started[0]), found.log_tail) == (True, "")

    def test_it_has_a_free_slot(self, launcher: Callable[..., Launcher]) -> None:
        """At least one, with a name of its own and a device."""
        one = launcher()
        slots = self.slots(one)
        assert len({slot.name for slot in slots}) == len(slots) >= 1
        assert one.busy(slots[0]) == ""

    def test_stopping_what_has_ended_does_nothing(self, launcher: Callable[..., Launcher], tmp_path: Path) -> None:
        """The end stays what it was."""
        one, paths = launcher(), attempt(tmp_path / "a")
        handle = one.start(paths, CPU, grace=5)
        self.finished(one, paths, handle)
        one.stop(paths, handle)
        one.kill(paths, handle)
        assert self.finished(one, paths, handle) == "complete"
