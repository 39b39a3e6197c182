"""A study as a folder for TensorBoard: a run a trial with its curves, and a page of parameters and metrics (hparams).

It needs no package of TensorBoard: the event files are written in their public form, see `tensorboard_records`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bertdistill.engine.interchange.out import tensorboard_records as records
from bertdistill.engine.interchange.out.distributions import Scalar, scalar
from bertdistill.engine.interchange.out.outgoing import PREPARATION, Losses, Outgoing, all_metrics
from bertdistill.engine.interchange.out.tables import write_page
from bertdistill.store.rows import Trial, TrialState

VERSION = "brain.Event:2"
FINAL = "final/"
"""Prefix of the tags of final metrics, so that no curve has the same."""
_TEXT, _TRUTH, _NUMBER = 1, 2, 3
_STATUS = {TrialState.COMPLETE: 1, TrialState.PRUNED: 1, TrialState.RUNNING: 3, TrialState.WAITING: 0}
"""Statuses of a session; any other state is a failure (2)."""


def write(out: Outgoing, folder: Path, losses: Losses) -> None:
    """Write the runs into a new folder. Names of folders are numbers of trials; no name of the study is a path."""
    folder.mkdir()
    write_page(out, folder)
    params = {one.number: _params(one, losses) for one in out.trials}
    kinds = _kinds(params.values())
    metrics = {FINAL + name: name for one in out.trials for name in all_metrics(one)}
    page = records.parameters_page(records.experiment(out.study.name, kinds, metrics), "experiment")
    created = out.study.created_at
    (folder / _file_name(out, "", created)).write_bytes(
        _head(created) + records.record(records.event(created, summary=page))
    )
    if out.series.get(PREPARATION):
        _write_run(out, folder / "preparation", created, b"", PREPARATION, b"")
    for trial in out.trials:
        started = trial.started_at or trial.created_at
        told = {name: value if kinds[name] != _TEXT else str(value) for name, value in params[trial.number].items()}
        start = _page(records.session_start(told, started), "session_start_info", started)
        _write_run(out, folder / f"trial-{trial.number:04d}", started, start, trial.id, _end(trial, losses))
    _count(out, losses)


def _params(trial: Trial, losses: Losses) -> dict[str, str | float | bool]:
    """Without those that are None: the page has no such value."""
    found: Mapping[str, Scalar] = {name: scalar(value) for name, value in trial.params.items()}
    changed = sum(found[name] is not value for name, value in trial.params.items())
    losses.add("parameter values that TensorBoard cannot hold, written as text", changed)
    return {name: value for name, value in found.items() if value is not None}


def _kinds(params: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """One kind for each parameter: text where its values are of several."""
    found: dict[str, set[int]] = {}
    for one in params:
        for name, value in one.items():
            kind = _TRUTH if isinstance(value, bool) else _TEXT if isinstance(value, str) else _NUMBER
            found.setdefault(name, set()).add(kind)
    return {name: kinds.pop() if len(kinds) == 1 else _TEXT for name, kinds in found.items()}


def _write_run(out: Outgoing, folder: Path, started: float, start: bytes, trial_id: int, end: bytes) -> None:
    folder.mkdir()
    with (folder / _file_name(out, folder.name, started)).open("wb") as file:
        file.write(_head(started) + start)
        for piece in out.curves(trial_id):
            file.write(records.curve(piece.name, piece.steps, piece.values, piece.times))
        file.write(end)


def _file_name(out: Outgoing, run: str, time: float) -> str:
    """As TensorBoard wants it to begin; no two runs of any two studies have the same, as some readers go by it."""
    study = hashlib.blake2b(f"{out.study.name}/{out.study.created_at}".encode(), digest_size=4).hexdigest()
    return ".".join(filter(None, ["events.out.tfevents", str(int(time)), "bertdistill", study, run]))


def _head(time: float) -> bytes:
    return records.record(records.event(time, version=VERSION))


def _page(content: bytes, tag: str, time: float) -> bytes:
    return records.record(records.event(time, summary=records.parameters_page(content, tag)))


def _end(trial: Trial, losses: Losses) -> bytes:
    """The final metrics, and how the trial ended."""
    ended = trial.finished_at or trial.started_at or trial.created_at
    final = b"".join(records.curve(FINAL + name, [0], [value], [ended]) for name, value in all_metrics(trial).items())
    status = _STATUS.get(trial.state, 2)
    return final + _page(records.session_end(status, ended), "session_end_info", ended)


def _count(out: Outgoing, losses: Losses) -> None:
    losses.add("values rounded to 32 bits, as TensorBoard stores them", out.points)
    noted = sum(bool(trial.tags or trial.note) for trial in out.trials)
    losses.add("trials with tags or notes, which TensorBoard does not have", noted)
    ended = sum(trial.state not in _STATUS for trial in out.trials)
    losses.add("trials infeasible, failed or stopped, all of which are a failure in TensorBoard", ended)
