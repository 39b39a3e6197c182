"""Every object that a command prints as JSON or CSV is built here, with the keys of `shapes`. It prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.app.report.shapes import SHAPES
from bertdistill.app.views.certain import chance, interval, luck
from bertdistill.app.views.view import StudyView, all_metrics
from bertdistill.engine.contract.optimism import of_report
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.protocol import Handle
from bertdistill.engine.steering import integrity
from bertdistill.engine.study.ranges import dump_range
from bertdistill.store.rows import Attempt, Checkpoint, ModelAlias, ModelVersion, Notice, Trial

if TYPE_CHECKING:
    from bertdistill.engine.steering.history import Entry


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
        "luck": luck(view, trial),
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
        "p_frontier": likely(view),
        "diagnosis": view.study.diagnosis,
        "ended_early": view.cause,
        "weak_teacher": view.weak_teacher,
        "note": view.outline.note,
        "archived": archived,
        "ranges": {parameter.name: dump_range(parameter) for parameter in view.outline.ranges},
        "seconds": view.study.busy_seconds,
        "created_at": view.study.created_at,
        "finished_at": view.study.finished_at,
    }


def likely(view: StudyView) -> dict[str, float] | None:
    """The points that are or may be on the frontier, with the probability of each."""
    found = view.certainty
    if found is None:
        return None
    return {str(number): chance for number, chance in found.on_frontier.items() if found.plausible(number)}


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
