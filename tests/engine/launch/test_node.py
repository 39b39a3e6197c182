"""One machine as the runner sees it, round by round: what is copied when, who is believed, and what a cut costs."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.engine.launch.conformance import attempt
from tests.engine.launch.nodes import DirectLink
from tests.fakes import CPU, fake_environment, wait_for

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.program import ProgramOrder
from bertdistill.engine.launch import node
from bertdistill.engine.launch.agent import Agent
from bertdistill.engine.launch.attempts import read_exit
from bertdistill.engine.launch.frames import pack
from bertdistill.engine.launch.inputs import program_input
from bertdistill.engine.launch.link import Refused, Unreachable
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.machines import Machine
from bertdistill.engine.launch.node import Node
from bertdistill.engine.launch.protocol import Handle

NAME = "runs/s/0000-1"


@dataclass
class Site:
    """A workspace, one machine next to it, and a clock that is moved by hand."""

    folder: Path
    behaviour: dict[str, Any] = field(default_factory=dict)
    now: float = 0.0
    reachable: bool = True

    def __post_init__(self) -> None:
        self.workspace, self.root = self.folder / "ws", self.folder / "far"
        for made in (self.workspace, self.root):
            made.mkdir()
        self.launcher = LocalLauncher(environ=fake_environment(self.folder, **self.behaviour))
        self.link = DirectLink(Agent(self.root, self.launcher))
        self.node = self.made()

    def made(self) -> Node:
        """A node as a new runner has it."""

        def connect() -> DirectLink:
            if not self.reachable:
                raise Unreachable("no route to host")
            return self.link

        machine = Machine("b", folder=str(self.root), lost_after=60.0)
        return Node(machine, str(self.root), self.workspace, connect, clock=lambda: self.now, threaded=False)

    def paths(self, name: str = NAME) -> RunPaths:
        """Here."""
        return RunPaths(self.workspace / name)

    def far(self, name: str = NAME) -> RunPaths:
        """There."""
        return RunPaths(self.root / name)

    def begin(self, name: str = NAME, kind: str = "trial", **more: Any) -> RunPaths:
        """Ask for a start."""
        paths = attempt(self.workspace / name, kind)
        if more:
            replace(AttemptSpec.read(paths.spec), **more).write(paths.spec)
        self.node.start(name, paths, 5.0)
        return paths

    def turn(self, seconds: float = 0.3) -> None:
        self.now += seconds
        self.node.turn()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        def look() -> Any:
            self.turn()
            return condition()

        return wait_for(look, what)

    def ended(self, name: str = NAME) -> str:
        """How it ended, as soon as it has."""
        self.until(lambda: not self.node.alive(name, self.paths(name)), "the attempt to end")
        return read_exit(self.paths(name), Handle()).kind


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(**behaviour: Any) -> Site:
        made.append(Site(tmp_path, behaviour))
        return made[-1]

    yield make
    for one in made:
        for spec in one.root.glob("runs/*/*/spec.json"):
            one.launcher.kill(RunPaths(spec.parent), Handle())


def held(site: Callable[..., Site], tmp_path: Path, **more: Any) -> Site:
    """A trial that stands at half of its steps, everything before that is here."""
    (tmp_path / "hold").touch()
    one = site(hold=str(tmp_path / "hold"), **more)
    one.begin()
    one.until(lambda: one.paths().events.exists() and b'"done":3' in one.paths().events.read_bytes(), "half")
    return one


def reported(paths: RunPaths, kind: str) -> list[dict[str, Any]]:
    """The events of a kind."""
    found = map(parse_event, paths.events.read_bytes().splitlines())
    return [event for event in found if event and event["k"] == kind]


def tree(folder: Path) -> dict[str, bytes]:
    """Files of a run folder that both sides have, links as what they point to."""
    own = ("lock", "state.json", "spec.json", "log.txt")
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    return {
        name: str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        for name, path in found.items()
        if (path.is_file() or path.is_symlink()) and name not in own and not name.startswith((".", "checkpoints/."))
        if name not in ("checkpoints/best", "checkpoints/last")
    }


def test_the_copy_is_the_original(site: Callable[..., Site]) -> None:
    """Byte for byte, checkpoints and all, and exit.json too."""
    one = site()
    one.begin()
    assert one.ended() == "complete"
    assert tree(one.paths().folder) == tree(one.far().folder)
    assert (one.paths().last / "position.json").exists()


def cut_to(size: int, verb: str, data: bytes) -> bytes:
    return data[:size] if verb == "poll" else data


def test_a_link_cut_at_every_byte_of_a_poll(
    site: Callable[..., Site], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost or doubled, wherever the answer ends."""
    one = site()
    one.paths().folder.mkdir(parents=True)
    one.far().folder.mkdir(parents=True)
    files = {"spec.json": b"{}", "events.jsonl": b'{"k":"started","t":1}\n{"k":"ended","t":2}\n{"to', "log.txt": b"a\n"}
    files["exit.json"] = b'{"kind": "complete", "ended_at": 3}'
    for name, data in files.items():
        (one.far().folder / name).write_bytes(data)
    answers: list[int] = []

    def copy(cut: Callable[[str, bytes], bytes]) -> dict[str, bytes]:
        """What is here after a poll that was cut, and others that were not."""
        for path in one.paths().folder.iterdir():
            path.unlink()
        links = iter([DirectLink(one.link.agent, cut), DirectLink(one.link.agent)])
        now = itertools.count(0.0, 1.0)
        node = Node(one.node.machine, "", one.workspace, lambda: next(links), lambda: next(now), threaded=False)
        monkeypatch.setattr(node, "_look", lambda: None)
        monkeypatch.setattr(node, "_seen", lambda **news: None)
        node.alive(NAME, one.paths())
        while not one.paths().exit.exists():
            node.turn()
        return {path.name: path.read_bytes() for path in one.paths().folder.iterdir()}

    def measured(verb: str, data: bytes) -> bytes:
        answers.extend([len(data)] if verb == "poll" else [])
        return data

    del files["spec.json"]
    assert copy(measured) == files
    for size in range(answers[0]):
        assert copy(partial(cut_to, size)) == files


