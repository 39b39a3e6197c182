"""Time one proposal by sampler and number of earlier trials, on a synthetic study with ten parameters.

    python benchmarks/search.py [--repeats 5]

Each number is the fastest of the repeats of `search.propose`, in milliseconds: rebuilding the optuna study from the
history and asking once. Other load on the machine can only add to it. The target is 500 ms at 1,000 trials for the
sampler that `auto` uses there, which is tpe.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as the runner does: threads of torch and scipy compete

from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.search.optimiser import propose
from bertdistill.engine.search.past import PastTrial
from bertdistill.engine.study.search_section import read_search
from bertdistill.engine.study.space import Space, Value

SPACE: Space = read_search(
    {
        "layers": {"low": 1, "high": 6},
        "heads": {"low": 1, "high": 12},
        "learning_rate": {"low": 5e-6, "high": 3e-4, "log": True},
        "batch_size": {"choices": [8, 16, 32]},
        "weight_decay": {"low": 0.0, "high": 0.01},
        "warmup_fraction": {"low": 0.0, "high": 0.1},
        "alpha": {"low": 0.0, "high": 1.0},
        "temperature": {"low": 1.0, "high": 10.0},
        "dropout": {"low": 0.0, "high": 0.3},
        "head_choice": {"choices": ["random", "importance"]},
    }
)[0]
PLAIN = (Objective("exact", "maximize"), Objective("params", "minimize"))
THRESHOLD = (Objective("exact", "maximize", 60.0), Objective("params", "minimize"))
SIZES = (10, 100, 300, 1000, 3000)


def synthetic_history(trials: int) -> list[PastTrial]:
    """Random trials with plausible results, one in twenty infeasible, two running at the end."""
    dice = random.Random(trials)
    history = []
    for i in range(trials):
        params: dict[str, Value] = {
            "layers": dice.randint(1, 6),
            "heads": dice.randint(1, 12),
            "learning_rate": float(f"{math.exp(dice.uniform(math.log(5e-6), math.log(3e-4))):.4g}"),
            "batch_size": dice.choice([8, 16, 32]),
            "weight_decay": round(dice.uniform(0, 0.01), 6),
            "warmup_fraction": round(dice.uniform(0, 0.1), 5),
            "alpha": round(dice.random(), 4),
            "temperature": round(dice.uniform(1, 10), 3),
            "dropout": round(dice.uniform(0, 0.3), 4),
            "head_choice": dice.choice(["random", "importance"]),
        }
        size = float(params["layers"]) * float(params["heads"])
        values = (75 - 40 * math.exp(-size / 15) + dice.gauss(0, 2), 24e6 + size * 6e5)
        history.append(PastTrial(params, "infeasible") if i % 20 == 7 else PastTrial(params, "complete", values))
    return [*history[:-2], *(PastTrial(trial.params, "running") for trial in history[-2:])]


def fastest_ms(kind: str, history: list[PastTrial], objectives: tuple[Objective, ...], repeats: int) -> float:
    """Fastest time of one proposal."""
    times = []
    for index in range(repeats):
        start = time.perf_counter()
        propose(history, SPACE, objectives, kind=kind, seed=1, index=index)
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def main() -> int:
    """Print the table; exit 1 if tpe misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    propose(synthetic_history(20), SPACE, PLAIN, kind="gp", seed=1)  # loads scipy
    write = sys.stdout.write
    write("ms per proposal      " + "".join(f"{size:>9,}" for size in SIZES) + "   earlier trials\n")
    slowest = 0.0
    for kind in ("random", "nsga2", "tpe", "gp"):
        for name, objectives in (("", PLAIN), (", threshold", THRESHOLD)):
            write(f"{kind + name:<21}")
            for size in SIZES:
                found = fastest_ms(kind, synthetic_history(size), objectives, options.repeats)
                slowest = max(slowest, found) if kind == "tpe" and size == 1000 else slowest
                write(f"{found:>9,.0f}")
                sys.stdout.flush()
            write("\n")
    met = slowest <= 500
    write(f"tpe at 1,000 trials: {slowest:,.0f} ms, target 500 ms: {'met' if met else 'missed'}\n")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
