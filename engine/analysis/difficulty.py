"""How much of a classification task is word order: the WOS of the teacher or of a trial, and what follows from it.

A child process runs the model, because only workers load torch. The result is cached in the workspace by content, so
the same question costs one pass. It proposes nothing and changes no study.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ActionRefused, WorkerFailed
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import CLASS_LOGITS, file_sha256, read_object, write_json
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.terms import WITH_LAYERS
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.study.outline import outline
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.word_order import Shuffling, WordOrder
from bertdistill.store import reads
from bertdistill.store.db import Reading, open_db

MODULE = "bertdistill.engine.distill.export.word_order"
FORMAT = 2
"""Part of every cache key: increment it when the measurement changes."""
LOW = 0.3
"""Below this, the original posts found that a student that ignores order, or almost, can replace the teacher."""
NEAR = 1.0
"""Points of the score within which a student counts as equal to its teacher."""
OLDEST = "transformer"
"""The family of trials that record none."""
ONCE = Shuffling(shuffles=1, examples=0)
"""Every example once, for `read_hard`."""


@dataclass(frozen=True)
class Measured:
    """A result, and whether it was read from the cache."""

    found: WordOrder
    cached: bool


@dataclass(frozen=True)
class _Model:
    """What is measured: a folder, and everything that determines how it reads the validation split."""

    folder: Path
    teacher: bool
    outputs: Path | None
    """Logits that it has given the validation split."""
    spec: AttemptSpec


def read_word_order(workspace: Workspace, study: str, number: int | None, shuffling: Shuffling) -> Measured:
    """WOS of the best checkpoint of a trial, or (None) of the teacher; the first time it takes a pass of the model.

    Raises NotFound without such a trial, ActionRefused if there is no model or the task has no words to shuffle,
    WorkerFailed if the data or the model cannot be read.
    """
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            model = _model(session, workspace, study, number)
    finally:
        db.close()
    path = _path(workspace, model, shuffling)
    if cached := read_object(path):
        return Measured(WordOrder.from_dict(cached), cached=True)
    found = _run(model, shuffling, path)
    return Measured(WordOrder.from_dict(found), cached=False)


def read_hard(workspace: Workspace, study: str, *, measure: bool = False) -> list[bool] | None:
    """For each validation example whether the teacher's answer is lost when its words are shuffled once.

    None if nothing is stored, unless it is to be measured now, which takes a pass of the teacher and raises as
    `read_word_order` does.
    """
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            model = _model(session, workspace, study, None)
    except ActionRefused:
        if measure:
            raise
        return None
    finally:
        db.close()
    path = _path(workspace, model, ONCE, by_example=True)
    found = read_object(path) or (_run(model, ONCE, path, by_example=True) if measure else {})
    return [bool(one) for one in found["hard"]] if found else None


def _model(session: Reading, workspace: Workspace, study: str, number: int | None) -> _Model:
    row = reads.study(session, study)
    if row.task not in TASKS:
        raise ActionRefused(
            f"{study} is a study of {row.task or 'logged runs'}, without a teacher",
            hint="Word order sensitivity is defined for text classification.",
        )
    if TASKS[row.task].spans:
        raise ActionRefused(
            f"{study} is a study of {row.task}: shuffled words would move the answers",
            hint="Word order sensitivity is defined for text classification.",
        )
    facts = Prepared.from_dict(row.prepared)
    teacher = workspace.cached(facts.teacher_folder, "teachers") if facts.teacher_folder else None
    if row.prepared is None or (facts.teacher_folder and teacher is None):
        missing = f"the teacher's folder is gone: {facts.teacher_folder}" if facts.teacher_folder else "not prepared"
        raise ActionRefused(f"{study}: {missing}", hint="Run the study, or restore the folder.")
    if number is None and teacher is None:
        raise ActionRefused(
            f"{study}: its teacher is a file, which cannot read shuffled texts", hint="Measure a trial: --trial NUMBER"
        )
    spec = _spec(outline(row).whole, workspace, _here(workspace, facts, teacher))
    if number is None and teacher is not None:
        alone = not spec.teacher.ensemble  # else the stored outputs are of several models, of which this runs one
        outputs = workspace.cached(facts.search_outputs, "outputs") if facts.search_outputs and alone else None
        return _Model(teacher, True, outputs and outputs / CLASS_LOGITS, spec)
    assert number is not None
    trial = reads.trial(session, row.id, number)
    checkpoint = reads.best_checkpoint(session, trial.id)
    if checkpoint is None:
        raise ActionRefused(
            f"{study}/{number} is {trial.state.value} and has no best checkpoint",
            hint="Frontier trials and the baseline keep theirs; rerun the trial with another seed to get a new one.",
        )
    folder = workspace.absolute(checkpoint.folder)
    return _Model(folder, False, folder / CLASS_LOGITS, spec)


def _here(workspace: Workspace, facts: Prepared, teacher: Path | None) -> Prepared:
    """The facts with the folders of tokenizers where they are now; without a teacher it is a file."""
    units = {
        name: dataclasses.replace(one, tokenizer=str(workspace.cached(one.tokenizer, "tokenizers") or teacher or ""))
        for name, one in facts.units.items()
    }
    return dataclasses.replace(facts, teacher_folder=str(teacher or ""), units=units)


def _spec(spec: StudySpec, workspace: Workspace, facts: Prepared) -> AttemptSpec:
    """The study as a worker sees it."""
    return AttemptSpec(
        kind="analysis",
        study=spec.name,
        task=spec.task,
        data=spec.data,
        teacher=spec.teacher,
        student=spec.student,
        settings=spec.settings,
        device=Device(threads=1),
        caches=str(workspace.caches),
        prepared=facts,
    )


def _path(workspace: Workspace, model: _Model, shuffling: Shuffling, *, by_example: bool = False) -> Path:
    """Where the result is cached: the same place if and only if it would be the same."""
    facts = model.spec.prepared
    tokenizers = [] if model.teacher else [facts.teacher_folder, *(one.tokenizer for one in facts.units.values())]
    folders = dict.fromkeys((model.folder, *map(Path, filter(None, tokenizers))))
    files = [
        file for folder in folders for file in sorted(folder.iterdir()) if file.suffix in (".json", ".safetensors")
    ]
    content = [
        FORMAT,
        [[file.name, file_sha256(file)] for file in files],
        [facts.search_digest, list(facts.labels), model.spec.data.max_length],
        dataclasses.asdict(shuffling),
        by_example,
    ]
    key = hashlib.blake2b(json.dumps(content).encode(), digest_size=12).hexdigest()
    return workspace.caches / "word-order" / f"{key}.json"


def _run(model: _Model, shuffling: Shuffling, path: Path, *, by_example: bool = False) -> dict[str, Any]:
    """Measure it in a process of its own, and store the result."""
    request = {
        "folder": str(model.folder),
        "teacher": model.teacher,
        "outputs": str(model.outputs or ""),
        "shuffling": dataclasses.asdict(shuffling),
        "by_example": by_example,
    }
    with tempfile.TemporaryDirectory() as scratch:
        spec = Path(scratch) / "spec.json"
        model.spec.write(spec)
        command = [sys.executable, "-P", "-m", MODULE, str(spec)]
        done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise WorkerFailed(lines[-1] if lines else f"the model in {model.folder} could not be run")
    found: dict[str, Any] = json.loads(done.stdout)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(path, found)
    return found


# ---------------------------------------------------------------------------------------------- prediction and outcome


def predicted(wos: float) -> str:
    """The student family that a teacher's WOS suggests, as a sentence."""
    if wos < LOW:
        return f"Below about {LOW:g}: a bag of words or a Bi-LSTM can take over what this teacher knows."
    return f"{LOW:g} or above: word order matters to this teacher, so an encoder is needed."


