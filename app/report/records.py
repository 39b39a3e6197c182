"""The shapes that scripts rely on: every object that a command prints as JSON or CSV is built here. It prints nothing.

`docs/commands.md` lists the keys from SHAPES and a test compares them, so a change here changes the interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.app.views.certain import chance, interval
from bertdistill.app.views.view import StudyView, all_metrics
from bertdistill.engine.contract.optimism import of_report
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.protocol import Handle
from bertdistill.engine.steering import integrity
from bertdistill.engine.study.ranges import dump_range
from bertdistill.store.rows import Attempt, Checkpoint, ModelAlias, ModelVersion, Notice, Trial

if TYPE_CHECKING:
    from bertdistill.engine.steering.history import Entry

SHAPES: dict[str, dict[str, str]] = {
    "trial": {
        "trial": "number in its study",
        "study": "name of the study",
        "state": "waiting, running, complete, pruned, infeasible, failed or stopped",
        "origin": "baseline, sampler, queued or rerun",
        "parent": "trial that a rerun differs from, or null",
        "params": "searched parameters that are active, by name",
        "metrics": "known and measured metrics by name; null where a value is not finite",
        "rank": "place in the ranked list from 1, or null while it has none",
        "frontier": "whether its point is on the frontier",
        "repeats": "trials of the same point with other seeds (*repeats*), or null",
        "p_frontier": "probability that its point is on the frontier of true scores; null if unknown, and in `follow`",
        "intervals": "95 % interval of each score that varies, by metric; empty where nothing is known",
        "feasible": "whether it reaches every threshold, or null while it has no rank",
        "dominated_by": "nearest frontier trial that is better in everything, or null",
        "gain": "what it added to the hypervolume when it finished (share of the unit box), or null",
        "progress": "share of its training done, 0 to 1",
        "reason": "class of a failure, else empty",
        "detail": "sentence about a failure, else empty",
        "failures": "attempts that failed",
        "seconds": "worker time over all attempts",
        "created_at": "Unix time",
        "started_at": "Unix time or null",
        "finished_at": "Unix time or null",
        "tags": "list of words",
        "note": "free text",
        "archived": "whether it is archived",
    },
    "repeats": {
        "trials": "numbers of the ranked trials of one point; the first stands for it",
        "seeds": "how many different seeds they have",
        "means": "of every metric over the seeds, by name; these are ranked",
        "spreads": "standard deviation over the seeds by metric, where they differ",
    },
    "study": {
        "study": "name",
        "kind": "search, or log (runs that were logged)",
        "state": "running, paused, stopped, complete or failed",
        "task": "question-answering or text-classification",
        "budget": "total number of trials, or null where there is no budget",
        "trials": "number of trials by state",
        "frontier": "numbers of the frontier trials, in ranked order; of repeats the first one",
        "progress": "share of the budget done, 0 to 1",
        "hypervolume": "dominated share of the unit box, 0 to 1",
        "hypervolume_interval": "95 % interval of that of true scores; null if unknown, and in `status`",
        "diagnosis": "why the runner paused or failed it, else empty",
        "weak_teacher": "why the teacher is no better than chance, else empty",
        "note": "free text",
        "archived": "whether it is archived",
        "ranges": "parameters whose proposals are restricted to part of their range, as in a study file",
        "seconds": "time with the study running",
        "created_at": "Unix time",
        "finished_at": "Unix time or null",
    },
    "attempt": {
        "attempt": "number for its trial, from 1",
        "kind": "prepare or trial",
        "trial": "trial number, or null for the preparation of a study",
        "state": "running or ended",
        "slot": "where it runs",
        "machine": "the machine it runs on; empty for that of the runner",
        "phase": "what it is doing",
        "done": "units done in this phase",
        "total": "units in this phase",
        "rate": "units a second",
        "unit": "examples, windows or steps",
        "exit_class": "how it ended: complete, stopped, crashed, killed_by_signal_9 and so on",
        "exit_code": "exit status or null",
        "exit_signal": "signal number or null",
        "stop_reason": "why a stop was requested, else empty",
        "max_rss_mb": "largest memory in MB or null",
        "seconds": "running time",
        "folder": "relative to the workspace",
        "log_tail": "last lines of its log",
        "versions": "of Python and of packages, by name, as its worker reported them",
    },
    "checkpoint": {
        "role": "best or last",
        "step": "optimiser step",
        "folder": "relative to the workspace",
        "sha256": "of the weights",
        "size_bytes": "size on disk",
        "metrics": "scores when it was written",
        "created_at": "Unix time",
        "dropped_at": "Unix time at which its files were removed, or null",
    },
    "model": {
        "model": "name:version",
        "name": "name",
        "version": "number from 1",
        "state": "verifying, verified, refused or failed",
        "aliases": "aliases that point to it",
        "study": "study of its trial",
        "trial": "trial that it came from",
        "metrics": "verified scores on the report split, and measurements",
        "optimism": "by score, validation minus report: `difference`, `low` and `high` of its 95 % interval",
        "forced": "whether a mismatch was accepted",
        "note": "free text",
        "detail": "why it was refused or failed, else empty",
        "folder": "absolute folder of the export, or null",
        "sha256": "of the weights",
        "changed": "what has changed since the verification, else empty",
        "created_at": "Unix time",
    },
    "request": {
        "id": "number, counted in the workspace",
        "at": "Unix time",
        "who": "user name",
        "study": "study name, or empty when it is about the workspace",
        "trial": "trial number or null",
        "verb": "start, settings, threshold, budget, runner, stopping, slots, range, note, tag, archive, pause, undo …",
        "words": "what was changed, from what to what",
        "before": "what it replaced, by name",
        "after": "what was requested, by name",
        "outcome": "its outcome; empty while it is pending with the runner",
        "undoes": "request that it undid, or null",
        "undone_by": "request that undid it, or null",
        "undoable": "whether `undo` can take it back now",
        "obstacle": "why not, else empty",
    },
    "notice": {
        "at": "Unix time",
        "level": "info, warning or error",
        "study": "study name or null",
        "trial": "trial number or null",
        "text": "the sentence",
    },
    "slot": {
        "slot": "name",
        "device": "cpu or cuda",
        "uuid": "of the GPU, else empty",
        "threads": "CPU threads of a worker in it",
        "state": "working, busy (with other work) or free",
        "reason": "why it is busy, else empty",
        "study": "of the worker in it, or null",
        "trial": "of the worker in it, or null",
    },
    "machine": {
        "machine": "name",
        "ssh": "host that ssh is called with; empty without ssh",
        "ray": "head of the Ray cluster that it is a node of; empty without Ray",
        "node": "which node of it; empty for its only one",
        "folder": "where everything is kept there",
        "slots": "number of workers there",
        "answered_at": "Unix time of its last answer to a runner, or null",
        "problem": "why nothing is started there, else empty",
        "host": "its own name, or null",
        "version": "of this program there, or null",
        "gpus": "UUIDs",
        "cores": "CPU cores, or null",
        "free_bytes": "of its disk, or null",
        "cpu_percent": "of all cores, or null",
        "sending": "by folder of an attempt, bytes sent to it so far and in all",
    },
    "waiting": {
        "study": "name",
        "item": "trial, preparation or proposal (the next trial, not yet requested)",
        "trial": "number, or null",
        "place": "in the queue of its study, from 1",
        "reason": "paused, stopped, failed, no runner, leaving, preparing, hours, ending, alone, slots, busy, "
        "queue or next",
        "why": "the reason as a sentence",
        "note": "a retry, or a checkpoint to resume from, else empty",
    },
    "check": {
        "check": "what was checked",
        "state": "ok, warning or problem",
        "detail": "what was found",
        "hint": "what to do, else empty",
    },
    "screened": {
        "study": "name of the study",
        "settings": "those that decide which sub-network of the supernet it is",
        "score": "the metric that selects checkpoints, on the validation split; it was not trained",
        "metrics": "all metrics of that evaluation, by name",
        "known": "sizes and costs, by name",
        "examples": "of the validation split, as many as it was evaluated on",
        "seconds": "CPU time of the evaluation",
        "ruined": "whether sharing ruins its layers, so that such students start from the teacher",
    },
    "importance": {
        "objective": "metric",
        "method": "ped-anova or fanova",
        "trials": "complete and feasible trials that it is based on",
        "missed": "complete trials left out because they miss a threshold",
        "weights": "list of objects with parameter, share (0 to 1), trials (in which it is active) and conditional",
        "without_effect": "parameters that a metric known before training does not depend on",
        "problem": "sentence when there are no weights or they are based on few trials, else empty",
    },
    "cascade": {
        "study": "name of the study",
        "small": "the model that is asked first: `#` and the number of a trial, or teacher",
        "large": "the model that answers what is passed on",
        "temperature": "by which the logits of the small model are divided, fitted on the validation split",
        "cost": "`metric`, `unit`, `small`, `large`, `tokenizer` and `tokenizer_again`: costs of one example",
        "curve": "list of *cut*, from nothing passed on to everything",
        "chosen": "the *cut* of the target, or null",
        "note": "why no threshold passes on the share asked for, or empty",
        "oracle": "the *cut* (without a threshold) of the shuffle oracle, or of the flags in --hard, or null",
    },
    "cut": {
        "threshold": "confidence below which an example is passed on",
        "share": "of the validation examples that are passed on, 0 to 1",
        "cost": "mean cost of an example",
        "scores": "on the validation split, by metric",
        "random": "expected scores if the same share is chosen at random",
        "gap_closed": "share of the gap between the two models in the first score, or null",
    },
    "joined": {
        "small": "the model that is asked first",
        "large": "the model that answers what is passed on",
        "share": "of the validation examples that are passed on, 0 to 1",
        "metrics": "scores on the validation split and mean costs (models only, as of trials), by metric",
        "random": "expected scores if the same share is chosen at random",
    },
    "scenario": {
        "scenario": "baseline, or the name of a purpose",
        "rule": "which trial serves it",
        "trial": "number, or null when none does",
        "metrics": "its objectives by name",
        "differences": "by metric, absolute and percent (or null), from the baseline; of `near the teacher`, from it",
        "remark": "why there is no trial, or that it is the baseline itself, else empty",
    },
    "step": {
        "trial": "number of the trial that ended",
        "finished_at": "Unix time",
        "trials": "trials ended so far",
        "worker_hours": "worker time of them in hours",
        "gain": "what it added to the hypervolume, or null when it was not feasible",
        "hypervolume": "dominated share of the unit box so far, 0 to 1",
    },
    "transfer": {
        "metric": "objective that training decides",
        "mean_with": "mean over trials that draw from the transfer set",
        "mean_without": "mean over trials that do not",
        "trials_with": "number of the former",
        "trials_without": "number of the latter",
        "pairs": "groups of trials that differ in their share alone; 0: the means are over all trials",
        "difference": "with minus without, over the pairs where there are any",
        "spread": "standard deviation of the pairs' differences, or null",
    },
    "line": {
        "trial": "number",
        "frontier": "whether it is on the frontier",
        "feasible": "whether it reaches every threshold",
        "values": "by axis; null where a parameter is inactive",
        "places": "the same from 0 (low end) to 1, as drawn",
    },
    "point": {
        "objective": "metric",
        "parameter": "name",
        "trial": "number",
        "value": "of the parameter",
        "place": "of the value on its axis, 0 to 1",
        "score": "value of the metric",
        "frontier": "whether it is on the frontier",
        "feasible": "whether it reaches every threshold",
    },
    "question": {
        "id": "of the data",
        "article": "title of its article",
        "class": "right, mostly_correct, mostly_wrong, not_answered or answered",
        "f1": "overlap with the best gold, 0 to 1",
        "question": "text",
        "prediction": "text, empty when it abstained",
        "golds": "list of right answers; empty: there is none",
        "passage": "with --passages: the text around the answers (*passage*)",
    },
    "passage": {
        "text": "part of the passage; ... marks omissions",
        "golds": "list of right answers in it: start and end, in characters; the end is exclusive",
        "given": "the same of the prediction; null when it abstained",
        "places": "number of possible places of the prediction; the first is given; 1 if the worker recorded it",
    },
}
"""Keys of each object with their meanings, in printed order."""


def trial_row(view: StudyView, trial: Trial) -> dict[str, Any]:
    """One trial."""
    row = view.ranked.get(trial.number)
    parent = view.parent(trial)
    return {
        "trial": trial.number,
        "study": view.study.name,
        "state": str(trial.state.value),
        "origin": trial.origin,
        "parent": parent.number if parent else None,
        "params": trial.params,
        "metrics": all_metrics(trial),
        "rank": view.position(trial.number),
        "frontier": bool(row and row.on_frontier),
        "repeats": repeats_row(view, trial),
        "p_frontier": chance(view, trial),
        "intervals": {
            name: list(ends)
            for name in ([] if view.certainty is None else view.certainty.errors)
            if (ends := interval(view, trial, name)) is not None
        },
        "feasible": row.feasible if row else None,
        "dominated_by": row.dominated_by if row else None,
        "gain": view.gain.get(trial.number),
        "progress": trial.progress,
        "reason": trial.reason,
        "detail": trial.detail,
        "failures": trial.failures,
        "seconds": trial.busy_seconds,
        "created_at": trial.created_at,
        "started_at": trial.started_at,
        "finished_at": trial.finished_at,
        "tags": list(trial.tags),
        "note": trial.note,
        "archived": trial.archived,
    }


def repeats_row(view: StudyView, trial: Trial) -> dict[str, Any] | None:
    """The point of a trial that others repeat."""
    group = view.repeats.get(trial.number)
    if group is None:
        return None
    return {
        "trials": list(group.members),
        "seeds": group.seeds,
        "means": dict(group.means),
        "spreads": dict(group.spreads),
    }


def study_row(view: StudyView, *, archived: bool = False) -> dict[str, Any]:
    """One study."""
    return {
        "study": view.study.name,
        "kind": view.study.kind,
        "state": str(view.study.state.value),
        "task": view.study.task,
        "budget": view.outline.trials or None,
        "trials": dict(view.tally),
        "frontier": [t.number for t in view.frontier],
        "progress": view.progress(),
        "hypervolume": view.hypervolume,
        "hypervolume_interval": _pair(None if view.certainty is None else view.certainty.hypervolume),
        "diagnosis": view.study.diagnosis,
        "weak_teacher": view.weak_teacher,
        "note": view.outline.note,
        "archived": archived,
        "ranges": {parameter.name: dump_range(parameter) for parameter in view.outline.ranges},
        "seconds": view.study.busy_seconds,
        "created_at": view.study.created_at,
        "finished_at": view.study.finished_at,
    }


def _pair(found: tuple[float, float] | None) -> list[float] | None:
    return None if found is None else list(found)


def node_of(attempt: Attempt) -> str:
    """Name of the machine that an attempt ran on; empty for the runner's own."""
    device = Handle.from_dict(attempt.handle).device
    return device.node if device is not None else ""