def test_what_does_not_fit_into_one_answer_comes_at_once(site: Callable[..., Site]) -> None:
    """An attempt that was not followed for a while has megabytes to catch up with: no pause between the answers."""
    one = site()
    for paths in (one.paths(), one.far()):
        paths.folder.mkdir(parents=True)
        paths.spec.write_text("{}")
    one.far().events.write_bytes((b" " * (1 << 16) + b"\n") * 50)
    one.node.alive(NAME, one.paths())
    while one.node.turn():
        pass
    assert one.paths().events.read_bytes() == one.far().events.read_bytes()


def test_a_line_that_nobody_reads_blocks_nothing(site: Callable[..., Site]) -> None:
    """Longer than one answer: what comes after it must arrive, though it is skipped itself."""
    one = site()
    for paths in (one.paths(), one.far()):
        paths.folder.mkdir(parents=True)
        paths.spec.write_text("{}")
    ended = b'{"k":"ended","t":1}\n'
    one.far().events.write_bytes(b'{"k":"notice","text":"' + b"x" * 5_000_000 + b'"}\n' + ended)
    one.node.alive(NAME, one.paths())
    while one.node.turn():
        pass
    assert one.paths().events.read_bytes() == one.far().events.read_bytes()


def test_a_checkpoint_is_here_before_its_line(site: Callable[..., Site], tmp_path: Path) -> None:
    """At every call, every recorded checkpoint is here unless its worker has replaced it there."""
    one = site(checkpoint_bytes=700_000)
    looked = 0

    def watch(verb: str, data: bytes) -> bytes:
        nonlocal looked
        events = one.paths().events.read_bytes().splitlines() if one.paths().events.exists() else []
        for event in map(parse_event, events):
            if event and event["k"] == "checkpoint" and (one.far().checkpoints / Path(event["folder"]).name).is_dir():
                assert Path(event["folder"], "position.json").exists()
                looked += 1
        return data

    one.link.cut = watch
    one.begin()
    assert one.ended() == "complete"
    assert looked > 2


