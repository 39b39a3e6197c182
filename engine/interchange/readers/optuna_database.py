"""Optuna storages in SQLite (`sqlite:///study.db`), schema of optuna 3 to 5 (optuna/storages/_rdb/models.py).

A finished trial never changes, so it is read once; of one that runs, intermediate values are read by their row number.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bertdistill.engine.interchange.readers.optuna_trials import WAITING, OptunaStudy, OptunaTrial, external
from bertdistill.engine.interchange.readers.reader import MALFORMED, Columns, Marks, Part
from bertdistill.engine.interchange.records import Curve, StudyRecord
from bertdistill.store.errors import ForeignError
from bertdistill.store.foreign_reading import ForeignDatabase, is_sqlite, open_foreign

TRIALS_AT_ONCE = 200
_STUDIES = "SELECT study_id, study_name FROM studies WHERE study_id IN (SELECT study_id FROM trials)"
_WITHIN = "trial_id IN (SELECT trial_id FROM trials WHERE study_id = ?1 AND trial_id > ?2 AND trial_id <= ?3)"


def fits(path: Path) -> bool:
    return is_sqlite(path) and _is_optuna(path)


def _is_optuna(path: Path) -> bool:
    try:
        with open_foreign(path) as database:
            return bool(database.columns("studies")) and bool(database.columns("trial_params"))
    except ForeignError:
        return False


@contextmanager
def reader(path: Path, columns: Columns) -> Iterator[OptunaDatabase]:
    with open_foreign(path) as database:
        yield OptunaDatabase(database)


class OptunaDatabase:
    """See `Reader`."""

    def __init__(self, database: ForeignDatabase) -> None:
        self._database = database
        self._remarks: Counter[str] = Counter()
        self._studies = {name: study_id for study_id, name in database.rows(_STUDIES)}

    def studies(self) -> list[StudyRecord]:
        return [self._study(name).record() for name in self._studies]

    def remarks(self) -> Mapping[str, int]:
        return self._remarks

    def problems(self) -> Sequence[ForeignError]:
        return ()

    def parts(self, study: str, marks: Marks) -> Iterator[Part]:
        found, study_id, last = self._study(study), self._studies[study], -1
        query = "SELECT trial_id FROM trials WHERE study_id = ? AND trial_id > ? ORDER BY trial_id LIMIT ?"
        while ids := [one for (one,) in self._database.rows(query, study_id, last, TRIALS_AT_ONCE)]:
            yield from self._some(found, (study_id, last, ids[-1]), marks)
            last = ids[-1]

    def _study(self, name: str) -> OptunaStudy:
        directions = self._database.rows(
            "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", self._studies[name]
        )
        attributes = self._database.rows(
            "SELECT key, value_json FROM study_user_attributes WHERE study_id = ?1"
            " UNION ALL SELECT key, value_json FROM study_system_attributes WHERE study_id = ?1",
            self._studies[name],
        )
        return OptunaStudy(name, [one for (one,) in directions], {key: _json(text) for key, text in attributes})

    def _some(self, study: OptunaStudy, span: tuple[int, int, int], marks: Marks) -> Iterator[Part]:
        """The next trials. What they consist of is asked for after their states: a finished one is then whole."""
        trials: dict[int, OptunaTrial] = {}
        query = "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE "
        for trial_id, number, state, started, ended in self._database.rows(query + _WITHIN, *span):
            trials[trial_id] = OptunaTrial(number, state, _moment(started), _moment(ended))
        for trial_id, name, value, kind in self._database.rows(
            f"SELECT trial_id, param_name, param_value, distribution_json FROM trial_params WHERE {_WITHIN}", *span
        ):
            try:
                trials[trial_id].params[name] = external(kind, value)
            except MALFORMED as error:
                where = f"{self._database.path}: trial {trials[trial_id].number} of study {study.name}"
                hint = "Delete that trial in a copy of the file and import the copy."
                raise ForeignError(
                    f"{where}: the value of {name!r} does not fit its distribution", hint=hint
                ) from error
        for trial_id, value in self._database.rows(
            f"SELECT trial_id, value FROM trial_values WHERE {_WITHIN} ORDER BY objective", *span
        ):
            trials[trial_id].values.append(value)
        for trial_id, name, text in self._database.rows(
            f"SELECT trial_id, key, value_json FROM trial_user_attributes WHERE {_WITHIN}", *span
        ):
            trials[trial_id].attributes[name] = _json(text)
        for trial_id, trial in sorted(trials.items()):
            if trial.state == "WAITING":
                self._remarks[WAITING] += 1
            else:
                yield from self._part(study, trial_id, trial, marks)

    def _part(self, study: OptunaStudy, trial_id: int, trial: OptunaTrial, marks: Marks) -> Iterator[Part]:
        left_out: Counter[str] = Counter()
        run = trial.record(study, left_out)
        mark = marks(run.key)
        if mark.get("finished"):
            return
        rows = self._database.rows(
            "SELECT trial_intermediate_value_id, step, intermediate_value FROM trial_intermediate_values"
            " WHERE trial_id = ? AND trial_intermediate_value_id > ? ORDER BY step",
            trial_id,
            int(mark.get("value", -1)),
        )
        newest = max((row for row, _, _ in rows), default=mark.get("value", -1))
        curves = []
        if rows:
            times = [run.started_at or 0.0] * len(rows)
            curves = [Curve(study.curve, [step for _, step, _ in rows], [value for *_, value in rows], times)]
        yield Part(run, {"value": newest, "finished": trial.finished}, curves, left_out)


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None


def _json(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text
