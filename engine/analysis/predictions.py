"""A trial's predictions on the validation split next to the gold answers: the input of the error analysis.

The worker stores the predictions of its best checkpoint in that checkpoint's folder. The gold answers are reread
from the study's data in a child process, because only workers read datasets. It writes nothing and judges nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.analysis.error_analysis import Classified, Question
from bertdistill.engine.analysis.passages import excerpt
from bertdistill.engine.contract.errors import ActionRefused, WorkerFailed
from bertdistill.engine.contract.folder import PREDICTIONS, STARTS
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.db import Reading, open_db
from bertdistill.store.rows import Attempt, Checkpoint, Trial

GOLDS_MODULE = "bertdistill.engine.distill.data.golds"
LARGEST_BYTES = 256_000_000
"""A larger prediction file was not written by a worker: a million questions take a tenth of it."""


@dataclass(frozen=True)
class Predictions:
    """The whole validation split in order: questions, or texts with their class names."""

    task: str
    step: int
    """Optimiser step of the checkpoint that made the predictions."""
    questions: tuple[Question, ...] = ()
    texts: tuple[Classified, ...] = ()
    labels: tuple[str, ...] = ()


def read_predictions(workspace: Workspace, study: str, number: int) -> Predictions:
    """The predictions of a trial's best checkpoint; takes seconds for a large dataset.

    Raises NotFound without such a trial, ActionRefused if its predictions do not exist (never evaluated, or removed
    with their checkpoint), WorkerFailed if the original data cannot be read.
    """
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            trial = reads.trial(session, reads.study(session, study).id, number)
            checkpoint = best_of(session, trial, f"{study}/{number}")
            attempt = reads.attempt_by_id(session, checkpoint.attempt_id)
    finally:
        db.close()
    texts, starts = _answers(workspace, checkpoint, f"{study}/{number}")
    return joined(_golds(workspace, attempt), texts, checkpoint.step, starts)


def read_each(workspace: Workspace, study: str, numbers: Sequence[int]) -> dict[int, Predictions]:
    """The same of several trials of one study, whose data is read once. Trials without predictions are left out.

    Raises NotFound without such a trial, WorkerFailed if the original data cannot be read.
    """
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            study_id = reads.study(session, study).id
            trials = {number: reads.trial(session, study_id, number) for number in numbers}
            bests = {number: reads.best_checkpoint(session, trial.id) for number, trial in trials.items()}
            attempts = [reads.attempt_by_id(session, one.attempt_id) for one in bests.values() if one is not None]
    finally:
        db.close()
    golds = _golds(workspace, attempts[0]) if attempts else {}
    found: dict[int, Predictions] = {}
    for number, checkpoint in bests.items():
        if checkpoint is not None:
            with suppress(ActionRefused):
                texts, starts = _answers(workspace, checkpoint, f"{study}/{number}")
                found[number] = joined(golds, texts, checkpoint.step, starts)
    return found


def _answers(workspace: Workspace, checkpoint: Checkpoint, name: str) -> tuple[dict[str, str], dict[str, Any]]:
    """What a checkpoint predicted, and where its answers begin."""
    folder = workspace.absolute(checkpoint.folder)
    texts = {key: str(text) for key, text in _read_json(folder / PREDICTIONS, name).items()}
    # Checkpoints of older versions have no answer offsets.
    return texts, _read_json(folder / STARTS, name) if (folder / STARTS).exists() else {}


def best_of(session: Reading, trial: Trial, name: str) -> Checkpoint:
    """The best checkpoint on disk; ActionRefused if there is none. `name` is that of the trial, for messages."""
    found = reads.best_checkpoint(session, trial.id)
    if found is not None:
        return found
    bests = [one for one in reads.checkpoints(session, trial_id=trial.id, dropped=True) if one.role == "best"]
    if bests:
        raise ActionRefused(
            f"the best checkpoint of {name} was removed, and its predictions with it",
            hint="Frontier trials and the baseline keep theirs. Rerun the trial with another seed to get new ones.",
        )
    raise ActionRefused(
        f"{name} is {trial.state.value} and was never evaluated, so it has no predictions",
        hint="They are written at the first evaluation on the validation split.",
    )


def _read_json(path: Path, name: str) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ActionRefused(f"{path} has {path.stat().st_size:,} bytes; this is not a prediction file of a worker")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ActionRefused(
            f"the predictions of {name} cannot be read: {error}",
            hint="If it is running, a better checkpoint may just have replaced them: try again, else rerun it.",
        ) from error
    if not isinstance(raw, dict):
        raise ActionRefused(f"{path} is not a JSON object of predictions", hint="Rerun the trial.")
    return raw


def _golds(workspace: Workspace, attempt: Attempt) -> dict[str, Any]:
    folder = workspace.absolute(attempt.folder)
    command = [sys.executable, "-P", "-m", GOLDS_MODULE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise WorkerFailed(lines[-1] if lines else f"{folder}: its validation split could not be read")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def joined(
    golds: Mapping[str, Any], texts: Mapping[str, str], step: int, starts: Mapping[str, int] | None = None
) -> Predictions:
    """Golds and predictions of the same examples; ActionRefused when an example has no prediction.

    `starts` maps answered questions to the character offset of their answer in the passage.
    """
    missing = [row["id"] for row in golds["rows"] if row["id"] not in texts]
    if missing:
        raise ActionRefused(
            f"{len(missing)} of {len(golds['rows'])} examples have no prediction, for example {missing[0]!r}",
            hint="The study's data has changed since. Restore it.",
        )
    if TASKS[golds["task"]].spans:
        questions = [_question(row, texts[row["id"]], (starts or {}).get(row["id"])) for row in golds["rows"]]
        return Predictions(golds["task"], step, questions=tuple(questions))
    rows = [Classified(row["id"], row["text"], row["label"], texts[row["id"]]) for row in golds["rows"]]
    return Predictions(golds["task"], step, texts=tuple(rows), labels=tuple(golds["labels"]))


def _question(row: Mapping[str, Any], prediction: str, start: int | None) -> Question:
    golds = tuple(row["golds"])
    marks = list(zip(row["starts"], golds, strict=True))
    passage = excerpt(row["passage"], marks, prediction, start if isinstance(start, int) else None)
    return Question(row["id"], row["article"], row["question"], golds, prediction, passage)
