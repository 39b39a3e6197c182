"""How good the proposals are: the share of a synthetic problem's hypervolume found, by sampler and number of trials.

    python benchmarks/search_quality.py [--samplers random,tpe,gp,auto] [--seeds 10] [--trials 60]

The search space is that of `sample_configs/squad1-minilm.toml`, sizes are counted as in a study, and the synthetic
score behaves like that of small students: it saturates with size, its best learning rate rises as students shrink, it
benefits from a soft loss, and it has noise of 0.7 points. Two workers: every proposal is made while one trial is still
running. It prints means over the seeds with standard errors: the area over score and logarithm of size that the
noiseless scores of the tried students dominate, as a share of the best known area; and, of the model's proposals, how
many repeated an earlier set, were within 2 % of one in every parameter, or had four of the five numbers at an end of
their range.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the runner does: threads of torch and scipy compete

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.families.encoder_sizes import known_metrics
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.search.optimiser import propose
from bertdistill.engine.search.past import PastTrial
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.search_section import read_search
from bertdistill.engine.study.space import Parameter, Space, Value, resolve

SPACE: Space = read_search(
    {
        "layers": {"low": 2, "high": 6},
        "layer_choice": {"choices": ["first", "even"]},
        "heads": {"low": 6, "high": 12},
        "learning_rate": {"low": 5e-5, "high": 4e-4, "log": True},
        "alpha": {"low": 0.0, "high": 1.0},
        "temperature": {"low": 1.0, "high": 8.0},
    }
)[0]
MINILM = Shape("bert", 30522, 512, 2, 384, 1536, 6, 12, 32)
OBJECTIVES = (Objective("exact", "maximize"), Objective("params", "minimize"))
BASELINE: dict[str, Value] = {
    "layers": 6,
    "layer_choice": "first",
    "heads": 12,
    "learning_rate": 1e-4,
    "alpha": 0.5,
    "temperature": 2.0,
}
STARTUP = 5
NOISE = 0.7
LOOKS = (12, 20, 40, 60)
LARGEST = math.log10(2.4e7)
"""Reference point: score 0 at slightly more than the size of the whole model."""


def score(settings: Settings) -> float:
    """The synthetic score without noise, in points."""
    size = settings.layers * (0.35 + 0.65 * settings.heads / MINILM.heads)
    found = 75 / (1 + math.exp(-(size - 3.2) / 0.8))
    if settings.layers < MINILM.layers and settings.layer_choice == "even":
        found *= 0.97
    best_rate = math.log10(1.5e-4) + 0.0625 * (4 - settings.layers)
    found *= math.exp(-1.2 * (math.log10(settings.learning_rate) - best_rate) ** 2)
    soft = settings.alpha * (1 - 0.004 * (settings.temperature - 4) ** 2)
    return found * (1 - 0.1 * (soft - 0.8) ** 2)


def known(params: Mapping[str, Value]) -> dict[str, float]:
    """Sizes as a study counts them."""
    return known_metrics(
        MINILM, resolve(SPACE, params, Fixed()), scratch=False, task=QUESTION_ANSWERING, labels=0, mean_length=150
    )


def true_point(params: Mapping[str, Value]) -> tuple[float, float]:
    """(logarithm of the size, score)."""
    return math.log10(known(params)["params"]), score(resolve(SPACE, params, Fixed()))


def area(points: Sequence[tuple[float, float]]) -> float:
    """The area that the points dominate, up to the reference point."""
    best, found = 0.0, 0.0
    for size, height in sorted(points):
        if height > best and size < LARGEST:
            found += (height - best) * (LARGEST - size)
            best = height
    return found


def best_area() -> float:
    """The area of the best settings of every architecture, on a fine grid."""
    rates = [10 ** (math.log10(5e-5) + i / 200 * math.log10(8)) for i in range(201)]
    points = []
    for layers in range(2, 7):
        for heads in range(6, 13):
            base = {**BASELINE, "layers": layers, "heads": heads, "alpha": 0.8, "temperature": 4.0}
            points += [max((true_point({**base, "learning_rate": rate}) for rate in rates), key=lambda point: point[1])]
    return area(points)


def apart(one: Mapping[str, Value], other: Mapping[str, Value]) -> float:
    """The largest difference in any parameter, as a share of its range; 1 for different choices."""
    return max(_apart(parameter, one[parameter.name], other[parameter.name]) for parameter in SPACE)


def _apart(parameter: Parameter, one: Value, other: Value) -> float:
    if isinstance(one, str) or isinstance(other, str):
        return float(one != other)
    scale: Callable[[float], float] = math.log if parameter.log else float
    return abs(scale(one) - scale(other)) / (scale(parameter.high or 1) - scale(parameter.low or 0))


def at_an_end(params: Mapping[str, Value]) -> bool:
    """Whether at least four of the five numbers are at an end of their range."""
    return sum(params[one.name] in (one.low, one.high) for one in SPACE if one.kind != "choice") >= 4


def run(kind: str, seed: int, trials: int, counts: Counter[str]) -> dict[int, float]:
    """Area by number of trials of one search."""
    dice = random.Random(seed)
    done: list[PastTrial] = []
    tried = [dict(BASELINE)]
    found = {}
    while True:
        if len(tried) > 1:
            params = tried[len(done)]
            noisy = score(resolve(SPACE, params, Fixed())) + dice.gauss(0, NOISE)
            done.append(PastTrial(params, "complete", (noisy, known(params)["params"])))
        if len(tried) in LOOKS:
            found[len(tried)] = area([true_point(params) for params in tried])
        if len(tried) == trials:
            return found
        history = [*done, *(PastTrial(params, "running") for params in tried[len(done) :])]
        proposal = propose(
            history, SPACE, OBJECTIVES, kind=kind, seed=seed, index=len(tried), startup_trials=STARTUP, known=known
        )
        if proposal.sampler != "random":
            gaps = [apart(proposal.params, params) for params in tried]
            counts.update(proposals=1, repeated=min(gaps) == 0, near=min(gaps) < 0.02, ends=at_an_end(proposal.params))
        tried.append(proposal.params)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samplers", default="random,tpe,gp,auto")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=60)
    options = parser.parse_args()
    write, whole = sys.stdout.write, best_area()
    looks = [look for look in LOOKS if look <= options.trials]
    write("share of the area  " + "".join(f"{look:>16}" for look in looks) + "   trials\n")
    for kind in options.samplers.split(","):
        counts: Counter[str] = Counter()
        runs = [run(kind, seed, options.trials, counts) for seed in range(options.seeds)]
        write(f"{kind:<19}")
        for look in looks:
            shares = [100 * one[look] / whole for one in runs]
            error = statistics.stdev(shares) / math.sqrt(len(shares)) if len(shares) > 1 else 0.0
            write(f"{statistics.mean(shares):>9.1f} ± {error:<4.1f}")
        line = ", ".join(f"{name} {counts[name]}" for name in ("proposals", "repeated", "near", "ends"))
        write(f"   {line}\n" if counts["proposals"] else "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