def test_a_replaced_checkpoint_goes_here_too(site: Callable[..., Site], tmp_path: Path) -> None:
    """And one that is being copied stays there until it is."""
    one = held(site, tmp_path)
    assert ["best-000002", "last-000002"] == sorted(path.name for path in one.paths().checkpoints.glob("*-*"))
    pinned = one.link.call("pin", NAME, "checkpoints/last-000002")[0]
    (tmp_path / "hold").unlink()
    assert one.ended() == "complete"
    assert ["best-000006", "last-000006"] == sorted(path.name for path in one.paths().checkpoints.glob("*-*"))
    assert one.link.call("read", f"{pinned[0]}/position.json", 0, 100)[1] == [b'{"step": 2}']


def test_a_checkpoint_is_kept_without_links_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one that its worker has replaced is left out; a full disk is no reason to."""
    paths = RunPaths(tmp_path / NAME)
    made = paths.checkpoints / "best-000002"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"w")
    link = DirectLink(Agent(tmp_path))

    def full(*_: Any, **more: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    name = f"checkpoints/{made.name}"
    assert link.call("pin", NAME, name)[0] == [f"{NAME}/.pins/checkpoints+{made.name}", [["model.safetensors", 1]]]
    link.call("drop", f"{NAME}/.pins")
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(Refused, match="No space left"):
        link.call("pin", NAME, name)
    shutil.rmtree(made)
    assert link.call("pin", NAME, name)[0] is None
    assert list((paths.folder / ".pins").iterdir()) == []


def refusing(refused: str, verb: str, data: bytes) -> bytes:
    return pack({"error": "disk full"}) if verb == refused else data


def test_what_can_never_be_copied_ends_its_attempt(site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    """After some time, with the reason, which is logged once."""
    one = site()
    one.link.cut = partial(refusing, "pin")
    one.begin()
    one.until(lambda: one.turn(5) or not one.node.alive(NAME, one.paths()), "the end")
    found = read_exit(one.paths(), Handle())
    assert (found.kind, found.log_tail, one.node.problem()) == ("lost", "b: disk full", "")
    assert caplog.text.count("disk full") == 1
    assert one.link.calls.count("pin") > 2


def test_a_file_that_cannot_be_read_there_is_left_out(site: Callable[..., Site]) -> None:
    one = site()

    def cut(verb: str, data: bytes) -> bytes:
        if verb == "start":
            (one.far().folder / "notes.txt").write_text("x")
        return refusing("read", verb, data)

    one.link.cut = cut
    one.begin(kind="prepare")
    assert one.ended() == "complete"
    assert list(one.paths().folder.glob("*notes*")) == []


def test_a_stop_lets_the_worker_save_and_its_checkpoint_comes(site: Callable[..., Site], tmp_path: Path) -> None:
    one = held(site, tmp_path)
    one.node.ask(NAME, "stop")
    assert one.ended() == "stopped"
    assert (one.paths().checkpoints / "last-000003" / "position.json").exists()


def test_a_kill_ends_it(site: Callable[..., Site], tmp_path: Path) -> None:
    one = held(site, tmp_path)
    one.node.ask(NAME, "kill")
    assert one.ended() == "killed_by_signal_9"


def test_a_new_runner_continues_where_the_copy_ends(site: Callable[..., Site], tmp_path: Path) -> None:
    """It remembers nothing, and need not."""
    one = held(site, tmp_path)
    one.node = one.made()
    assert one.node.alive(NAME, one.paths())
    (tmp_path / "hold").unlink()
    assert one.ended() == "complete"
    assert one.paths().events.read_bytes() == one.far().events.read_bytes()


def test_silence_is_believed_only_after_a_while(site: Callable[..., Site], tmp_path: Path) -> None:
    """Unknown counts as alive; then it is lost without blame, and what it wrote meanwhile is not taken any more."""
    one = held(site, tmp_path)
    before = one.paths().events.read_bytes()
    one.reachable, one.link.cut = False, lambda verb, data: b""
    one.turn(10)
    assert one.node.alive(NAME, one.paths())
    assert "no route to host" in one.node.problem() or "closed" in one.node.problem()
    one.turn(60)
    assert not one.node.alive(NAME, one.paths())
    assert read_exit(one.paths(), Handle()).kind == "node_lost"
    (tmp_path / "hold").unlink()
    wait_for(lambda: one.far().exit.exists(), "the worker to end")
    one.reachable, one.link.cut = True, lambda verb, data: data
    for _ in range(3):
        one.turn(20)
    assert (one.paths().events.read_bytes(), one.node.problem()) == (before, "")


def test_an_orphan_ends_before_its_slot_is_used_again(site: Callable[..., Site], tmp_path: Path) -> None:
    """A machine that was silent comes back with a worker that has been given up: it is killed before the next start."""
    one = held(site, tmp_path)
    one.now += 100
    assert not one.node.alive(NAME, one.paths())
    assert one.launcher.alive(one.far(), Handle())
    one.begin("runs/s/0000-2", "prepare")
    assert one.ended("runs/s/0000-2") == "complete"
    assert not one.launcher.alive(one.far(), Handle())
    assert one.link.calls.index("kill") < len(one.link.calls) - 1 - one.link.calls[::-1].index("start")


def test_what_an_earlier_runner_follows_is_no_orphan(site: Callable[..., Site], tmp_path: Path) -> None:
    """A new runner starts something before it was asked for the first attempt: that one is left alone."""
    one = held(site, tmp_path)
    one.node = one.made()
    one.begin("runs/s/0001-1", "prepare")
    assert one.ended("runs/s/0001-1") == "complete"
    assert one.launcher.alive(one.far(), Handle())


def test_what_never_started_never_will(site: Callable[..., Site]) -> None:
    """The runner died before its start was sent; a start that is still on its way is refused."""
    one = site()
    attempt(one.workspace / NAME)
    assert one.node.alive(NAME, one.paths())
    assert one.ended() == "never_started"
    with pytest.raises(Exception, match="runs or has ended"):
        one.link.call("start", NAME, one.paths().spec.read_text(), 5.0)


def test_a_start_whose_answer_is_lost_starts_once(site: Callable[..., Site]) -> None:
    one = site()
    cut = ["start"]
    one.link.cut = lambda verb, data: b"" if cut and verb == cut[0] and cut.pop() else data
    one.begin()
    assert one.ended() == "complete"
    assert one.link.calls.count("start") == 1
    assert one.paths().events.read_bytes() == one.far().events.read_bytes()


def test_lost_waits_for_the_machine(site: Callable[..., Site], tmp_path: Path) -> None:
    """A worker without an end is a verdict only if its machine is still there some time later: 15 of 60 seconds."""
    one = held(site, tmp_path)
    state = json.loads(one.far().state.read_text())
    for who in ("shim", "worker"):
        os.kill(state[who]["pid"], 9)
    wait_for(lambda: not one.launcher.alive(one.far(), Handle()), "both to end")
    one.turn(5)
    one.turn(5)
    assert one.node.alive(NAME, one.paths())
    one.turn(16)
    assert one.ended() == "lost"


# -------------------------------------------------------------------------------------------------------------- inputs


def cache(site: Site, name: str, size: int) -> str:
    """A cache here; its folder."""
    folder = site.workspace / "caches" / name
    folder.mkdir(parents=True)
    (folder / "ids.npy").write_bytes(os.urandom(size))
    (folder / "manifest.json").write_text("{}")
    return str(folder)


def with_facts(site: Site, **more: Any) -> dict[str, Any]:
    facts = Prepared(
        features={"train": cache(site, "features/k1", 900_000)}, outputs=cache(site, "outputs/k2", 10), **more
    )
    return {"prepared": facts, "caches": str(site.workspace / "caches")}


def test_caches_travel_once_and_the_spec_names_them_there(site: Callable[..., Site], tmp_path: Path) -> None:
    one = site()
    told = with_facts(one, teacher_folder=cache(one, "teachers/k3", 99), labels=("/", "/etc"))
    one.begin(**told)
    assert one.ended() == "complete"
    assert tree(one.workspace / "caches" / "features") == tree(one.root / "caches" / "features")
    assert not (one.root / "caches" / "teachers").exists()
    assert not (one.root / ".parts" / "caches").exists() or not any((one.root / ".parts").rglob("*.npy"))
    sent = AttemptSpec.read(one.far().spec)
    assert sent.prepared.features["train"] == str(one.root / "caches/features/k1")
    assert (sent.caches, sent.prepared.labels) == (str(one.root / "caches"), ("/", "/etc"))
    before = one.link.calls.count("put")
    one.begin("runs/s/0001-1", **told)
    assert one.ended("runs/s/0001-1") == "complete"
    assert one.link.calls.count("put") == before


def test_a_cut_transfer_continues(site: Callable[..., Site]) -> None:
    """Each byte is sent once, but for the chunk at hand."""
    one = site()
    puts = 0

    def cut(verb: str, data: bytes) -> bytes:
        nonlocal puts
        puts += verb == "put"
        return b"" if verb == "put" and puts in (2, 4, 6) else data

    one.link.cut = cut
    one.begin(**with_facts(one))
    assert one.ended() == "complete"
    assert tree(one.workspace / "caches" / "features") == tree(one.root / "caches" / "features")
    assert one.link.calls.count("hello") == 4


def test_a_stop_does_not_wait_for_the_transfer(site: Callable[..., Site]) -> None:
    """Nothing has started, so nothing is to be saved."""
    one = site()
    one.begin(**with_facts(one))
    one.turn()
    one.turn()
    one.node.ask(NAME, "stop")
    assert one.ended() == "stopped"
    assert "start" not in one.link.calls


def test_the_files_of_the_user_are_named_by_what_they_are(site: Callable[..., Site], tmp_path: Path) -> None:
    """Data outside of the workspace goes too, and a changed file is another one."""
    one = site()
    data = tmp_path / "train.csv"
    data.write_text("text,label\n")
    spec = AttemptSpec.read(attempt(tmp_path / "paper").spec)
    for number, text in enumerate(("text,label\n", "text,label\na,b\n")):
        data.write_text(text)
        name = f"runs/s/000{number}-1"
        one.begin(name, data=replace(spec.data, train=str(data)))
        assert one.ended(name) == "complete"
        there = AttemptSpec.read(one.far(name).spec).data.train
        assert (Path(there).read_text(), there.startswith(str(one.root / "inputs"))) == (text, True)


def test_what_is_gone_here_is_a_failed_launch(site: Callable[..., Site], tmp_path: Path) -> None:
    one = site()
    one.begin(resume_from=str(one.workspace / "runs/s/gone/checkpoints/last-1"))
    assert one.ended() == "launch_failed"
    assert "gone" in read_exit(one.paths(), Handle()).log_tail
    assert "start" not in one.link.calls


@pytest.mark.parametrize("gone", ["spec", "train"])
def test_what_vanishes_here_fails_its_attempt_alone(site: Callable[..., Site], tmp_path: Path, gone: str) -> None:
    """Before or after its files were listed; the machine stays connected."""
    one, train = site(), tmp_path / "train.csv"
    train.write_text("text,label\n")
    paths = one.begin(data=replace(AttemptSpec.read(attempt(tmp_path / "paper").spec).data, train=str(train)))
    lost = {"spec": paths.spec, "train": train}[gone]

    def cut(verb: str, data: bytes) -> bytes:
        if verb == "has" and (gone == "spec" or one.link.calls.count("has") == 2):
            lost.unlink(missing_ok=True)
        return data

    one.link.cut = cut
    assert one.ended() == "launch_failed"
    assert str(lost) in read_exit(paths, Handle()).log_tail
    assert (one.link.calls.count("hello"), one.node.problem()) == (1, "")


def test_a_trial_resumes_on_another_machine(site: Callable[..., Site], tmp_path: Path) -> None:
    """From the checkpoint that was copied here, although the first machine is gone."""
    one = held(site, tmp_path)
    one.now += 100
    assert not one.node.alive(NAME, one.paths())
    (tmp_path / "hold").unlink()
    other = Site(tmp_path / "other") if (tmp_path / "other").mkdir() is None else one
    other.workspace, other.node = one.workspace, replace(other.node, workspace=one.workspace)
    other.node = other.made()
    last = one.paths().checkpoints / "last-000002"
    other.begin("runs/s/0000-2", resume_from=str(last), earlier=[str(one.paths().checkpoints / "best-000002")])
    assert other.ended("runs/s/0000-2") == "complete"
    steps = [event["step"] for event in reported(other.paths("runs/s/0000-2"), "metrics")]
    assert (min(steps), max(steps)) == (3, 6)
    assert (other.root / NAME / "checkpoints/best-000002").is_dir()


def test_a_preparation_brings_its_caches(site: Callable[..., Site], tmp_path: Path) -> None:
    """Before the line that names them, in paths of this machine."""
    one = site()
    made = one.root / "caches" / "teacher"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"w" * 700_000)
    one.begin(kind="prepare", caches=str(one.workspace / "caches"))
    assert one.ended() == "complete"
    [result] = reported(one.paths(), "result")
    assert result["facts"]["teacher_folder"] == str(one.workspace / "caches/teacher")
    assert tree(one.workspace / "caches/teacher") == tree(made)


# ------------------------------------------------------------------------------------------------------------ programs

PROGRAM = """
import json, os, pathlib, sys
run, hold = pathlib.Path(os.environ["BERTDISTILL_RUN"]), pathlib.Path(sys.argv[2])
resumed = pathlib.Path(os.environ["BERTDISTILL_RESUME"], "w").read_text() if "BERTDISTILL_RESUME" in os.environ else ""
(run / "ck").mkdir()
for step in (1, 2):
    (run / "ck" / "w").write_text(f"{resumed}{step}")
    print(json.dumps({"checkpoint": str(run / "ck"), "step": step}), flush=True)
    while step == 1 and hold.exists():
        pass