@dataclass(frozen=True)
class FamilyScore:
    """The best complete trial of a family by the study's score. `difference` is from the teacher, in points."""

    family: str
    trial: int
    score: float
    difference: float | None
    params: float | None


def family_scores(outcomes: Sequence[Outcome], metric: str, teacher: float | None) -> list[FamilyScore]:
    """The best trial of every family, best first; `metric` is maximised."""
    best: dict[str, FamilyScore] = {}
    for one in outcomes:
        score, family = one.values.get(metric), str(one.settings.get("family", OLDEST))
        if one.complete and score is not None and (family not in best or score > best[family].score):
            difference = None if teacher is None else score - teacher
            best[family] = FamilyScore(family, one.number, score, difference, one.values.get("params"))
    return sorted(best.values(), key=lambda row: -row.score)


def observed(wos: float, families: Sequence[FamilyScore]) -> str:
    """Whether the study bears the prediction out, as a sentence; empty unless a family other than encoders has run."""
    simple = next((row for row in families if row.family not in WITH_LAYERS), None)
    if simple is None or simple.difference is None:
        return ""
    named, absorbed = f"{simple.family} (trial {simple.trial})", simple.difference >= -NEAR
    verdict = "The study agrees" if absorbed == (wos < LOW) else "The study disagrees"
    what = f"is within {NEAR:g} point of" if absorbed else f"loses {-simple.difference:.2f} points to"
    return f"{verdict}: the best of the simpler students, {named}, {what} the teacher."
