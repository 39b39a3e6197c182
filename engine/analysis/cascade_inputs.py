"""What a cascade is computed from: stored logits of the validation split, its labels, and measured costs.

The worker stores the logits of a trial with its best checkpoint, those of the teacher in a cache. It runs no model,
changes nothing and routes nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertdistill.engine.analysis import cascade
from bertdistill.engine.analysis.cascade import Cascade, Member
from bertdistill.engine.analysis.joined import COSTS, Joined
from bertdistill.engine.analysis.outcomes import teacher_sizes
from bertdistill.engine.analysis.predictions import best_of
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.events import finite
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import CLASS_LOGITS, PREDICTIONS, open_regular, read_object
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.outline import outline
from bertdistill.engine.tasks.routing import fit_temperature
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.db import Reading, open_db
from bertdistill.store.rows import Study, Trial

Array = NDArray[Any]
TEACHER = "teacher"
TARGETS = "targets.npy"
"""In the folder of a tokenised split: the number of the label of every text."""
FLAGS = "Write true for every validation example whose teacher prediction changes when its words are shuffled."
TIMES = ("latency_cpu_ms", "latency_ms")
"""Of the teacher, these follow from a trial's latency_ratio where the preparation did not measure them."""


@dataclass(frozen=True)
class Split:
    """A study as far as all cascades share it: the labels of its validation split, and its teacher."""

    study: Study
    facts: Prepared
    truth: Array
    scores: tuple[str, ...]
    """Of the task; an objective comes first."""
    preferred: tuple[str, ...]
    """Costs that are objectives of the study."""


def read_cascade(workspace: Workspace, study: str, first: int, second: int | None, *, metric: str = "") -> Cascade:
    """The cascade of two trials of a study, or (None) of a trial and the teacher; the cheaper one is asked first.

    Raises NotFound without such a trial, ActionRefused, with the remedy, if these two cannot be joined.
    """
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            return cascade_in(session, workspace, reads.study(session, study), first, second, metric=metric)
    finally:
        db.close()


def cascade_in(
    session: Reading, workspace: Workspace, study: Study, first: int, second: int | None, *, metric: str = ""
) -> Cascade:
    """The same in an open session."""
    if first == second:
        raise ActionRefused(f"trial {first} cannot be joined with itself", hint="Name two trials, or the teacher.")
    split = open_split(workspace, study)
    trials = [reads.trial(session, study.id, number) for number in (first, second) if number is not None]
    members = [trial_member(session, workspace, split, trial) for trial in trials]
    if second is None:
        members.append(teacher_member(workspace, split, reads.trials(session, study.id)))
    one, other = members
    return cascade.join(one, other, split.truth, split.scores, metric=metric, prefer=split.preferred)


def points_in(session: Reading, workspace: Workspace, study: Study, trials: Sequence[Trial]) -> list[Joined]:
    """Every pair of these trials and the teacher as points; those without stored logits are left out."""
    members: list[Member] = []
    try:
        split = open_split(workspace, study)
    except ActionRefused:
        return []
    for trial in trials:
        try:
            members.append(trial_member(session, workspace, split, trial))
        except ActionRefused:
            continue
    with contextlib.suppress(ActionRefused):
        members.append(teacher_member(workspace, split, reads.trials(session, study.id)))
    return cascade.points(members, split.truth, split.scores)


