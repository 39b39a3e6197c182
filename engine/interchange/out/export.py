"""Writes a study in one of the forms: the whole of an export, from the name of a study to the file in its place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange.out.forms import FORMS
from bertdistill.engine.interchange.out.outgoing import Losses, read_outgoing
from bertdistill.engine.interchange.out.target import new_target
from bertdistill.store.db import open_db

EVERY_SECONDS = 2.0
"""Between two reports of progress."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    trials: int
    points: int
    """Read for it; a form may hold fewer."""
    seconds: float
    losses: list[str]
    """What the form cannot represent, each with its count."""


@dataclass
class _Progress:
    """Counts points and reports now and then."""

    say: Callable[[str], None]
    clock: Callable[[], float]
    points: int = 0
    total: int = 0
    _said: float = 0.0

    def __post_init__(self) -> None:
        self._said = self.clock()

    def passed(self, count: int) -> None:
        self.points += count
        if self.clock() - self._said >= EVERY_SECONDS:
            self._said = self.clock()
            total = f" of {max(self.total, self.points):,}" if self.total else ""
            self.say(f"exporting: {self.points:,}{total} points")


def export_study(
    workspace: Workspace,
    name: str,
    form: str,
    path: Path,
    *,
    force: bool = False,
    say: Callable[[str], None] = lambda text: None,
    clock: Callable[[], float] = time.monotonic,
) -> Exported:
    """Write the study of that name to `path` in one of FORMS. Reads the workspace only, also while its studies run.

    Raises NotFound without such a study and InvalidRequest for a path that may not be written or a missing package.
    """
    chosen = FORMS[form]
    chosen.check()
    began, losses, progress = clock(), Losses(), _Progress(say, clock)
    db = open_db(workspace.path, read_only=True)
    try:
        out = read_outgoing(db, name, progress.passed)
        progress.total = out.points if chosen.whole else 0
        with new_target(path, folder=chosen.folder, force=force, workspace=workspace.path) as target:
            chosen.write(out, target, losses)
    finally:
        db.close()
    return Exported(path, len(out.trials), progress.points, clock() - began, losses.lines())
