"""What is known of the trials on a ladder: predictions on the validation split, and scores on the report split.

It reads a workspace and writes nothing. The report split itself is never read here: its scores come from promotions
and from the caches that a worker has written (see `report_cache`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.analysis.predictions import Predictions, read_each
from bertdistill.engine.analysis.report_cache import ReportScores, read_scores, report_key
from bertdistill.engine.analysis.scored import TEACHER, Interval, Split
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.events import finite
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.report import ReportOrder
from bertdistill.engine.tasks import squad
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.db import open_db

if TYPE_CHECKING:
    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.study.study_spec import StudySpec
    from bertdistill.engine.tasks.intervals import Statistic
    from bertdistill.store.rows import Checkpoint, ModelVersion, Study, Trial

NULL_THRESHOLD = "null_threshold"
CASCADE = "cascade"
"""In the report of a promoted cascade, which is listed under its first trial."""


@dataclass(frozen=True)
class Known:
    """Trials of a study with their best checkpoints and promoted versions."""

    trials: Mapping[int, Trial] = field(default_factory=dict)
    checkpoints: Mapping[int, Checkpoint] = field(default_factory=dict)
    versions: Mapping[int, ModelVersion] = field(default_factory=dict)
    """The newest verified one."""


def validation_statistics(workspace: Workspace, study: Study, numbers: Sequence[int]) -> dict[int, Statistic]:
    """The scores of trials, and of the teacher of a classification, as functions of the weight of every example.

    They follow from the predictions that are stored. Takes seconds: the data is read in a process. WorkerFailed if it
    cannot be read.
    """
    from bertdistill.engine.tasks.intervals import statistic

    judged = {number: _judged(found) for number, found in read_each(workspace, study.name, numbers).items()}
    teacher = _teacher_judged(workspace, study)
    # Differences are paired by place, so both must list the same examples: the data may have changed since.
    if teacher is not None and judged and all(one.get("truth") == teacher["truth"] for one in judged.values()):
        judged[TEACHER] = teacher
    return {number: statistic(one) for number, one in judged.items()}


def _teacher_judged(workspace: Workspace, study: Study) -> dict[str, Any] | None:
    """What the teacher got right, from the logits that cascades read; None if none are stored."""
    from bertdistill.engine.analysis.cascade_inputs import open_split, teacher_member

    try:
        split = open_split(workspace, study)
        logits = teacher_member(workspace, split, ()).logits
    except ActionRefused:
        return None
    return {"classes": len(split.facts.labels), "truth": split.truth.tolist(), "chosen": logits.argmax(1).tolist()}


def _judged(found: Predictions) -> dict[str, Any]:
    """What was right about every example, as `engine.tasks.intervals.statistic` reads it."""
    if TASKS[found.task].spans:
        golds = [squad.golds(one.golds) for one in found.questions]
        given = [(one.prediction, gold) for one, gold in zip(found.questions, golds, strict=True)]
        scores = {"correct": [squad.exact(*one) for one in given], "partial": [squad.f1(*one) for one in given]}
        return scores | {"impossible": [not one.golds for one in found.questions]}
    index = {label: place for place, label in enumerate(found.labels)}
    truth, chosen = [index[text.label] for text in found.texts], [index[text.prediction] for text in found.texts]
    return {"classes": len(index), "truth": truth, "chosen": chosen}


# --------------------------------------------------------------------------------------------------------- report split


def read_known(workspace: Workspace, study: str, numbers: Sequence[int]) -> Known:
    """The rows of these trials."""
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            study_id = reads.study(session, study).id
            trials = {number: reads.trial(session, study_id, number) for number in numbers}
            bests = {number: reads.best_checkpoint(session, trial.id) for number, trial in trials.items()}
            verified = [one for one in reads.model_versions(session) if one.state == "verified"]
            verified = [one for one in verified if not one.report.get(CASCADE)]  # scores of two models, not of a trial
    finally:
        db.close()
    by_trial = {one.trial_id: one for one in sorted(verified, key=lambda one: one.finished_at or 0.0)}
    return Known(
        trials,
        {number: one for number, one in bests.items() if one is not None},
        {number: by_trial[trial.id] for number, trial in trials.items() if trial.id in by_trial},
    )


def scorable(workspace: Workspace, known: Known, spec: StudySpec, facts: Prepared) -> dict[int, ReportOrder]:
    """What can be scored, by number: the teacher, if it is one model, and trials that have their best checkpoint."""
    found, data = {}, spec.data
    if facts.teacher_folder and facts.outputs and not (spec.teacher.ensemble or spec.teacher.outputs):
        threshold = finite(facts.teacher_metrics.get(NULL_THRESHOLD))
        key = report_key(data, f"teacher {Path(facts.outputs).name}", threshold)  # the name covers its weights
        found[TEACHER] = ReportOrder(key, "teacher", facts.teacher_folder, threshold=threshold)
    for number, one in known.checkpoints.items():
        trial, folder = known.trials[number], str(workspace.absolute(one.folder))
        threshold = finite({**trial.metrics, **one.metrics}.get(NULL_THRESHOLD))
        precision = str(trial.settings.get("precision", "auto"))
        key = report_key(data, one.sha256, threshold)
        found[number] = ReportOrder(key, f"trial {number}", folder, one.sha256, threshold, precision)
    return found


def report_split(workspace: Workspace, known: Known, models: Mapping[int, ReportOrder], score: str) -> Split:
    """What is known of the report split. Results on other examples than most were scored on are left out."""
    from bertdistill.engine.tasks.intervals import statistic

    read = {number: read_scores(workspace.caches, one.key) for number, one in models.items()}
    cached = _on_same_examples({number: one for number, one in read.items() if one is not None and score in one.scores})
    scores = {number: one.scores[score] for number, one in cached.items()}
    intervals: dict[int, Interval] = {}
    for number, version in known.versions.items():
        value = finite(version.metrics.get(score))
        if number not in scores and value is not None:
            scores[number] = float(value)
            if ends := _ends(version.report, score):
                intervals[number] = ends
    examples = [one.examples for one in cached.values()]
    examples += [int(one.report.get("report_examples") or 0) for one in known.versions.values()]
    statistics = {number: statistic(one.judged) for number, one in cached.items()}
    return Split(examples[0] if examples else 0, scores, statistics, intervals)


def _on_same_examples(found: Mapping[int, ReportScores]) -> dict[int, ReportScores]:
    counted = Counter(one.digest for one in found.values()).most_common(1)
    return {number: one for number, one in found.items() if one.digest == counted[0][0]}


def _ends(report: Mapping[str, Any], score: str) -> Interval | None:
    ends = (report.get("intervals") or {}).get(score)
    if not isinstance(ends, (list, tuple)) or len(ends) != 2:
        return None
    low, high = map(finite, ends)
    return None if low is None or high is None else (float(low), float(high))
