"""The layout of a workspace, and which names may become part of a path.

It creates folders but opens no files. A name from a user or a file becomes part of a path only through `checked`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.names import name_problem
from bertdistill.store.db import DATABASE_NAME
from bertdistill.store.ownership import refuse_exposed

VARIABLE = "BERTDISTILL_WORKSPACE"
DEFAULT = Path("bertdistill-runs")


def checked(name: str, what: str = "name") -> str:
    """`name` if it may be part of a path; ConfigError otherwise."""
    if problem := name_problem(name):
        raise ConfigError(f"the {what} {name!r} {problem}")
    return name


@dataclass(frozen=True)
class Workspace:
    """The one folder that holds everything. `path` is absolute."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / DATABASE_NAME

    @property
    def runner_lock(self) -> Path:
        return self.path / "runner.lock"

    @property
    def runner_log(self) -> Path:
        return self.path / "runner.log"

    @property
    def caches(self) -> Path:
        return self.path / "caches"

    @property
    def bin(self) -> Path:
        """Where deleted folders are kept until they expire."""
        return self.path / "bin"

    def attempt_folder(self, study: str, trial_number: int | None, number: int, kind: str) -> Path:
        """Folder of attempt `number` of a trial or, without a trial, of the study's preparation."""
        stem = f"{trial_number:04d}" if trial_number is not None else checked(kind, "attempt kind")
        return self._inside(Path("runs") / checked(study, "study name") / f"{stem}-{int(number)}")

    def promotion_folder(self, study: str, model: str, version: int) -> Path:
        """Folder of the attempt that verifies a model version."""
        stem = f"promote-{checked(model, 'model name')}-{int(version)}"
        return self._inside(Path("runs") / checked(study, "study name") / stem)

    def models_folder(self, name: str, version: int) -> Path:
        """Where a model version is exported to."""
        return self._inside(Path("models") / checked(name, "model name") / f"v{int(version)}")

    def relative(self, path: Path) -> str:
        """`path` as stored in the database; ConfigError if it is outside the workspace."""
        return self._inside(path).relative_to(self.path.resolve()).as_posix()

    def absolute(self, text: str) -> Path:
        """The absolute path for one stored in the database; ConfigError if it is outside the workspace."""
        return self._inside(Path(text))

    def run_folder(self, text: str) -> Path:
        """The folder of an attempt by its path in the database. Links are not followed: a worker may have made them."""
        path = Path(text)
        if path.is_absolute() or ".." in path.parts:
            raise ConfigError(f"{text} is outside the workspace {self.path}", hint="The database was altered.")
        return self.path.resolve() / path

    def cached(self, recorded: str, kind: str) -> Path | None:
        """A folder by its recorded path, or by its name in `caches/<kind>` if the workspace was moved, else None."""
        places = (Path(recorded), self.caches / kind / Path(recorded).name)
        return next((one for one in places if one.is_dir()), None)

    def make(self) -> None:
        """Create the workspace folder, accessible to this user only; StoreError if every user can write to it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_exposed(self.path, self.database)

    def _inside(self, path: Path) -> Path:
        root = self.path.resolve()
        try:
            resolved = (root / path).resolve()
        except ValueError as error:
            raise ConfigError(
                f"{str(path)!r} is not a valid path: {error}", hint="The database was altered."
            ) from error
        if not resolved.is_relative_to(root):
            hint = "Remove the link, or move its target into the workspace."
            raise ConfigError(f"{path} is outside the workspace {root}", hint=hint)
        return resolved


def resolve_workspace(option: Path | None, environ: Mapping[str, str]) -> Workspace:
    """The workspace of a command: its option, else BERTDISTILL_WORKSPACE, else ./bertdistill-runs.

    Also sets the umask of this process, so that all files created later are accessible to this user only.
    """
    os.umask(0o077)
    chosen = option or Path(environ.get(VARIABLE) or DEFAULT)
    return Workspace(chosen.expanduser().resolve())
