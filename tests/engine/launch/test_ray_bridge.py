"""Workers on a node of a Ray cluster: the conformance class and the rules of the bridge on a stand-in for Ray."""

from __future__ import annotations

import importlib
import io
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.engine.launch.conformance import Conformance, attempt
from tests.engine.launch.nodes import node, over_frames
from tests.fakes import fake_environment, wait_for

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.launch import carrier, ray_bridge
from bertdistill.engine.launch.carrier import Carrier
from bertdistill.engine.launch.link import ProcessLink, Unreachable, ray_command
from bertdistill.engine.launch.machines import Machine
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.launch.ray_bridge import actor_on, chosen
from bertdistill.engine.launch.remote import RemoteLauncher

STAND_INS = Path(__file__).parent / "stand_ins"


@pytest.fixture(autouse=True)
def _stays() -> Iterator[None]:
    """A carrier that is idle would end the process of the tests, as complete, a minute later."""
    with pytest.MonkeyPatch.context() as patch:  # its own: a test may undo what is patched
        patch.setattr(carrier, "leave_now", lambda: None)
        yield


def a_node(name: str, **more: Any) -> dict[str, Any]:
    """As `ray.nodes` has it."""
    found = {"NodeID": f"id-{name}", "Alive": True, "NodeName": name, "NodeManagerHostname": f"host-{name}"}
    return {**found, "NodeManagerAddress": "10.0.0.1", "Resources": {"CPU": 2.0}, **more}


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The stand-in, as if it was installed."""
    real = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "ray"}
    for name in real:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(STAND_INS))
    yield importlib.import_module("ray")
    sys.modules.pop("ray")


class BridgedLink:
    """A link through the loop of the bridge and a carrier, without processes between them."""

    def __init__(self, ray: Any, root: Path, environ: dict[str, str]) -> None:
        self.ray, self.actor = ray, ray.Actor(Carrier(str(root), 0, environ))
        self.cut: Callable[[str, bytes], bytes] = lambda verb, data: data

    def call(self, verb: str, *args: Any, blob: bytes = b"") -> tuple[Any, list[bytes]]:
        def passed(asked: bytes) -> bytes:
            sink = io.BytesIO()
            ray_bridge.serve(self.ray, self.actor, io.BytesIO(asked), sink)
            return sink.getvalue()

        return over_frames(passed, verb, args, blob, self.cut)

    def abort(self) -> None:
        """No call waits."""

    def close(self) -> None:
        """Nothing to close."""


class TestRayMachine(Conformance):
    """Workers of a carrier."""

    never_started = ("never_started", "never_started")

    @pytest.fixture
    def launcher(self, tmp_path: Path, ray: ModuleType) -> Iterator[Callable[..., Launcher]]:
        made: list[RemoteLauncher] = []

        def make(**behaviour: Any) -> Launcher:
            link = BridgedLink(ray, tmp_path / "far" / ("0" * 12), fake_environment(tmp_path, **behaviour))
            made.append(node(tmp_path, tmp_path / "far", connect=lambda: link))
            return made[-1]

        yield make
        for one in made:
            one.close()


# ---------------------------------------------------------------------------------------------------------- the process


def bridge(machine: Machine, folder: Path, **environ: str) -> ProcessLink:
    """The real child process, over the stand-in."""
    given = {**os.environ, "PYTHONPATH": str(STAND_INS), "STAND_IN_NODES": json.dumps([a_node("a")]), **environ}
    return ProcessLink(ray_command(machine, str(folder), {"SAID": "x"}), given)


def test_the_process_passes_frames_and_nothing_else(tmp_path: Path) -> None:
    """What Ray prints does not get between them; bytes arrive as they were sent."""
    with socket.create_server(("127.0.0.1", 0)) as head:
        link = bridge(Machine("a", ray=f"127.0.0.1:{head.getsockname()[1]}"), tmp_path / "far")
        hello, _ = link.call("hello")
        assert (hello["root"], hello["gpus"]) == (str(tmp_path / "far"), [])
        blob = bytes(range(256)) * 1000
        assert link.call("put", "x", 0, blob=blob)[0] == len(blob)
        assert link.call("read", ".parts/x", 0, len(blob))[1] == [blob]
        link.close()


def test_why_a_cluster_cannot_be_used_is_the_problem(tmp_path: Path) -> None:
    """Nobody listens, no node of that name, no Ray here; within seconds, where Ray itself would look for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        (tmp_path / "ray.py").write_text("raise ImportError")
        with pytest.raises(Unreachable, match=r"not installed here: pip install 'bertdistill-tui\[ray\]'"):
            bridge(Machine("a", ray=address), tmp_path / "far", PYTHONPATH=str(tmp_path)).call("hello")
        with pytest.raises(Unreachable, match="no node z; it has a"):
            bridge(Machine("a", ray=address, node="z"), tmp_path / "far").call("hello")
    with pytest.raises(Unreachable, match=f"no Ray at {address}"):
        bridge(Machine("a", ray=address), tmp_path / "far").call("hello")


# ------------------------------------------------------------------------------------------------------------ the rules


@pytest.mark.parametrize("name", ["b", "host-b", "id-b"])
def test_a_node_is_found_by_whatever_it_is_called(name: str) -> None:
    nodes = [a_node("b", Alive=False, NodeID="old"), a_node("b"), a_node("c")]
    assert chosen(nodes, name)["NodeID"] == "id-b"


