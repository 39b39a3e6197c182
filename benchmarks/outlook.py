"""Whether "stop now?" can be trusted: what ten more trials were expected to add against what they really added.

    python benchmarks/outlook.py [--problems squad-noisy,families] [--seeds 5] [--after 12,20,30] [--kept FILE]

On problems with known answers, searched with `auto` and one worker. Gains are of the noiseless points, in the unit box
at the time of the forecast, in percent of the volume then. Of intervals of 80 % four in five should hold what came.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from problems import PROBLEMS, Problem
from search_quality import _answered, _next

from bertdistill.engine.pareto.frontier import hypervolume
from bertdistill.engine.search.ahead import outlook
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


def forecasts(problem: Problem, seed: int, after: Sequence[int]) -> list[tuple[int, float, float, float, float]]:
    """(trials, expected, low, high, real) gains in percent."""
    done: list[PastTrial] = []
    asked: list[tuple[int, Model, tuple[float, float, float], float]] = []
    found = []
    while len(done) < max(after) + AHEAD:
        params = _next(problem, "auto", done, seed, len(done))
        done.append(dataclasses.replace(_answered(problem, params, len(done), seed), seconds=problem.seconds(params)))
        if len(done) in after:
            model = gaussian_model(done, problem.space, problem.objectives, known=problem.known, fixed=problem.fixed)
            assert model is not None
            asked.append((len(done), model, outlook(model, seed, AHEAD).percent, volume(problem, model, done)))
        for trials, model, (gain, low, high), before in asked:
            if len(done) == trials + AHEAD:
                found.append((trials, gain, low, high, 100 * (volume(problem, model, done) / before - 1)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default="squad-noisy,families")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--after", default="12,20,30")
    parser.add_argument("--kept", type=Path)
    options = parser.parse_args()
    after = [int(word) for word in options.after.split(",")]
    sys.stdout.write(
        "| problem | after trials | expected % | really % | in the interval of 80 % | mean width |\n"
        + "|---" * 6
        + "|\n"
    )
    for name in options.problems.split(","):
        make, noise = PROBLEMS[name]
        problem = make(noise)
        every = [one for seed in range(options.seeds) for one in forecasts(problem, seed, after)]
        if options.kept:
            with options.kept.open("a") as file:
                file.write(json.dumps([name, every]) + "\n")
        for trials in after:
            rows = [one for one in every if one[0] == trials]
            expected, real = (statistics.mean([one[i] for one in rows]) for i in (1, 4))
            held = sum(low - 0.05 <= came <= high + 0.05 for _, _, low, high, came in rows)
            width = statistics.mean([high - low for _, _, low, high, _ in rows])
            sys.stdout.write(
                f"| {name} | {trials} | {expected:.1f} | {real:.1f} | {held} of {len(rows)} | {width:.1f} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
