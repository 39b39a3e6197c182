"""The table of launchers, and that a new one is a file and a row."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.engine.launch.child_launcher import ChildLauncher
from tests.engine.launch.conformance import Conformance, attempt
from tests.fakes import CPU, Workbench, fake_environment, study_spec

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.launch import warm
from bertdistill.engine.launch.inline import InlineLauncher
from bertdistill.engine.launch.launchers import LAUNCHERS, VARIABLE, make_launcher, runner_launcher
from bertdistill.engine.launch.local import COMMAND_VARIABLE, LocalLauncher
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.launch.slurm import OPTIONS
from bertdistill.store.rows import StudyState


class TestChildLauncher(Conformance):
    """One that this project does not have."""

    @pytest.fixture
    def launcher(self, tmp_path: Path) -> Callable[..., Launcher]:
        def make(**behaviour: Any) -> Launcher:
            return ChildLauncher(fake_environment(tmp_path, **behaviour))

        return make


def test_a_study_runs_on_a_new_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a row in the table and its name in the environment, from the preparation to the last trial."""
    monkeypatch.setitem(LAUNCHERS, "child", lambda environ: ChildLauncher(environ))
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 3}))
    launcher = make_launcher(fake_environment(tmp_path) | {VARIABLE: "child"})
    assert isinstance(launcher, ChildLauncher)
    bench.launcher = launcher
    bench.renew()
    try:
        done = bench.start().run()
        assert (StudyState.COMPLETE, 3) == (done.study().state, len(done.trials()))
        assert {"elsewhere0", "elsewhere1"} >= {attempt.slot for attempt in done.attempts()}
    finally:
        bench.close()


def test_the_environment_chooses() -> None:
    """Without a word it is this machine; an unknown name is refused with those that there are."""
    assert isinstance(make_launcher({}), LocalLauncher)
    assert isinstance(make_launcher({VARIABLE: "inline"}), InlineLauncher)
    with pytest.raises(LaunchError, match="no such launcher") as refused:
        make_launcher({VARIABLE: "nowhere"})
    assert "local" in refused.value.hint


def test_nobody_else_names_a_launcher() -> None:
    """Outside of its room everybody asks the factory, so that a new launcher is found everywhere."""
    root = Path(__file__).parents[3]
    sources = [*root.glob("app/**/*.py"), *root.glob("engine/**/*.py")]
    naming = [path for path in sources if "LocalLauncher" in path.read_text() and path.parent.name != "launch"]
    assert naming == []


@pytest.mark.parametrize("variable", [OPTIONS, COMMAND_VARIABLE])
def test_a_quote_without_its_end_names_its_variable(tmp_path: Path, variable: str) -> None:
    """An exception that names nothing would stop the runner."""
    environ = {**os.environ, VARIABLE: "slurm" if variable == OPTIONS else "local", variable: "--comment='a b"}
    with pytest.raises(LaunchError, match=f"{variable}.*quotation"):
        make_launcher(environ).start(attempt(tmp_path / "a"), CPU, grace=1)


@pytest.mark.skipif(not warm.supported(), reason="processes are forked on Linux only")
def test_only_the_runner_keeps_a_worker_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Unless its workspace says otherwise; a file that cannot be read stops nothing."""
    file = tmp_path / "workspace.toml"
    for text, expected in (("", True), ("[runner]\nwarm = false\n", False), ("[runner]\nwarm = 3\n", True)):
        file.write_text(text)
        assert expected == bool(getattr(runner_launcher(tmp_path, {}), "warm", None))
    assert "warm = 3 must be true or false" in caplog.text
    assert getattr(make_launcher({}), "warm", None) is None
    assert isinstance(runner_launcher(tmp_path, {VARIABLE: "inline"}), InlineLauncher)
