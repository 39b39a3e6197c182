"""What both forms of MLflow stores have in common: the words of a run, as a record. It reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bertdistill.engine.interchange.readers.reader import parameter
from bertdistill.engine.interchange.records import UNFINISHED, RunRecord
from bertdistill.store.rows import TrialState

NOTE, NAME = "mlflow.note.content", "mlflow.runName"
DELETED = "deleted runs"
STATUSES = ("", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
"""By their number in files."""
_ENDS = {
    "FINISHED": (TrialState.COMPLETE, ""),
    "FAILED": (TrialState.FAILED, "failed"),
    "KILLED": (TrialState.STOPPED, "killed"),
}


@dataclass(frozen=True)
class MlflowRun:
    """A run as a store has it; times in milliseconds."""

    run_id: str
    name: str
    status: str
    started_at: int | None
    ended_at: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def finished(self) -> bool:
        return self.status in _ENDS

    def record(self) -> RunRecord:
        """The run without its metrics: the newest value of each is its last point."""
        state, reason = _ENDS.get(self.status, (TrialState.STOPPED, UNFINISHED))
        return RunRecord(
            key=self.run_id,
            name=self.name or self.tags.get(NAME, ""),
            params={name: parameter(text) for name, text in self.params.items()},
            attributes={name: text for name, text in self.tags.items() if name not in (NOTE, NAME)},
            state=state,
            reason=reason,
            started_at=None if self.started_at is None else self.started_at / 1000,
            ended_at=self.ended_at / 1000 if self.ended_at and self.finished else None,
            note=self.tags.get(NOTE, ""),
        )
