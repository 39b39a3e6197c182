"""What the next trials of a search are worth: the hypervolume that they are expected to add, and what they cost.

The model of the proposals answers: it draws what students may really score, and picks trials as a batch. A search that
sees each result before the next proposal does better, by as much as was measured (`benchmarks/outlook.py`). Luck counts
nothing, neither that of a score on the frontier now nor that of a later one, so the frontier that is shown may grow by
more.
"""

from __future__ import annotations

import numpy as np

from bertdistill.engine.pareto.frontier import hypervolume
from bertdistill.engine.search.gain import TINY, expected_gain
from bertdistill.engine.search.model import Model
from bertdistill.engine.search.outlook import TRIALS, Outlook
from bertdistill.engine.search.process import Array

CANDIDATES = 200
DRAWS = 64
"""As many draws choose the trials as judge them: judged by its own draws, a choice looks better than it is."""
INTERVAL = (0.1, 0.9)
ADAPTS = 2.3
"""What searches gained on four problems with known answers (72 forecasts), in units of the gain of the best batch."""


def outlook(model: Model, seed: int, trials: int = TRIALS) -> Outlook:
    """The outlook of a model."""
    rng = np.random.default_rng(seed)
    rows, facts, values = model.searched(rng)
    best = np.argsort(-values, kind="stable")[:CANDIDATES]
    rows, facts = rows[best], facts[best]
    frontier, points = model.draws(rows, facts, 2 * DRAWS, rng)
    alive = rng.random((2 * DRAWS, len(rows))) < np.exp(model.log_feasible(rows, facts))
    gained, volume = np.zeros(2 * DRAWS), [_volume(one) for one in frontier]
    seconds, chosen = 0.0, list[int]()
    costs = model.seconds(rows, facts)
    for _ in range(min(trials, len(rows))):
        each = np.array([_gains(points[i], frontier[i]) for i in range(2 * DRAWS)]) * alive
        each[:, chosen] = 0.0
        pick = int(each[:DRAWS].mean(axis=0).argmax())
        gained += each[:, pick]
        for i in np.flatnonzero(alive[:, pick]):
            frontier[i] = np.vstack([frontier[i], points[i][pick]])
        chosen.append(pick)
        seconds += 0.0 if costs is None else float(costs[pick])
    judged = gained[DRAWS:]
    low, high = np.quantile(judged, INTERVAL)
    worker = None if costs is None else seconds
    gain, most = ADAPTS * float(judged.mean()), ADAPTS * float(high)
    return Outlook(len(chosen), gain, float(low), max(gain, most), float(np.mean(volume)), worker)


def _gains(points: Array, frontier: Array) -> Array:
    return expected_gain(points, np.full_like(points, TINY / 2), frontier)


def _volume(frontier: Array) -> float:
    return hypervolume([tuple(point) for point in frontier.tolist()], (1.0,) * frontier.shape[1])
