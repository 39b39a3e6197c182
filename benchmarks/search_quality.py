"""How good the proposals are: the hypervolume found by sampler and number of trials, on problems with known answers.

    python benchmarks/search_quality.py [--problems squad,families] [--samplers random,tpe,auto] [--seeds 10:16]
        [--trials 60] [--workers 2] [--kept FILE]

With two workers every proposal is made while one trial is still running; with one, all results are known. All samplers
begin with the same random trials and see the same noise. Printed are means over the seeds, with standard errors, of the
share of a fixed box (in percent) that the noiseless points of the tried students dominate; then the mean difference to
`auto` on the same seeds with its standard error.

`--kept` is a file of what searches tried: they are continued from there, and not repeated. `--only-kept` runs nothing
and prints what is kept. `optuna-gp` is optuna's sampler without our changes; `botorch` (qLogNEHVI, Ax's default) needs
BoTorch.
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
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the runner does: threads of torch and scipy compete

from problems import PROBLEMS, Problem
from rivals import RIVALS

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.search.optimiser import derive_seed, propose
from bertdistill.engine.search.past import PastTrial
from bertdistill.engine.study.space import Value

STARTUP = 5
LOOKS = (12, 20, 40, 60)


@dataclass
class Search:
    """What one search has tried, in order, and the CPU seconds of its proposals."""

    tried: list[dict[str, Value]] = field(default_factory=list)
    cpu: float = 0.0

    def go_on(self, problem: Problem, kind: str, seed: int, trials: int, workers: int) -> None:
        """Until so many students are tried; the answers are those that the problem gives for this seed."""
        while len(self.tried) < trials:
            ended = max(0, len(self.tried) - (workers - 1))
            done = [answered(problem, params, place, seed) for place, params in enumerate(self.tried[:ended])]
            history = [*done, *(PastTrial(params, "running") for params in self.tried[ended:])]
            begun = time.process_time()
            self.tried.append(_next(problem, kind, history, seed, len(self.tried)))
            self.cpu += time.process_time() - begun

    def share(self, problem: Problem, look: int) -> float:
        """What its first students have found."""
        return problem.share([problem.point(params) for params in self.tried[:look]])


def answered(problem: Problem, params: dict[str, Value], place: int, seed: int) -> PastTrial:
    """The trial at this place of a search, with its noise."""
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


def searches(name: str, problem: Problem, kind: str, options: argparse.Namespace) -> dict[int, Search]:
    """One search for each seed, those in the file of kept ones continued."""
    found = {}
    for seed in options.seeds:
        key = f"{name}/{kind}/{seed}" + (f"/{options.workers} workers" if options.workers != 2 else "")
        search = _kept(options.kept).get(key, Search())
        for look in [] if options.only_kept else options.looks:
            if len(search.tried) < look:
                search.go_on(problem, kind, seed, look, options.workers)
                if options.kept:
                    with options.kept.open("a") as file:
                        file.write(json.dumps([key, search.tried, search.cpu]) + "\n")
        if search.tried:
            found[seed] = search
    return found


def _kept(file: Path | None) -> dict[str, Search]:
    lines = file.read_text().splitlines() if file and file.exists() else []
    return {key: Search(tried, cpu) for key, tried, cpu in map(json.loads, lines)}


def _mean(values: Sequence[float]) -> str:
    if not values:
        return ""
    error = f" ± {statistics.stdev(values) / len(values) ** 0.5:.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{error}"


def table(name: str, problem: Problem, runs: Mapping[str, Mapping[int, Search]], looks: Sequence[int]) -> str:
    """Markdown. A search that was not continued to a look does not count there."""
    heads = [name, "seeds", *map(str, looks), *(f"less auto, {look}" for look in looks[1:]), "ms"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for kind, every in runs.items():
        shares = {
            look: {seed: one.share(problem, look) for seed, one in every.items() if len(one.tried) >= look}
            for look in looks
        }
        best = runs.get("auto", {}) if kind != "auto" else {}
        away = [
            [share - best[seed].share(problem, look) for seed, share in shares[look].items() if seed in best]
            for look in looks[1:]
        ]
        counts = sorted({len(some) for some in shares.values()}, reverse=True)
        cost = 1000 * sum(one.cpu for one in every.values()) / max(1, sum(len(one.tried) for one in every.values()))
        cells = [kind, ", ".join(map(str, counts)), *(_mean([*shares[look].values()]) for look in looks)]
        lines.append(f"| {' | '.join([*cells, *map(_mean, away), f'{cost:.0f}'])} |")
    return "\n".join(lines)


def seed_range(text: str) -> range:
    """`10:16`, or `6` for the first six."""
    first, _, stop = text.rpartition(":")
    return range(int(first or 0), int(stop))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--samplers", default="auto,gp,tpe,nsga2,random,optuna-gp")
    parser.add_argument("--seeds", type=seed_range, default=range(10), help="FIRST:STOP, or how many")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kept", type=Path)
    parser.add_argument("--only-kept", action="store_true")
    options = parser.parse_args()
    options.looks = [look for look in LOOKS if look <= options.trials]
    for name in options.problems.split(","):
        make, noise = PROBLEMS[name]
        problem = make(noise)
        runs = {kind: searches(name, problem, kind, options) for kind in options.samplers.split(",")}
        sys.stdout.write(table(name, problem, runs, options.looks) + "\n\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
