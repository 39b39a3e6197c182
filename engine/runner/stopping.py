"""Whether a running trial may be ended because it cannot reach the frontier at its known size. Pure.

It compares a trial only with what is certain before training, so a small student is never stopped for being less
accurate than a large one. It decides nothing about failures and sends no signal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertdistill.engine.pareto.frontier import Objective, dominates, feasible, optimised, oriented
from bertdistill.engine.search.forecast import ending
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
    rule: str,
    chance: float,
    quantile: float,
    min_trials: int,
    score: Objective | None,
    end: float = 1.0,
) -> str:
    """Why the running trial should stop now, in words; '' to let it continue.

    It is compared with the best trial that is no worse in all other objectives. `forecast` predicts its final score
    from the curves of earlier trials, and stops it if the probability that it passes that trial is below `chance`.
    `frontier` assumes that the rest of its training brings as much as the `quantile` of earlier trials gained from the
    same point, and stops it if even that is dominated. Neither fires unless all objectives but the `score` are known,
    nor before `min_trials` complete trials were seen at this point. `end` is where a training ends: 1, or the last step
    of a program.
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
    seen = [pair for trial in finished if (pair := from_there(trial, share, score, NEAR * end)) is not None]
    rival = _rival(known, finished, objectives, score) if len(seen) >= min_trials else None
    if rival is None:
        return ""
    sign = 1.0 if score.direction == "maximize" else -1.0
    goal = float(rival.values[score.metric] or 0.0)
    if rule == "forecast":
        expected = ending(sign * value, [(sign * there, sign * final) for there, final in seen])
        likely = expected.chance_above(sign * goal)
        then, why = sign * expected.mean, "is expected to reach {then}"
        aside = f" (chance to pass it: {likely:.0%})"
        stops = likely < chance
    else:
        then = value + sign * max(0.0, upper_quantile([sign * (final - there) for there, final in seen], quantile))
        why, aside = "may reach {then}", ""
        stops = dominates(oriented(rival.values, objectives), oriented({**known, score.metric: then}, objectives))
    if not stops:
        return ""
    after, others = _place(share, score, objectives, of_program=end != 1.0)
    now, there = _digits(score.metric, value), _digits(score.metric, goal)
    hope = why.format(then=_digits(score.metric, then))
    return f"{score.metric} {now} {after} {hope}; {rival.name} has {there}{others}{aside}"


def _place(share: float, score: Objective, objectives: Sequence[Objective], *, of_program: bool) -> tuple[str, str]:
    """Where the trial is, and in what the other one is no worse."""
    if not of_program:
        return f"after {share:.0%} of the training", " and is no larger"
    names = " and ".join(one.metric for one in optimised(objectives) if one != score)
    return f"at step {share:g}", f" and is no worse in {names}" if names else ""


def _digits(metric: str, value: float) -> str:
    known = METRICS.get(metric)
    return f"{value:.4g}" if known is None else f"{value:.{known.decimals}f}"


def scored(objectives: Sequence[Objective]) -> Objective | None:
    """The one objective that is learned while all others follow from the settings; None when there is no such one."""
    learned = [objective for objective in optimised(objectives) if not METRICS[objective.metric].known_before]
    scores = {name for task in TASKS.values() for name in task.scores} | {"search_loss"}
    return learned[0] if len(learned) == 1 and learned[0].metric in scores else None


def from_there(trial: Finished, share: float, score: Objective, near_by: float = NEAR) -> tuple[float, float] | None:
    """(value at this share of its training, final value) of a trial, None when not evaluated there."""
    final = trial.values.get(score.metric)
    near = [value for at, value in trial.curve if abs(at - share) <= near_by and math.isfinite(value)]
    return None if final is None or not near else (near[-1], final)


def upper_quantile(values: Sequence[float], quantile: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(quantile * len(ordered) - 1e-9) - 1)]


def _rival(
    known: Mapping[str, float], finished: Sequence[Finished], objectives: Sequence[Objective], score: Objective
) -> Finished | None:
    """The feasible trial with the best score of those that are no worse in every other objective."""
    place = optimised(objectives).index(score)
    mine = oriented({**known, score.metric: 0.0}, objectives)
    fit = [(oriented(one.values, objectives), i) for i, one in enumerate(finished) if feasible(one.values, objectives)]
    found = [
        (at[place], at, i)
        for at, i in fit
        if all(a <= b for k, (a, b) in enumerate(zip(at, mine, strict=True)) if k != place)
    ]
    return finished[min(found)[2]] if found else None
