"""Whether a running trial may be ended because it cannot reach the frontier at its known size. Pure.

It compares a trial only with what is certain before training, so a small student is never stopped for being less
accurate than a large one. It decides nothing about failures and sends no signal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertdistill.engine.pareto.frontier import Objective, dominates, feasible, non_dominated, optimised, oriented
from bertdistill.engine.tasks.table import METRICS, TASKS

Curve = Sequence[tuple[float, float]]
"""Evaluations in order: (share of the training done, from 0 to 1; value of the score)."""

NEAR = 0.02
"""Two evaluations whose shares of the training differ by no more were made at the same point of their trials."""


@dataclass(frozen=True)
class Finished:
    """A complete trial: its name for people, its curve, and its final metrics (score and known ones)."""

    name: str
    curve: Curve
    values: Mapping[str, float | None]


def should_stop(
    curve: Curve,
    known: Mapping[str, float],
    finished: Sequence[Finished],
    objectives: Sequence[Objective],
    *,
    quantile: float,
    min_trials: int,
) -> str:
    """Why the running trial should stop now, in words; '' to let it continue.

    The rest of its training is assumed to bring as much as the `quantile` of earlier trials gained from the same point
    to their end. It stops when even that score, at its known size, is dominated by a trial of the present frontier.
    The rule never fires unless exactly one objective is a score and all others are known before training, nor before
    `min_trials` complete trials were seen at this point.
    """
    score = scored(objectives)
    if (
        score is None
        or not curve
        or not all(objective.metric in known for objective in objectives if objective != score)
    ):
        return ""
    share, value = curve[-1]
    if share >= 1.0 or not math.isfinite(value):
        return ""
    rest = [gain for trial in finished if (gain := gain_from(trial, share, score)) is not None]
    if len(rest) < min_trials:
        return ""
    sign = 1.0 if score.direction == "maximize" else -1.0
    hoped = value + sign * max(0.0, upper_quantile([sign * gain for gain in rest], quantile))
    point = oriented({**known, score.metric: hoped}, objectives)
    better = _dominating(point, finished, objectives)
    if better is None:
        return ""
    there, digits = float(better.values[score.metric] or 0.0), METRICS[score.metric].decimals
    return (
        f"{score.metric} {value:.{digits}f} after {share:.0%} of the training may reach {hoped:.{digits}f}; "
        f"{better.name} has {there:.{digits}f} and is no larger"
    )


def scored(objectives: Sequence[Objective]) -> Objective | None:
    """The one objective that is learned while all others follow from the settings; None when there is no such one."""
    learned = [objective for objective in optimised(objectives) if not METRICS[objective.metric].known_before]
    scores = {name for task in TASKS.values() for name in task.scores} | {"search_loss"}
    return learned[0] if len(learned) == 1 and learned[0].metric in scores else None


def gain_from(trial: Finished, share: float, score: Objective) -> float | None:
    """What a finished trial gained from this share of its training to its end, None when not evaluated there."""
    final = trial.values.get(score.metric)
    near = [value for at, value in trial.curve if abs(at - share) <= NEAR and math.isfinite(value)]
    return None if final is None or not near else final - near[-1]


def upper_quantile(values: Sequence[float], quantile: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(quantile * len(ordered) - 1e-9) - 1)]


def _dominating(
    point: tuple[float, ...], finished: Sequence[Finished], objectives: Sequence[Objective]
) -> Finished | None:
    """The trial of the frontier that dominates `point`, the best in the score if several do."""
    fit = [trial for trial in finished if feasible(trial.values, objectives)]
    points = [oriented(trial.values, objectives) for trial in fit]
    score = next(i for i, objective in enumerate(optimised(objectives)) if objective == scored(objectives))
    found = [
        (at[score], i)
        for i, (at, best) in enumerate(zip(points, non_dominated(points), strict=True))
        if best and dominates(at, point)
    ]
    return fit[min(found)[1]] if found else None