here = sorted(path.as_posix() for path in pathlib.Path().rglob("*") if path.is_file())
(run / "found.txt").write_text(json.dumps([here, pathlib.Path(sys.argv[1]).read_text()]))
print(json.dumps({"score": 1.0}))
"""


def ordered(site: Site, name: str, **more: Any) -> RunPaths:
    """Start an attempt of a program whose folder has more than it may send."""
    place = site.folder / "program"
    for path, text in (("a.py", PROGRAM), ("lib/b.txt", "b"), ("lib/.c", "c"), ("ws/tracker.db", ""), ("secret", "s")):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    command = [sys.executable, "a.py", "{data}", str(site.folder / "hold")]
    paths = RunPaths(site.workspace / name)
    paths.folder.mkdir(parents=True)
    order = ProgramOrder("s", 0, command, str(place), {"kind": "cpu", "threads": 1, "uuid": "", "memory_fraction": 1.0})
    more = {"params": {"data": f"{place}/lib/b.txt"}, "files": ["a.py", "lib"], "objectives": ["score"], **more}
    replace(order, **more).write(paths.spec)
    site.node.start(name, paths, 5.0)
    return paths


def test_a_program_runs_where_its_files_were_sent(site: Callable[..., Site], tmp_path: Path) -> None:
    """With the files that it names alone; their paths mean the copy. A checkpoint that is written again comes again."""
    one = site()
    (tmp_path / "hold").touch()
    paths = ordered(one, NAME)
    one.until(lambda: (paths.folder / "ck/w").exists(), "the first checkpoint")
    assert (paths.folder / "ck/w").read_text() == "1"
    (tmp_path / "hold").unlink()
    assert one.ended() == "complete"
    assert (paths.folder / "ck/w").read_text() == "2"
    assert json.loads((paths.folder / "found.txt").read_text()) == [["a.py", "lib/b.txt"], "b"]
    assert {event["folder"] for event in reported(paths, "checkpoint")} == {str(paths.folder / "ck")}
    assert not list((paths.folder / "ck").parent.glob("best"))
    resumed = ordered(one, "runs/s/0000-2", resume_from=str(paths.folder / "ck"))
    assert one.ended("runs/s/0000-2") == "complete"
    assert (resumed.folder / "ck/w").read_text() == "22"


def test_the_whole_folder_is_sent_without_workspaces_and_hidden_files(tmp_path: Path) -> None:
    """The workspace is often made beside the program; a file that is named is sent whatever its name."""
    for path in ("a.py", "lib/b.txt", "lib/.c", ".git/x", "__pycache__/a.pyc", "ws/tracker.db", "ws/runs/s/x", ".env"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    assert [name for name, _ in program_input(tmp_path, ["."]).files] == ["a.py", "lib/b.txt"]
    assert [name for name, _ in program_input(tmp_path, [".env", "lib"]).files] == [".env", "lib/b.txt"]
    with pytest.raises(LaunchError, match="gone"):
        program_input(tmp_path, ["gone"])
    with pytest.raises(LaunchError, match="workspace itself"):  # nothing of it would be left
        program_input(tmp_path, ["ws"])


# ------------------------------------------------------------------------------------------------------------- caution


def test_another_version_starts_nothing(site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so; what runs there is still followed."""
    one = site()
    monkeypatch.setattr("bertdistill.engine.launch.node.package_version", lambda: "99.0")
    one.begin()  # queued by slots that were seen before
    assert one.ended() == "launch_failed"
    assert "install the same" in read_exit(one.paths(), Handle()).log_tail
    assert "install the same" in one.node.problem()
    assert "start" not in one.link.calls


