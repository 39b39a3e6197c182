"""What both forms of optuna storages have in common: the words of a trial, as a record. It reads no file.

Numeric attributes of users become metrics, because that is where trainings put what they measured besides the
objectives. Attributes that our own export wrote (`bertdistill.…`) restore what optuna has no field for.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bertdistill.engine.contract.logged import Scalar
from bertdistill.engine.interchange.records import UNFINISHED, RunRecord, StudyRecord
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.store.rows import TrialState

OURS = "bertdistill."
NAMES = "study:metric_names"
WAITING = "waiting trials"
DIRECTIONS = ("NOT_SET", "MINIMIZE", "MAXIMIZE")
STATES = ("RUNNING", "COMPLETE", "PRUNED", "FAIL", "WAITING")
_STATES = {"COMPLETE": TrialState.COMPLETE, "PRUNED": TrialState.PRUNED, "FAIL": TrialState.FAILED}


@dataclass(frozen=True)
class OptunaStudy:
    """A study of a storage."""

    name: str
    directions: Sequence[str]
    attributes: Mapping[str, Any]
    """Of users and of the system."""

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the objectives."""
        names = self.attributes.get(NAMES)
        if isinstance(names, list) and len(names) == len(self.directions):
            return tuple(str(name) for name in names)
        return ("value",) if len(self.directions) == 1 else tuple(f"value_{i}" for i in range(len(self.directions)))

    @property
    def curve(self) -> str:
        """Name of the curve of intermediate values."""
        kept = self.attributes.get(f"{OURS}curve")
        return kept if isinstance(kept, str) and kept else self.values[0] if self.values else "value"

    def record(self) -> StudyRecord:
        note = self.attributes.get(f"{OURS}note")
        return StudyRecord(
            name=self.name,
            objectives=tuple(
                Objective(name, "maximize" if direction == "MAXIMIZE" else "minimize")
                for name, direction in zip(self.values, self.directions, strict=True)
            ),
            note=note if isinstance(note, str) else "",
        )


@dataclass
class OptunaTrial:
    """A trial as a storage has it."""

    number: int
    state: str
    started: datetime | None = None
    ended: datetime | None = None
    params: dict[str, Scalar] = field(default_factory=dict)
    values: list[float | None] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        return self.state in _STATES

    def record(self, study: OptunaStudy, left_out: Counter[str]) -> RunRecord:
        """The trial without its intermediate values."""
        ours = {name.removeprefix(OURS): v for name, v in self.attributes.items() if name.startswith(OURS)}
        others = {name: v for name, v in self.attributes.items() if not name.startswith(OURS)}
        metrics = {name: v for name, v in others.items() if type(v) in (int, float)}
        others = {name: v for name, v in others.items() if name not in metrics}
        scalars = {name: v for name, v in others.items() if v is None or isinstance(v, (str, bool))}
        left_out["attributes that are not a single value"] += len(others) - len(scalars)
        state = _state(ours.get("state"), self.state)
        reason = UNFINISHED if not self.finished else "" if state == TrialState.COMPLETE else "failed"
        if state == TrialState.PRUNED:
            reason = "pruned"
        return RunRecord(
            # Not the Unix time: that of a naive time depends on the time zone of the machine that imports it.
            key="\0".join([study.name, str(self.number), self.started.isoformat() if self.started else ""]),
            params=self.params,
            attributes=scalars,
            metrics={**metrics, **dict(zip(study.values, self.values, strict=False))},
            state=state,
            reason=str(ours.get("reason") or reason),
            detail=str(ours.get("detail") or ""),
            started_at=seconds(self.started),
            ended_at=seconds(self.ended),
            tags=tuple(str(tag) for tag in _list(ours.get("tags"))),
            note=str(ours.get("note") or ""),
        )


def _state(ours: Any, state: str) -> TrialState:
    """Our own word wins where optuna only has FAIL; a trial that has not ended is followed by no process."""
    if state not in _STATES:
        return TrialState.STOPPED
    known = [one for one in TrialState if one.value == ours and one not in (TrialState.RUNNING, TrialState.WAITING)]
    return known[0] if state == "FAIL" and known else _STATES[state]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def seconds(moment: datetime | None) -> float | None:
    """Unix time; without a time zone it is that of this machine, as optuna reads it."""
    return None if moment is None else moment.timestamp()


def external(distribution: str, value: float | None) -> Scalar:
    """The value of a parameter from the number that a storage holds, by its distribution in JSON."""
    kind = json.loads(distribution)
    name, attributes = str(kind["name"]), kind["attributes"]
    if value is None or not math.isfinite(value):
        return None
    if name.startswith("Categorical"):
        found = attributes["choices"][int(value)]
        return found if found is None or isinstance(found, (str, int, float, bool)) else json.dumps(found)
    return int(value) if name.startswith("Int") else float(value)