def read_flags(workspace: Workspace, study: str, number: int, path: Path) -> list[bool]:
    """Which validation examples are hard, for `Cascade.oracle`, in their order.

    The file is a JSON list in that order, or an object from the id of an example (as in the predictions of trial
    `number`) to true or false. ActionRefused if it is neither, or if an example is missing.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ActionRefused(f"{path} cannot be read: {error}", hint=FLAGS) from error
    if isinstance(raw, dict):
        db = open_db(workspace.path, read_only=True)
        try:
            with db.read() as session:
                trial = reads.trial(session, reads.study(session, study).id, number)
                folder = workspace.absolute(best_of(session, trial, f"{study}/{number}").folder)
        finally:
            db.close()
        ids = read_object(folder / PREDICTIONS)
        missing = [key for key in ids if key not in raw]
        if missing or not ids:
            raise ActionRefused(f"{path} says nothing about {len(missing)} of {len(ids)} examples", hint=FLAGS)
        raw = [raw[key] for key in ids]
    if not isinstance(raw, list) or not all(isinstance(one, bool) for one in raw):
        raise ActionRefused(f"{path} is not a list or an object of true and false", hint=FLAGS)
    return raw


def open_split(workspace: Workspace, study: Study) -> Split:
    """ActionRefused if the study has no labels, or is not prepared."""
    task = TASKS.get(study.task)
    if task is None or task.spans:
        raise ActionRefused(
            f"{study.name} is a study of {study.task or 'logged runs'}; cascades join classifiers",
            hint="Cascades need a study of text classification.",
        )
    facts = Prepared.from_dict(study.prepared)
    if "search" not in facts.features:
        raise ActionRefused(f"{study.name} is not prepared yet", hint="Run the study first.")
    truth = read_array(cached(workspace, facts.features["search"]) / TARGETS, f"the labels of {study.name}")
    objectives = [one.metric for one in outline(study).objectives]
    scores = dict.fromkeys([*(name for name in objectives if name in task.scores), *task.scores])
    return Split(study, facts, truth.astype(np.int64), tuple(scores), tuple(n for n in objectives if n in COSTS))


def trial_member(session: Reading, workspace: Workspace, split: Split, trial: Trial) -> Member:
    """A trial, by its best checkpoint."""
    name = f"{split.study.name}/{trial.number}"
    folder = workspace.absolute(best_of(session, trial, name).folder)
    if folder.is_dir() and not (folder / CLASS_LOGITS).exists():
        raise ActionRefused(
            f"{name} was trained by a version that stored no logits of the validation split",
            hint="Rerun it with another seed: bertdistill-tui engine rerun",
        )
    values = {**trial.known, **trial.metrics}
    return _member(split, f"#{trial.number}", folder, values, _units(split, trial))


def _units(split: Split, trial: Trial) -> str:
    """What it reads, as `Prepared.units` names it."""
    settings = Settings(**trial.settings)
    return FAMILIES[settings.family].units(split.facts, settings)


def teacher_member(workspace: Workspace, split: Split, trials: Iterable[Trial]) -> Member:
    """The teacher. Where the preparation did not measure its latency, trials that were timed beside it tell it."""
    facts = split.facts
    if not facts.search_outputs:
        raise ActionRefused(
            f"{split.study.name} was prepared by a version that stored no teacher outputs of the validation split",
            hint="Run its study file under another name: the new preparation takes the teacher from the cache.",
        )
    values: dict[str, Any] = {**_times(trials), **teacher_sizes(facts, split.study.task), "latency_ratio": 1.0}
    values |= {**facts.teacher_costs, **facts.teacher_metrics}
    return _member(split, TEACHER, cached(workspace, facts.search_outputs), values, "")


def _times(trials: Iterable[Trial]) -> dict[str, float]:
    metrics = [one.metrics for one in trials if finite(one.metrics.get("latency_ratio"))]
    found = {name: [m[name] / m["latency_ratio"] for m in metrics if finite(m.get(name))] for name in TIMES}
    return {name: median(values) for name, values in found.items() if values}


def _member(split: Split, name: str, folder: Path, values: Mapping[str, Any], units: str) -> Member:
    logits = read_array(folder / CLASS_LOGITS, f"the logits of {name}").astype(np.float64)
    labels = len(split.facts.labels)
    if logits.shape != (len(split.truth), labels) or not np.isfinite(logits).all():
        raise ActionRefused(
            f"{folder / CLASS_LOGITS} is damaged: shape {logits.shape}, expected {(len(split.truth), labels)} finite "
            "numbers",
            hint="Rerun the trial with another seed, or take another one.",
        )
    numbers = {key: finite(value) for key, value in values.items() if isinstance(value, (int, float))}
    temperature = fit_temperature(logits, split.truth)
    own = numbers.get("tokenizer_ms")  # of a trial with its own vocabulary
    return Member(name, logits, temperature, numbers, units, own or split.facts.tokenizer_ms.get(units))


def cached(workspace: Workspace, told: str) -> Path:
    """A cache folder where it was recorded; in a workspace that was moved, by its name."""
    recorded = Path(told)
    return recorded if recorded.exists() else workspace.caches / recorded.parent.name / recorded.name


def read_array(path: Path, what: str) -> Array:
    """An array from a regular file, without pickle."""
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor
            found: Array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError, MemoryError) as error:
        raise ActionRefused(
            f"{what} cannot be read: {error}", hint="If a trial is running, try again; else its files are gone."
        ) from error
    return found
