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
"""Evaluations in order: (share of the training done, from 0 to 1, or for a program its step; value of the score)."""

NEAR = 0.02
"""Two evaluations that are no more of a whole training apart were made at the same point of their trials."""


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
    score: Objective | None,
    end: float = 1.0,
) -> str:
    """Why the running trial should stop now, in words; '' to let it continue.

    The rest of its training is assumed to bring as much as the `quantile` of earlier trials gained from the same point
    to their end. It stops when even that score, at its known size, is dominated by a trial of the present frontier.
    The rule never fires unless all objectives but the `score` are known, nor before `min_trials` complete trials were
    seen at this point. `end` is where a training ends: 1, or the last step of a program.
    """
    if (
        score is None
        or not curve
        or not all(objective.metric in known for objective in objectives if objective != score)
    ):
        return ""
    share, value = curve[-1]
    if share >= end or not math.isfinite(value):
        return ""
    rest = [gain for trial in finished if (gain := gain_from(trial, share, score, NEAR * end)) is not None]
    if len(rest) < min_trials:
        return ""
    sign = 1.0 if score.direction == "maximize" else -1.0
    hoped = value + sign * max(0.0, upper_quantile([sign * gain for gain in rest], quantile))
    point = oriented({**known, score.metric: hoped}, objectives)
    better = _dominating(point, finished, objectives, score)
    if better is None:
        return ""
    values = (value, hoped, float(better.values[score.metric] or 0.0))
    now, then, there = (_digits(score.metric, one) for one in values)
    if end == 1.0:
        after, others = f"after {share:.0%} of the training", " and is no larger"
    else:
        names = " and ".join(one.metric for one in optimised(objectives) if one != score)
        after, others = f"at step {share:g}", f" and is no worse in {names}" if names else ""
    return f"{score.metric} {now} {after} may reach {then}; {better.name} has {there}{others}"


def _digits(metric: str, value: float) -> str:
    known = METRICS.get(metric)
    return f"{value:.4g}" if known is None else f"{value:.{known.decimals}f}"


def scored(objectives: Sequence[Objective]) -> Objective | None:
    """The one objective that is learned while all others follow from the settings; None when there is no such one."""
    learned = [objective for objective in optimised(objectives) if not METRICS[objective.metric].known_before]
    scores = {name for task in TASKS.values() for name in task.scores} | {"search_loss"}
    return learned[0] if len(learned) == 1 and learned[0].metric in scores else None


def gain_from(trial: Finished, share: float, score: Objective, near_by: float = NEAR) -> float | None:
    """What a finished trial gained from this share of its training to its end, None when not evaluated there."""
    final = trial.values.get(score.metric)
    near = [value for at, value in trial.curve if abs(at - share) <= near_by and math.isfinite(value)]
    return None if final is None or not near else final - near[-1]


def upper_quantile(values: Sequence[float], quantile: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(quantile * len(ordered) - 1e-9) - 1)]


def _dominating(
    point: tuple[float, ...], finished: Sequence[Finished], objectives: Sequence[Objective], score: Objective
) -> Finished | None:
    """The trial of the frontier that dominates `point`, the best in the score if several do."""
    fit = [trial for trial in finished if feasible(trial.values, objectives)]
    points = [oriented(trial.values, objectives) for trial in fit]
    place = optimised(objectives).index(score)
    found = [
        (at[place], i)
        for i, (at, best) in enumerate(zip(points, non_dominated(points), strict=True))
        if best and dominates(at, point)
    ]
    return fit[min(found)[1]] if found else None
