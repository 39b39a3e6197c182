"""The curve of a pre-training: reported while it is made, and again by every trial that starts from its result.

Its steps are its own. It trains nothing.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.events import CHECKPOINT, EventWriter

NAME = "curve.jsonl"
SERIES = {
    "train/loss": "train/mlm",
    "search/mlm": "train/mlm_held_out",
    "train/learning_rate": "train/mlm_learning_rate",
}
"""What the training loop reports, and the series that it becomes."""


class Curve:
    """Where the training loop reports to. Its checkpoints belong to a cache, and to no trial.

    What an interrupted training reported before is reported again.
    """

    def __init__(self, folder: Path, events: EventWriter) -> None:
        self._path, self._events = folder / NAME, events
        if self._path.exists():
            replay(folder, events)
            if self._path.read_bytes()[-1:] not in (b"", b"\n"):
                with self._path.open("a", encoding="utf-8") as file:  # a kill cut its last line off
                    file.write("\n")

    def emit(self, kind: str, **fields: Any) -> None:
        """Append an event that is not about a checkpoint."""
        if kind != CHECKPOINT:
            self._events.emit(kind, **fields)

    def metrics(self, step: int, values: dict[str, float]) -> None:
        """Append the values of one step under their names here."""
        named = {SERIES[name]: value for name, value in values.items() if name in SERIES}
        if named:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps([step, named])}\n")
            self._events.metrics(step, named)

    def keep(self, folder: Path) -> None:
        """Copy it into a folder."""
        shutil.copyfile(self._path, folder / NAME)


def replay(folder: Path, events: EventWriter) -> None:
    """Report a curve that was kept. Of a step that was reported twice, the later values count."""
    for line in (folder / NAME).read_text(encoding="utf-8").splitlines():
        try:
            step, values = json.loads(line)
        except ValueError:  # cut off by a kill; a resumed training has reported the step again
            continue
        events.metrics(step, values)
