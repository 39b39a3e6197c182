"""Whether "stop now?" can be trusted: what ten more trials were expected to add against what they really added.

    python benchmarks/outlook.py [--problems squad-noisy,families] [--seeds 10:14] [--after 12,20,30] [--kept FILE]

On problems with known answers, searched with `auto` and one worker. Gains are of the noiseless points, in the unit box
at the time of the forecast, in percent of the volume then. Of intervals of 80 % four in five should hold what came; the
last column is what the factor for learning on the way would have been here. `--kept` is that of `search_quality.py`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from problems import PROBLEMS, Problem
from search_quality import Search, answered, searches, seed_range

from bertdistill.engine.pareto.frontier import hypervolume
from bertdistill.engine.search.ahead import ADAPTS, outlook
from bertdistill.engine.search.model import Model
from bertdistill.engine.search.optimiser import gaussian_model
from bertdistill.engine.search.past import PastTrial

AHEAD = 10


def volume(problem: Problem, model: Model, tried: Sequence[PastTrial]) -> float:
    """Of the noiseless points, in the box of the model."""
    low, corner = model.box
    points = []
    for one in tried:
        size, score = problem.point(one.params)
        points.append(((-score - low[0]) / (corner[0] - low[0]), (size - low[1]) / (corner[1] - low[1])))
    return hypervolume(points, (1.0, 1.0))


def forecasts(
    problem: Problem, search: Search, seed: int, after: Sequence[int]
) -> list[tuple[int, float, float, float, float]]:
    """(trials, expected, low, high, real) gains in percent."""
    done = [
        dataclasses.replace(answered(problem, params, place, seed), seconds=problem.seconds(params))
        for place, params in enumerate(search.tried)
    ]
    found = []
    for trials in after:
        model = gaussian_model(
            done[:trials], problem.space, problem.objectives, known=problem.known, fixed=problem.fixed
        )
        assert model is not None
        gain, low, high = outlook(model, seed, AHEAD).percent
        before, later = (volume(problem, model, done[:count]) for count in (trials, trials + AHEAD))
        found.append((trials, gain, low, high, 100 * (later / before - 1)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default="squad-noisy,families")
    parser.add_argument("--seeds", type=seed_range, default=range(10, 14), help="FIRST:STOP, or how many")
    parser.add_argument("--after", default="12,20,30")
    parser.add_argument("--kept", type=Path)
    options = parser.parse_args()
    after = [int(word) for word in options.after.split(",")]
    options.workers, options.looks, options.only_kept = 1, [max(after) + AHEAD], False
    heads = ["problem", "after trials", "expected %", "really %", "in the interval of 80 %", "mean width", "factor"]
    sys.stdout.write(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|\n")
    for name in options.problems.split(","):
        make, noise = PROBLEMS[name]
        problem = make(noise)
        found = searches(name, problem, "auto", options)
        every = [one for seed, search in found.items() for one in forecasts(problem, search, seed, after)]
        for trials in after:
            rows = [one for one in every if one[0] == trials]
            expected, real = (statistics.mean([one[i] for one in rows]) for i in (1, 4))
            held = sum(low - 0.05 <= came <= high + 0.05 for _, _, low, high, came in rows)
            width = statistics.mean([high - low for _, _, low, high, _ in rows])
            cells = [name, trials, f"{expected:.1f}", f"{real:.1f}", f"{held} of {len(rows)}", f"{width:.1f}"]
            sys.stdout.write(f"| {' | '.join(map(str, cells))} | {ADAPTS * real / expected:.1f} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
