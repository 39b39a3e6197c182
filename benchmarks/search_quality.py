"""How good the proposals are: the hypervolume found by sampler and number of trials, on problems with known answers.

    python benchmarks/search_quality.py [--problems squad,families] [--samplers random,tpe,auto] [--seeds 10]
        [--trials 60] [--kept FILE]

Two workers: every proposal is made while one trial is still running. All samplers begin with the same random trials
and see the same noise. Printed are means over the seeds, with standard errors, of the share of a fixed box (in percent)
that the noiseless points of the tried students dominate; then the mean difference to `auto` on the same seed with its
standard error. `--kept` is a file of finished searches that are not repeated. `optuna-gp` is optuna's sampler without
our changes; `botorch` (qLogNEHVI, Ax's default) needs BoTorch.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the runner does: threads of torch and scipy compete

from problems import PROBLEMS, Problem
from rivals import RIVALS

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.search.optimiser import derive_seed, propose
from bertdistill.engine.search.past import PastTrial
from bertdistill.engine.study.space import Value

STARTUP = 5
LOOKS = (12, 20, 40, 60)


def run(problem: Problem, kind: str, seed: int, trials: int) -> dict[str, Any]:
    """Share by number of trials, and worker seconds and CPU seconds of proposals, of one search."""
    done: list[PastTrial] = []
    tried: list[dict[str, Value]] = []
    shares: dict[str, float] = {}
    begun = time.process_time()
    while True:
        if len(tried) > 1:
            done.append(_answered(problem, tried[len(done)], len(done), seed))
        if len(tried) in LOOKS:
            shares[str(len(tried))] = problem.share([problem.point(params) for params in tried])
        if len(tried) == trials:
            cpu = time.process_time() - begun
            return {"share": shares, "cpu": cpu, "seconds": sum(map(problem.seconds, tried))}
        history = [*done, *(PastTrial(params, "running") for params in tried[len(done) :])]
        tried.append(_next(problem, kind, history, seed, len(tried)))


def _answered(problem: Problem, params: dict[str, Value], place: int, seed: int) -> PastTrial:
    noise = random.Random(f"{seed}/{place}").gauss(0, problem.noise)
    known = problem.known(params)[problem.objectives[1].metric]
    return PastTrial(params, "complete", (problem.score(params) + noise, known))


def _next(problem: Problem, kind: str, history: Sequence[PastTrial], seed: int, index: int) -> dict[str, Value]:
    finished = sum(one.state == "complete" for one in history)
    if kind in RIVALS and finished >= STARTUP:
        try:
            found = RIVALS[kind](problem, history, derive_seed(seed, len(history), index))
            problem.known(found)
        except ConfigError:  # a student that cannot be built
            found = {}
        if found and all(found != one.params for one in history):
            return found
        kind = "random"
    return propose(
        history,
        problem.space,
        problem.objectives,
        kind="random" if finished < STARTUP or kind in RIVALS else kind,
        seed=seed,
        index=index,
        startup_trials=STARTUP,
        known=problem.known,
        fixed=problem.fixed,
    ).params


def searches(problem: str, kind: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One search per seed; those in the file of kept ones are not repeated."""
    make, noise = PROBLEMS[problem]
    kept: dict[str, Any] = {}
    if options.kept and options.kept.exists():
        kept = dict(json.loads(line) for line in options.kept.read_text().splitlines())
    made, found = None, []
    for seed in range(options.seeds):
        key = f"{problem}/{kind}/{seed}/{options.trials}"
        if key not in kept:
            made = made or make(noise)
            kept[key] = run(made, kind, seed, options.trials)
            if options.kept:
                with options.kept.open("a") as file:
                    file.write(json.dumps([key, kept[key]]) + "\n")
        found.append(kept[key])
    return found


def _mean(values: Sequence[float]) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.1f} ± {error:.1f}"


def table(problem: str, runs: Mapping[str, Sequence[Mapping[str, Any]]], looks: Sequence[int]) -> str:
    """Markdown."""
    of = [f"{look} trials" for look in looks]
    lines = [
        f"| {problem} | " + " | ".join(of) + " | " + " | ".join(f"less auto, {look}" for look in looks) + " | ms |"
    ]
    lines.append("|---" * (2 * len(looks) + 2) + "|")
    for kind, every in runs.items():
        cells = [_mean([one["share"][str(look)] for one in every]) for look in looks]
        pairs = list(zip(every, runs["auto"], strict=False)) if kind != "auto" and "auto" in runs else []
        cells += [_mean([a["share"][str(n)] - b["share"][str(n)] for a, b in pairs]) if pairs else "" for n in looks]
        cells.append(f"{1000 * statistics.mean([one['cpu'] for one in every]) / looks[-1]:.0f}")
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--samplers", default="auto,gp,tpe,nsga2,random,optuna-gp")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--kept", type=Path)
    options = parser.parse_args()
    looks = [look for look in LOOKS if look <= options.trials]
    for problem in options.problems.split(","):
        runs = {kind: searches(problem, kind, options) for kind in options.samplers.split(",")}
        sys.stdout.write(table(problem, runs, looks) + "\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