def attempt_row(attempt: Attempt, trial: int | None, *, now: float) -> dict[str, Any]:
    """One process run; `trial` is the number of its trial."""
    return {
        "attempt": attempt.number,
        "kind": attempt.kind,
        "trial": trial,
        "state": str(attempt.state.value),
        "slot": attempt.slot,
        "machine": node_of(attempt),
        "phase": attempt.phase,
        "done": attempt.done,
        "total": attempt.total,
        "rate": attempt.rate,
        "unit": attempt.unit,
        "exit_class": attempt.exit_class,
        "exit_code": attempt.exit_code,
        "exit_signal": attempt.exit_signal,
        "stop_reason": attempt.stop_reason,
        "max_rss_mb": attempt.max_rss_mb,
        "seconds": (attempt.ended_at or now) - attempt.started_at,
        "folder": attempt.folder,
        "log_tail": attempt.log_tail,
        "versions": versions_of(attempt),
    }


def versions_of(attempt: Attempt) -> dict[str, str]:
    """What its worker ran with; empty if it has not reported that."""
    found: dict[str, str] = attempt.outcome.get("versions", {})
    return found


def checkpoint_row(checkpoint: Checkpoint) -> dict[str, Any]:
    """One checkpoint."""
    return {key: getattr(checkpoint, key) for key in SHAPES["checkpoint"]}


