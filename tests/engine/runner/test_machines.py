"""A study on several machines, with agents in this process: who prepares, who trains, what is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine.launch.nodes import DirectLink
from tests.fakes import Workbench, fake_environment, study_spec

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.launch.agent import Agent
from bertdistill.engine.launch.fleet import Fleet
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.machines import Machine, Machines, add
from bertdistill.engine.launch.protocol import Handle, Launcher
from bertdistill.engine.launch.remote import RemoteLauncher
from bertdistill.engine.steering import actions
from bertdistill.store.rows import StudyState


def test_a_study_on_two_machines(tmp_path: Path) -> None:
    """Prepared on one, trained on both; facts and checkpoints have paths of this machine, the record has the names."""
    told = {"machines": ["a", "b"], "prepare_on": "b", "slots": 1}
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 3}, runner=told))
    for name in ("a", "b"):
        add(bench.workspace.path, Machine(name, folder=str(tmp_path / f"far-{name}")))
        cache = tmp_path / f"far-{name}" / "caches" / "teacher"
        cache.mkdir(parents=True)
        (cache / "model.safetensors").write_bytes(b"weights")

    def connect(machine: Machine, machines: Machines, workspace: Path) -> Launcher:
        agent = Agent(Path(machine.folder), LocalLauncher(environ=fake_environment(tmp_path)))
        return RemoteLauncher.to(machine, machines, workspace, lambda: DirectLink(agent))

    fleet = Fleet(bench.workspace.path, LocalLauncher(environ=fake_environment(tmp_path)), connect)
    bench.launcher = fleet
    bench.renew()
    try:
        done = bench.start().run()
        assert (StudyState.COMPLETE, 3) == (done.study().state, len(done.trials()))
        [prepare, *trials] = done.attempts()
        assert ("prepare", "b/cpu0") == (prepare.kind, prepare.slot)
        assert {"a/cpu0", "b/cpu0"} == {one.slot for one in trials}
        nodes = [Handle.from_dict(one.handle).device for one in trials]
        assert [one.slot.split("/")[0] for one in trials] == [device.node for device in nodes if device]
        facts = done.study().prepared or {}
        assert facts["teacher_folder"] == str(bench.workspace.caches / "teacher")
        assert (bench.workspace.caches / "teacher" / "model.safetensors").read_bytes() == b"weights"
        for trial in trials:
            assert list(done.paths(trial).checkpoints.glob("best-*"))
    finally:
        bench.close()
        fleet.close()


@pytest.mark.parametrize("told", [{"machines": ["local", "gpu9"]}, {"prepare_on": "gpu9"}])
def test_a_machine_that_the_workspace_does_not_have_is_refused(tmp_path: Path, told: dict[str, object]) -> None:
    """With those that it has, and the command that adds one."""
    bench = Workbench(tmp_path, study_spec(tmp_path, runner=told))
    with pytest.raises(ConfigError, match="'gpu9' is not a machine") as refused:
        actions.start_study(bench.workspace, bench.spec, who="test")
    assert "machines add gpu9" in refused.value.hint
    bench.close()
