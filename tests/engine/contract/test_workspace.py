"""Paths and names."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.workspace import Workspace, checked, resolve_workspace

HOSTILE = [
    "",
    ".",
    "..",
    "../up",
    "a/b",
    "/etc",
    "a\n",
    "a b",
    "-rf",
    ".hidden",
    "a\x00b",
    "nul",
    "CON.txt",
    "é",
    "a" * 65,
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "ws")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(workspace: Workspace, name: str) -> None:
    """No such name becomes part of a path, wherever it comes in."""
    for use in (
        lambda: checked(name),
        lambda: workspace.attempt_folder(name, 1, 1, "trial"),
        lambda: workspace.promotion_folder("s", name, 1),
        lambda: workspace.models_folder(name, 1),
    ):
        with pytest.raises(ConfigError):
            use()


def test_folders_are_where_the_docs_say(workspace: Workspace) -> None:
    """The layout of `docs/architecture.md`."""
    root = workspace.path
    assert root / "runs/s.1/0007-2" == workspace.attempt_folder("s.1", 7, 2, "trial")
    assert root / "runs/s.1/prepare-1" == workspace.attempt_folder("s.1", None, 1, "prepare")
    assert root / "runs/s.1/promote-m-3" == workspace.promotion_folder("s.1", "m", 3)
    assert root / "models/m/v3" == workspace.models_folder("m", 3)
    assert [root / "tracker.db", root / "runner.lock"] == [workspace.database, workspace.runner_lock]


def test_relative_and_absolute_are_inverse(workspace: Workspace) -> None:
    """The database keeps paths that survive a move of the workspace."""
    folder = workspace.attempt_folder("s", 7, 2, "trial")
    assert workspace.relative(folder) == "runs/s/0007-2"
    assert folder == workspace.absolute("runs/s/0007-2")


@pytest.mark.parametrize("path", ["../other", "/etc/passwd", "runs/../../other"])
def test_paths_outside_are_refused(workspace: Workspace, path: str) -> None:
    """A row that points elsewhere is never followed."""
    with pytest.raises(ConfigError, match="is outside the workspace"):
        workspace.absolute(path)


def test_a_link_that_leads_out_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    """Also when the link lies inside."""
    (workspace.path / "runs").mkdir(parents=True)
    (workspace.path / "runs" / "s").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="is outside the workspace"):
        workspace.attempt_folder("s", 1, 1, "trial")


def test_option_then_variable_then_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nearest wish wins; what is made afterwards is private."""
    monkeypatch.chdir(tmp_path)
    before = os.umask(0o022)
    try:
        named = {"BERTDISTILL_WORKSPACE": str(tmp_path / "named")}
        assert tmp_path / "given" == resolve_workspace(tmp_path / "given", named).path
        assert tmp_path / "named" == resolve_workspace(None, named).path
        chosen = resolve_workspace(None, {})
        assert tmp_path / "bertdistill-runs" == chosen.path
        chosen.make()
        (chosen.path / "file").touch()
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (chosen.path, chosen.path / "file")]
        assert [0o700, 0o600] == modes
    finally:
        os.umask(before)