def test_a_folder_that_was_tampered_with_ends_its_attempt_alone(site: Callable[..., Site], tmp_path: Path) -> None:
    one = site()
    one.begin()
    one.paths().events.symlink_to(tmp_path / "elsewhere")
    assert one.ended() == "lost"
    assert (one.node.problem(), (tmp_path / "elsewhere").exists()) == ("", False)


class SilentLink:
    """Its agent never answers."""

    def __init__(self) -> None:
        self.called, self.aborted, self.closed_by = threading.Event(), threading.Event(), ""

    def call(self, verb: str, *args: Any, blob: bytes = b"") -> tuple[Any, list[bytes]]:
        self.called.set()
        self.aborted.wait()
        raise Unreachable("aborted")

    def abort(self) -> None:
        self.aborted.set()

    def close(self) -> None:
        self.closed_by = threading.current_thread().name


def test_its_thread_closes_the_link_and_has_ended_after_close(tmp_path: Path) -> None:
    """Another node may follow the same attempts then: two that append would double their events."""
    link = SilentLink()
    node = Node(Machine("b", folder="/b"), "/b", tmp_path, lambda: link)
    node.wake()
    assert link.called.wait(30)
    node.close()
    assert (link.closed_by, node._thread and node._thread.is_alive()) == ("machine b", False)


