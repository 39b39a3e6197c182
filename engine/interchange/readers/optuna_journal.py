"""Optuna's journal files (`JournalFileBackend`): one operation a line, replayed as optuna does
(optuna/storages/journal/_storage.py). A last line without its end is still being written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from bertdistill.engine.interchange.readers.optuna_trials import (
    DIRECTIONS,
    STATES,
    WAITING,
    OptunaStudy,
    OptunaTrial,
    external,
)
from bertdistill.engine.interchange.readers.reader import MALFORMED, Columns, Marks, Part
from bertdistill.engine.interchange.records import Curve, StudyRecord
from bertdistill.store.errors import ForeignError


def fits(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b'"op_code"' in file.readline(4096)
    except OSError:
        return False


@contextmanager
def reader(path: Path, columns: Columns) -> Iterator[OptunaJournal]:
    journal = OptunaJournal()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                journal.apply(json.loads(line))
            except MALFORMED as error:
                hint = f"Remove the line (it has {len(line)} bytes) from a copy of the file and import the copy."
                raise ForeignError(f"{path}: line {number} is not an operation of optuna", hint=hint) from error
    yield journal


@dataclass
class _Trial:
    trial: OptunaTrial
    steps: dict[int, float | None] = field(default_factory=dict)


@dataclass
class _Study:
    name: str
    directions: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    trials: list[_Trial] = field(default_factory=list)


class OptunaJournal:
    """See `Reader`. All of it is in memory, as it is in every process that optimises with it."""

    def __init__(self) -> None:
        self._studies: dict[int, _Study] = {}
        self._trials: list[_Trial] = []
        self._created = 0
        self._remarks: Counter[str] = Counter()

    def studies(self) -> list[StudyRecord]:
        return [_as_optuna(one).record() for one in self._studies.values() if one.trials]

    def remarks(self) -> Mapping[str, int]:
        return self._remarks

    def problems(self) -> Sequence[ForeignError]:
        return ()

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        found = next(one for one in self._studies.values() if one.name == study)
        known = _as_optuna(found)
        for one in found.trials:
            if one.trial.state == "WAITING":
                self._remarks[WAITING] += 1
                continue
            left_out: Counter[str] = Counter()
            run = one.trial.record(known, left_out)
            mark = marks(run.key)
            if mark.get("finished"):
                continue
            steps = list(one.steps)[int(mark.get("values", 0)) :]
            values, times = [one.steps[step] for step in steps], [run.started_at or 0.0] * len(steps)
            curves = [Curve(known.curve, steps, values, times)] if steps else []
            yield Part(run, {"values": len(one.steps), "finished": one.trial.finished}, curves, left_out)

    # ------------------------------------------------------------------------------------------------------ operations

    def apply(self, entry: Mapping[str, Any]) -> None:
        """Replay one line; operations on what does not exist (any more) do nothing, as in optuna."""
        operation = int(entry["op_code"])
        if operation == 0:
            self._create_study(entry)
        elif operation == 1:
            self._studies.pop(entry["study_id"], None)
        elif operation in (2, 3):
            if (study := self._studies.get(entry["study_id"])) is not None:
                study.attributes |= entry["user_attr" if operation == 2 else "system_attr"]
        elif operation == 4:
            self._create_trial(entry)
        elif operation in (5, 6, 7, 8):
            if 0 <= (number := entry["trial_id"]) < len(self._trials) and not self._trials[number].trial.finished:
                self._change(operation, self._trials[number], entry)
        elif operation not in (9, 10):
            raise ValueError(operation)

    def _create_study(self, entry: Mapping[str, Any]) -> None:
        if all(one.name != entry["study_name"] for one in self._studies.values()):
            self._studies[self._created] = _Study(
                str(entry["study_name"]), [DIRECTIONS[int(one)] for one in entry["directions"]]
            )
            self._created += 1

    def _create_trial(self, entry: Mapping[str, Any]) -> None:
        study = self._studies.get(entry["study_id"])
        if study is None:
            return
        kinds = entry.get("distributions", {})
        trial = OptunaTrial(
            len(study.trials),
            STATES[int(entry.get("state", 0))],
            _moment(entry.get("datetime_start")),
            _moment(entry.get("datetime_complete")),
            {name: external(kinds[name], value) for name, value in entry.get("params", {}).items()},
            _values(entry),
            dict(entry.get("user_attrs", {})),
        )
        steps = {int(step): value for step, value in entry.get("intermediate_values", {}).items()}
        study.trials.append(_Trial(trial, steps))
        self._trials.append(study.trials[-1])

    def _change(self, operation: int, one: _Trial, entry: Mapping[str, Any]) -> None:
        if operation == 5:
            one.trial.params[str(entry["param_name"])] = external(entry["distribution"], entry["param_value_internal"])
        elif operation == 6:
            one.trial.state = STATES[int(entry["state"])]
            one.trial.started = _moment(entry.get("datetime_start")) or one.trial.started
            one.trial.ended = _moment(entry.get("datetime_complete")) or one.trial.ended
            one.trial.values = _values(entry) or one.trial.values
        elif operation == 7:
            one.steps[int(entry["step"])] = entry["intermediate_value"]
        else:
            one.trial.attributes |= entry["user_attr"]


def _as_optuna(study: _Study) -> OptunaStudy:
    return OptunaStudy(study.name, study.directions, study.attributes)


def _values(entry: Mapping[str, Any]) -> list[float | None]:
    values = entry.get("values")
    return list(values) if values is not None else [entry["value"]] if entry.get("value") is not None else []


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