def test_a_name_must_mean_one_node() -> None:
    """An address that two share is not enough; without a name there must be only one."""
    nodes = [a_node("b"), a_node("c")]
    for name in ("", "10.0.0.1", "d"):
        with pytest.raises(LaunchError, match="b, c"):
            chosen(nodes, name)
    assert chosen([a_node("b", Alive=False), a_node("c")], "")["NodeID"] == "id-c"


def terms(ray: Any, gpus: int, folder: Path, **resources: float) -> tuple[list[Any], dict[str, Any]]:
    """What the actor of a node was made with, and its last options."""
    actor = actor_on(ray, a_node("b", Resources=resources), str(folder), gpus, {})
    return ray.get(actor.terms.remote()), ray.options[-1]


def test_an_actor_has_the_gpus_of_its_slots(ray: Any, tmp_path: Path) -> None:
    """Through Ray, so that it gives them to nobody else: all of the node, or as many as the slots need."""
    for number, (asked, there, given) in enumerate(((-1, 4.0, 4), (2, 4.0, 2), (8, 4.0, 4), (-1, 0.0, 0))):
        found, options = terms(ray, asked, tmp_path / str(number), GPU=there)
        assert (found[1], options["num_gpus"], options["lifetime"]) == (given, given, "detached")
        assert options["scheduling_strategy"].node == "id-b"


def test_an_actor_is_found_again_or_replaced(ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade of this program, or with other slots, an old one must not be asked on."""
    first, again = (actor_on(ray, a_node("b"), str(tmp_path), -1, {}) for _ in range(2))
    assert (again is first, ray.killed) == (True, [])
    monkeypatch.setattr(ray_bridge, "package_version", lambda: "99.0")
    other = actor_on(ray, a_node("b"), str(tmp_path), -1, {})
    assert (other is first, ray.killed) == (False, [first])


def test_an_actor_whose_folder_was_removed_can_be_used_again(ray: Any, tmp_path: Path) -> None:
    """As by a check, which is repeated while the actor of the first one has not left yet."""
    for _ in range(2):
        actor = actor_on(ray, a_node("b"), str(tmp_path / "far"), -1, {})
        look = over_frames(lambda asked, one=actor: ray.get(one.answer.remote(asked)), "look", (), b"")[0]  # type: ignore[misc]  # bound at once
        assert look["running"] == {}
        (tmp_path / "far").rmdir()


def test_an_actor_that_does_not_start_is_not_left_behind(
    ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take the GPUs as soon as they are free. One that was there before stays: it may have workers."""

    def slow(asked: Any, timeout: float | None = None) -> Any:
        raise ray.exceptions.GetTimeoutError

    monkeypatch.setattr(ray, "get", slow)
    with pytest.raises(LaunchError, match="GPUs"):
        actor_on(ray, a_node("b"), str(tmp_path), -1, {})
    assert (len(ray.killed), ray.actors) == (1, {})
    monkeypatch.undo()
    actor_on(ray, a_node("b"), str(tmp_path), -1, {})
    monkeypatch.setattr(ray, "get", slow)
    with pytest.raises(LaunchError):
        actor_on(ray, a_node("b"), str(tmp_path), -1, {})
    assert (len(ray.killed), len(ray.actors)) == (1, 1)


def test_a_stream_that_is_cut_anywhere_has_no_answer(ray: Any, tmp_path: Path) -> None:
    """Whatever byte of the bridge's output is its last: the machine is unreachable, and nothing is believed."""
    link = BridgedLink(ray, tmp_path / "far", {})
    (tmp_path / "far/runs/s/0000-1").mkdir(parents=True)
    for name, text in (("spec.json", "{}"), ("events.jsonl", '{"k":"started","t":1}\n{"k"'), ("log.txt", "a\n")):
        (tmp_path / "far/runs/s/0000-1" / name).write_text(text)
    seen: list[int] = []

    def poll(cut: Callable[[bytes], bytes]) -> Any:
        link.cut = lambda verb, data: cut(data)
        return link.call("poll", {"runs/s/0000-1": [0, 0]})

    def measured(data: bytes) -> bytes:
        seen.append(len(data))
        return data

    assert poll(measured)[1][0].startswith(b'{"k":"started"')
    for size in range(seen[0]):
        with pytest.raises(Unreachable):
            poll(lambda data, size=size: data[:size])  # type: ignore[misc]  # bound at once


def test_a_carrier_leaves_when_nobody_asks_and_nothing_runs(tmp_path: Path) -> None:
    """While a worker runs it stays: Ray would give its GPU to others."""
    left = threading.Event()
    one = Carrier(str(tmp_path / "far"), 0, os.environ, idle=-1.0, leave=left.set)
    assert left.wait(30)
    (tmp_path / "far").rmdir()
    assert one.idle()
    (tmp_path / "hold").touch()
    environ = fake_environment(tmp_path, hold=str(tmp_path / "hold"))
    one = Carrier(str(tmp_path / "far"), 0, environ, idle=3600.0, leave=left.set)
    spec = attempt(tmp_path / "paper").spec.read_text()

    def call(verb: str, *args: Any) -> Any:
        return over_frames(one.answer, verb, args, b"")[0]

    call("start", "runs/s/0000-1", spec, 5.0)
    one._idle = -1.0
    assert not one.idle()
    call("kill", "runs/s/0000-1")
    wait_for(one.idle, "the worker to end")