def model_row(
    version: ModelVersion, aliases: Sequence[ModelAlias], *, study: str, trial: int, workspace: Path
) -> dict[str, Any]:
    """One promoted version."""
    return {
        "model": f"{version.name}:{version.version}",
        "name": version.name,
        "version": version.version,
        "state": version.state,
        "aliases": [a.alias for a in aliases if a.version_id == version.id],
        "study": study,
        "trial": trial,
        "metrics": version.metrics,
        "optimism": {name: asdict(one) for name, one in of_report(version.report, version.metrics).items()},
        "forced": version.forced and bool(version.report.get("problem")),
        "note": version.note,
        "detail": version.detail,
        "folder": str(workspace / version.folder) if version.folder else None,
        "sha256": version.sha256,
        "changed": integrity.changed(Workspace(workspace), version),
        "created_at": version.created_at,
    }


def request_row(entry: Entry) -> dict[str, Any]:
    """One request of the history."""
    same = {key: getattr(entry, key) for key in SHAPES["request"] if key != "undoable"}
    return {key: not entry.obstacle if key == "undoable" else same[key] for key in SHAPES["request"]}


def notice_row(notice: Notice, *, study: str | None, trial: int | None) -> dict[str, Any]:
    """One notice."""
    return {"at": notice.at, "level": notice.level, "study": study, "trial": trial, "text": notice.text}
