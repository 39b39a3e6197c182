"""Analyses that need a process of their own: importances, because the app must not load optuna; what a trial answered
and the intervals of ladder and survey, because only workers read data sets; word order, because only they run models.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bertdistill.app.views.ladder import read_row
from bertdistill.app.views.survey import read_row as read_survey_row
from bertdistill.engine.analysis.error_analysis import Classified, Question
from bertdistill.engine.analysis.ladder import Ladder
from bertdistill.engine.analysis.passages import Passage
from bertdistill.engine.analysis.predictions import Predictions
from bertdistill.engine.analysis.survey import Survey
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.search.importances import Importances, Method
from bertdistill.engine.search.outlook import Outlook
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.word_order import Shuffling, WordOrder

PYTHON = (sys.executable, "-P", "-m")
IMPORTANCES = "bertdistill.engine.search.importances"
OUTLOOK = "bertdistill.engine.search.outlook"
COMMANDS = "bertdistill.engine"


async def ask_importances(
    workspace: Workspace, study: str, method: Method, program: Sequence[str] = ()
) -> list[Importances]:
    """The importance of every parameter for every objective; takes seconds.

    A caller that is cancelled ends the process. Raises WorkerFailed with what it complained of.
    """
    command = [*(program or (*PYTHON, IMPORTANCES)), str(workspace.path), study, method]
    found = await _asked(command, f"the importance of {study}'s parameters could not be computed")
    return [Importances.from_dict(raw) for raw in found]


async def ask_outlook(workspace: Workspace, study: str, program: Sequence[str] = ()) -> Outlook | None:
    """What the next trials of a study are worth; takes a few seconds. None if too few have ended."""
    command = [*(program or (*PYTHON, OUTLOOK)), str(workspace.path), study]
    raw = await _asked(command, f"what the next trials of {study} are worth could not be computed")
    return None if raw is None else Outlook(**raw)


async def ask_predictions(workspace: Workspace, study: str, number: int, program: Sequence[str] = ()) -> Predictions:
    """What a trial's best checkpoint answered, beside what is right; as `engine errors` tells it."""
    words = ["errors", f"{study}/{number}", "--list", "all", "--passages", "--json", "--workspace", str(workspace.path)]
    command = [*(program or (*PYTHON, COMMANDS)), *words]
    raw = await _asked(command, f"the answers of {study}/{number} could not be read")
    return await asyncio.to_thread(read_predictions, raw)  # 12,000 questions take a quarter of a second


async def ask_difficulty(
    workspace: Workspace, study: str, number: int | None, shuffling: Shuffling, program: Sequence[str] = ()
) -> WordOrder:
    """The word order sensitivity of a trial or (None) of the teacher; as `engine difficulty` tells it."""
    words = ["difficulty", study, "--json", "--workspace", str(workspace.path)]
    words += [] if number is None else ["--trial", str(number)]
    words += [word for key, value in asdict(shuffling).items() for word in (f"--{key}", str(value))]
    command = [*(program or (*PYTHON, COMMANDS)), *words]
    raw = await _asked(command, f"the word order sensitivity of {study} could not be measured")
    return WordOrder.from_dict(raw)


async def ask_oracle(workspace: Workspace, study: str, number: int, program: Sequence[str] = ()) -> None:
    """Measure the shuffle oracle of a study, which is then stored; by the cascade of a trial and the teacher."""
    words = ["cascade", study, str(number), "teacher", "--oracle", "--json", "--workspace", str(workspace.path)]
    command = [*(program or (*PYTHON, COMMANDS)), *words]
    await _asked(command, f"the shuffle oracle of {study} could not be measured")


async def ask_ladder(workspace: Workspace, study: str, program: Sequence[str] = ()) -> Ladder:
    """The ladder of a study with all its intervals, as `engine ladder` tells it."""
    words = ["ladder", study, "--json", "--workspace", str(workspace.path)]
    command = [*(program or (*PYTHON, COMMANDS)), *words]
    [raw] = await _asked(command, f"the predictions of {study} could not be read")
    return read_row(raw)


async def ask_survey(workspace: Workspace, study: str, program: Sequence[str] = ()) -> Survey:
    """The survey of a study with its ties, as `engine survey` tells it."""
    words = ["survey", study, "--json", "--workspace", str(workspace.path)]
    raw = await _asked([*(program or (*PYTHON, COMMANDS)), *words], f"the predictions of {study} could not be read")
    return read_survey_row(raw)


def read_predictions(raw: dict[str, Any]) -> Predictions:
    """Back from the JSON of `engine errors`; pure."""
    if TASKS[raw["task"]].spans:
        return Predictions(raw["task"], raw["step"], questions=tuple(_question(row) for row in raw["questions"]))
    texts = [Classified(row["id"], row["text"], row["label"], row["prediction"]) for row in raw["texts"]]
    return Predictions(raw["task"], raw["step"], texts=tuple(texts), labels=tuple(raw["labels"]))


def _question(row: dict[str, Any]) -> Question:
    passage = Passage.from_dict(row["passage"]) if "passage" in row else None
    return Question(row["id"], row["article"], row["question"], tuple(row["golds"]), row["prediction"], passage)


async def _asked(command: Sequence[str], failed: str) -> Any:
    """What the program printed as JSON. The child and its own children never outlive a caller that is cancelled."""
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await child.communicate()
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await _over(child)
    if child.returncode:
        raise complaint(err.decode("utf-8", "replace"), failed)
    try:
        return json.loads(out)
    except ValueError as error:
        raise WorkerFailed(f"{failed}: what it printed is not readable") from error


async def _over(child: asyncio.subprocess.Process) -> None:
    """Wait for a child that was killed and the end of its pipes, also if this is cancelled once more, as the end of a
    loop does: pipes that outlive their loop complain when they are collected."""
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await child.communicate()
            return


def complaint(err: str, failed: str) -> WorkerFailed:
    """The error of a process that failed: its `error:` and `hint:` lines, else the last line; pure."""
    told: dict[str, str] = {}
    for line in err.splitlines():
        kind, colon, words = line.partition(": ")
        if colon and kind in ("error", "hint"):
            told[kind] = words
    last = err.strip().splitlines()[-1] if err.strip() else failed
    return WorkerFailed(told.get("error", last), hint=told.get("hint", ""))