def test_an_attempt_starts_once(site: Callable[..., Site]) -> None:
    one = site()
    one.begin()
    with pytest.raises(LaunchError, match="runs or has ended"):
        one.node.start(NAME, one.paths(), 5.0)


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "runs/../../x", "runs/out/x", "", "a\0b"])
def test_the_agent_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    """Whatever name it is asked for; links do not lead out either."""
    root = tmp_path / "far"
    (root / "runs").mkdir(parents=True)
    (root / "runs" / "out").symlink_to(tmp_path)
    (tmp_path / "x").write_text("secret")
    link = DirectLink(Agent(root))
    for verb, args in (("read", (name, 0, 10)), ("drop", (name,)), ("manifest", (name,)), ("put", (f"../{name}", 0))):
        with pytest.raises(LaunchError):
            link.call(verb, *args)
    assert (tmp_path / "x").read_text() == "secret"
    with pytest.raises(LaunchError, match="cannot __init__"):
        link.call("__init__", str(tmp_path))
    assert CPU.kind == "cpu"


def test_an_attempt_that_joins_the_queue_meanwhile_breaks_nothing(site: Callable[..., Site]) -> None:
    """The runner's thread adds at any moment; a search that it broke would leave a started attempt first for ever."""
    here = site()

    class Racing(str):
        """A name that is compared just as the other thread comes in."""

        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            here.node._queue.append(here.node._queue[0])
            return str.__eq__(self, other)

    here.begin(Racing("runs/s/0000-1"))
    here.begin(Racing("runs/s/0001-1"))
    first, second = here.node._queue
    here.node._started(second)
    assert [first] == list(here.node._queue)


def test_copies_that_nothing_uses_are_removed_while_nothing_runs(site: Callable[..., Site], tmp_path: Path) -> None:
    """What was asked for lately stays, and everything while an attempt runs, which may read it for weeks."""
    one = held(site, tmp_path)
    names = ("inputs/0a/train.csv", "caches/tokens/1b/part.npy", ".parts/inputs/2c/half", "inputs/3d/model")
    for name in names:
        (one.root / name).parent.mkdir(parents=True)
        (one.root / name).write_text("a copy", encoding="utf-8")
        for path in (one.root / name, (one.root / name).parent):
            os.utime(path, (0, 0))
    one.link.call("has", [names[-1]])
    one.turn(node.SWEEP_SECONDS)
    assert all((one.root / name).exists() for name in names)
    (tmp_path / "hold").unlink()
    assert one.ended() == "complete"
    one.turn(node.SWEEP_SECONDS)
    assert [False, False, False, True] == [(one.root / name).exists() for name in names]
    assert one.far().spec.exists()
