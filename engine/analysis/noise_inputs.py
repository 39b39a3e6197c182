"""What is known of the noise of a study's scores: results on single validation examples, and how far seeds differ.

Workers store them with the best checkpoint: a classifier's logits, and whether each answer of spans was right. Reading
them takes numpy only, a fraction of a millisecond for each trial. It computes no probability and writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from bertdistill.engine.analysis.cascade_inputs import TARGETS, cached, read_array
from bertdistill.engine.analysis.noise import Array, Repeated, influences
from bertdistill.engine.analysis.scored import COUNTED
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import CLASS_LOGITS, SCORED
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.pareto.frontier import LOG_SCALED, Objective
from bertdistill.engine.pareto.repeats import Repeats
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.db import Reading
from bertdistill.store.rows import Checkpoint, Study, Trial

Kept = MutableMapping[tuple[int, str], Array | None]
"""Influences by checkpoint and metric, between two looks at the same study."""


def read_moves(
    session: Reading,
    workspace: Workspace,
    study: Study,
    trials: Mapping[int, Trial],
    points: Sequence[Repeats[int]],
    objectives: Sequence[Objective],
    kept: Kept,
) -> dict[str, list[Repeated]]:
    """For each objective that varies, what is known of the noise of each point; `trials` are by number.

    Times are taken as they were measured: they vary with the load of the machine and in proportion to themselves.
    """
    task, facts = TASKS.get(study.task), Prepared.from_dict(study.prepared)
    scores = [] if task is None else [o.metric for o in objectives if o.metric in task.scores]
    bests = {one.trial_id: one for one in reads.checkpoints(session, study_id=study.id) if one.role == "best"}
    truth = _truth(workspace, study, facts) if scores else None
    found: dict[str, list[Repeated]] = {}
    for objective in objectives:
        name = objective.metric
        if name in LOG_SCALED:
            continue
        rows = []
        for point in points:
            members = [bests.get(trials[number].id) for number in point.members] if name in scores else []
            moves = [_influence(workspace, one, truth, name, kept) for one in members if one is not None]
            whole = _varying([one for one in moves if one is not None])
            spread = point.spreads.get(name, 0.0 if point.seeds > 1 else None)
            rows.append(Repeated(point.seeds, spread, whole, _alone(point.means.get(name), name, facts, scores)))
        found[name] = _same_length(rows)
    return {name: rows for name, rows in found.items() if any(r.moves or r.alone or r.spread for r in rows)}


def _varying(moves: Sequence[Array]) -> tuple[Array, ...]:
    """None of them if no example moves any: where all are right they say nothing of how the next ones would be."""
    return tuple(moves) if any(one.any() for one in moves) else ()


def _same_length(rows: Sequence[Repeated]) -> list[Repeated]:
    """Without results on another number of examples than most: the data may have been changed since."""
    lengths = [len(one) for row in rows for one in row.moves]
    if not lengths:
        return list(rows)
    usual = max(set(lengths), key=lengths.count)
    return [Repeated(r.seeds, r.spread, tuple(m for m in r.moves if len(m) == usual), r.alone) for r in rows]


def _alone(value: float | None, name: str, facts: Prepared, scores: Sequence[str]) -> float | None:
    """The variance of a share of the validation examples, in percent squared.

    With one more example right and one more wrong: no share is certain because it is 0 or 100 %, which on a hundred
    examples often is one of 99 % (Agresti and Caffo 2000).
    """
    if value is None or name not in scores or name not in COUNTED or not facts.search_examples:
        return None
    count = facts.search_examples + 2
    share = min(max(value / 100 * facts.search_examples + 1, 1.0), count - 1.0) / count
    return 1e4 * share * (1.0 - share) / count


def _truth(workspace: Workspace, study: Study, facts: Prepared) -> Array | None:
    task = TASKS[study.task]
    if task.spans or "search" not in facts.features:
        return None
    try:
        return read_array(cached(workspace, facts.features["search"]) / TARGETS, "the labels").astype(np.int64)
    except ActionRefused:
        return None


def _influence(
    workspace: Workspace, checkpoint: Checkpoint, truth: Array | None, metric: str, kept: Kept
) -> Array | None:
    key = (checkpoint.id, metric)
    if key not in kept:
        judged = _judged(workspace, checkpoint, truth)
        found = None if judged is None else influences(judged, metric)
        kept[key] = None if found is None else found.astype(np.float32)
    return kept[key]


def _judged(workspace: Workspace, checkpoint: Checkpoint, truth: Array | None) -> dict[str, Any] | None:
    """What was right about every example; None where it was not stored, or for other examples."""
    folder = workspace.absolute(checkpoint.folder)
    try:
        if truth is None:
            scored = read_array(folder / SCORED, "the scores of single examples")
            return {"correct": scored[0], "partial": scored[1]} if scored.ndim == 2 and len(scored) == 2 else None
        logits = read_array(folder / CLASS_LOGITS, "the logits")
    except ActionRefused:
        return None
    if logits.ndim != 2 or len(logits) != len(truth):
        return None
    return {"classes": logits.shape[1], "truth": truth, "chosen": logits.argmax(1)}
