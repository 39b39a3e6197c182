"""The demo study in a workspace: its synthetic data, the shipped file with its paths, the start. It shows nothing."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.study.study_spec import StudySpec

FOLDER = "demo-data"


def data_paths(workspace: Workspace) -> dict[str, str]:
    """Paths of the demo's data files, by dotted key."""
    folder = workspace.path / FOLDER
    return {"data.train": str(folder / "train.json"), "data.report": str(folder / "report.json")}


def write_data(workspace: Workspace) -> Path:
    """Generate the data, the same bytes each time, in about half a second; returns their folder."""
    from bertdistill.engine.demo.questions import write_demo

    workspace.make()
    return write_demo(workspace.path / FOLDER).train.parent


def has_data(workspace: Workspace) -> bool:
    """Whether the data have been generated."""
    return all(Path(path).is_file() for path in data_paths(workspace).values())


def load_demo(workspace: Workspace, changes: Sequence[str] = ()) -> StudySpec:
    """The demo study with its data written; ConfigError when a change is wrong."""
    from bertdistill.engine.study.config import load_study

    write_data(workspace)
    paths = [f"{key}={path}" for key, path in data_paths(workspace).items()]
    with as_file(files("bertdistill.sample_configs") / "demo.toml") as file:
        return load_study(file, [*paths, *changes])


def start_demo(workspace: Workspace, who: str) -> str:
    """Start the demo with a runner of its own, or resume it; returns the name of the study."""
    from bertdistill.engine.steering import actions

    study = actions.start_study(workspace, load_demo(workspace), who=who)
    actions.ensure_runner(workspace)
    return study.name
