"""Several machines as one launcher: whose attempt it is, and that the file can change at any time."""

from __future__ import annotations

import os
from pathlib import Path

from tests.engine.launch.conformance import attempt
from tests.fakes import CPU, FixedSlots

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.fleet import Fleet, onlooker
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.machines import FILE, Machine, Machines, add, remove
from bertdistill.engine.launch.protocol import Handle, Launcher, Slot
from bertdistill.engine.launch.sighting import Sighting

HERE = Slot("cpu0", CPU)


def slot_of(name: str) -> Slot:
    return Slot(f"{name}/cpu0", Device("cpu", 1, node=name))


def fixed(machine: Machine, machines: Machines, workspace: Path) -> Launcher:
    """Instead of a connection: a machine with one slot, that is busy."""
    slot = slot_of(machine.name)
    return FixedSlots(given=(slot,), reasons={slot.name: f"busy on {machine.name}"})


def fleet(tmp_path: Path) -> Fleet:
    for name in ("a", "b"):
        add(tmp_path, Machine(name, folder=f"/{name}"))
    return Fleet(tmp_path, FixedSlots(given=(HERE,)), fixed)


def test_a_study_uses_the_machines_that_it_names(tmp_path: Path) -> None:
    """Without a word this one; one that does not exist has no slots."""
    one = fleet(tmp_path)
    assert [HERE] == one.among(()).slots()
    assert ["cpu0", "b/cpu0"] == [slot.name for slot in one.among(("local", "b", "c")).slots()]
    assert ["a/cpu0", "b/cpu0"] == [slot.name for slot in one.among(("a", "b")).slots()]
    assert ("", "busy on b") == (one.busy(HERE), one.busy(slot_of("b")))


def test_it_follows_the_file(tmp_path: Path) -> None:
    """A machine that is added while the runner runs is used; one with an error in it changes nothing."""
    one = fleet(tmp_path)
    assert len(one.among(("a", "c")).slots()) == 1
    add(tmp_path, Machine("c", folder="/c"))
    os.utime(tmp_path / FILE, (1, 1))
    assert len(one.among(("a", "c")).slots()) == 2
    (tmp_path / FILE).write_text("[")
    os.utime(tmp_path / FILE, (2, 2))
    assert len(one.among(("a", "c")).slots()) == 2


def test_an_attempt_belongs_to_the_machine_of_its_handle_or_else_of_its_spec(tmp_path: Path) -> None:
    """The runner may die before it has stored a handle."""
    one = fleet(tmp_path)
    paths = attempt(tmp_path / "runs" / "s" / "0000-1")
    spec = AttemptSpec.read(paths.spec)
    assert one._with(paths, Handle()) is one.local
    assert one._with(paths, Handle(device=Device(node="a"))) is one._machines["a"][1]
    AttemptSpec(**{**vars(spec), "device": Device(node="b")}).write(paths.spec)
    assert one._with(paths, Handle()) is one._machines["b"][1]


def test_what_ran_on_a_machine_that_was_removed_is_lost_without_blame(tmp_path: Path) -> None:
    """After a restart of the runner nobody can ask it."""
    fleet(tmp_path)
    remove(tmp_path, "b")
    one = Fleet(tmp_path, LocalLauncher(), fixed)
    paths, handle = RunPaths(tmp_path / "runs" / "s" / "0000-1"), Handle(device=Device(node="b"))
    found = one.ended(paths, handle)
    assert found is not None
    assert (one.alive(paths, handle), found.kind) == (False, "node_lost")
    assert "not a machine" in one.busy(slot_of("b"))


def test_whoever_looks_connects_to_nothing(tmp_path: Path) -> None:
    """What was seen last is in a file; what is wrong with it is ignored."""
    fleet(tmp_path)
    seen = Sighting(
        "a", answered_at=5.0, hello={"cores": 4, "gpus": ["GPU-1"]}, look={"free": 1e12, "busy": {"GPU-1": "taken"}}
    )
    seen.write(tmp_path)
    (tmp_path / "machines" / "b.json").write_text('{"hello": [], "answered_at": "x", "more": 1}')
    one = onlooker(tmp_path, FixedSlots(given=(HERE,)))
    slots = one.among(("local", "a", "b")).slots()
    assert ["cpu0", "a/gpu0"] == [slot.name for slot in slots]
    assert ("", "taken") == (one.busy(slots[0]), one.busy(slots[1]))
    seen.updated(problem="no route to host").write(tmp_path)
    assert one.busy(slots[1]) == "a: no route to host"
    assert Sighting.read(tmp_path, "b") == Sighting("b")
