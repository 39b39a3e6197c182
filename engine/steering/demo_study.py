"""The demo studies in a workspace: synthetic data, the shipped files with their paths, the start. It shows nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.study.study_spec import StudySpec


@dataclass(frozen=True)
class Demo:
    """One demo: its shipped study file, and the generator of its data."""

    file: str
    folder: str
    """Of its data, in the workspace."""
    names: Mapping[str, str]
    """The files in it, by dotted key of the study file."""
    write: Callable[[Path], object]

    def data_paths(self, workspace: Workspace) -> dict[str, str]:
        """Paths of the data files, by dotted key."""
        folder = workspace.path / self.folder
        return {key: str(folder / name) for key, name in self.names.items()}

    def write_data(self, workspace: Workspace) -> Path:
        """Generate the data, the same bytes each time, in about half a second; returns their folder."""
        workspace.make()
        folder = workspace.path / self.folder
        self.write(folder)
        return folder

    def has_data(self, workspace: Workspace) -> bool:
        """Whether the data have been generated."""
        return all(Path(path).is_file() for path in self.data_paths(workspace).values())

    def load(self, workspace: Workspace, changes: Sequence[str] = ()) -> StudySpec:
        """The study with its data written; ConfigError when a change is wrong."""
        from bertdistill.engine.study.config import load_study

        self.write_data(workspace)
        paths = [f"{key}={path}" for key, path in self.data_paths(workspace).items()]
        with as_file(files("bertdistill.sample_configs") / self.file) as file:
            return load_study(file, [*paths, *changes])


def _write_questions(folder: Path) -> None:
    from bertdistill.engine.demo.questions import write_demo

    write_demo(folder)


def _write_reviews(folder: Path) -> None:
    from bertdistill.engine.demo.reviews import write_reviews

    write_reviews(folder)


QUESTIONS = Demo("demo.toml", "demo-data", {"data.train": "train.json", "data.report": "report.json"}, _write_questions)
REVIEWS = Demo(
    "demo-classify.toml",
    "demo-reviews",
    {
        "data.train": "train.tsv",
        "data.report": "report.tsv",
        "teacher.outputs": "teacher.jsonl",
        "transfer.0.path": "unlabelled.txt",
    },
    _write_reviews,
)
DEMOS = {demo.file: demo for demo in (QUESTIONS, REVIEWS)}
"""By the name of the shipped file."""


def start_demo(workspace: Workspace, who: str) -> str:
    """Start the first demo with a runner of its own, or resume it; returns the name of the study."""
    from bertdistill.engine.steering import actions

    study = actions.start_study(workspace, QUESTIONS.load(workspace), who=who)
    actions.ensure_runner(workspace)
    return study.name
