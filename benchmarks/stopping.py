"""What early stopping saves: recorded studies replayed with their real curves, in random orders of their trials.

    python benchmarks/stopping.py [--orders 30] [--trials 0] [--held-out]

Each trial runs until a rule stops it at one of its evaluations; then it has cost its share of the training and is lost.
Printed are the worker time used and the final hypervolume of the trials that were completed, both in percent of the
study without stopping: means over the orders, and the worst hypervolume. `--trials` cuts each order: early in a study
a rule knows less. The constants of the default were chosen on the first studies; `--held-out` takes others. A replay
cannot show that a search would have proposed other trials.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
from collections.abc import Iterator, Sequence

from recorded import Recorded, Row, recorded

from bertdistill.engine.pareto.frontier import hypervolume, oriented, unit_points
from bertdistill.engine.runner.stopping import Finished, should_stop

STUDIES = ("sst2-smallest", "sst2-mixed", "sst2-ladder", "cola-ladder", "emotion-ladder", "survey-sst2")
HELD_OUT = ("sst2-1000-labels", "emotion-1000-labels", "emotion-mlp", "cola-mlp", "cola-ladder-2", "survey-squad")
RULES: dict[str, tuple[str, int, float, float]] = {
    "forecast, 5 trials, chance 0.05 (default)": ("forecast", 5, 0.05, 0),
    "forecast, 5 trials, chance 0.1": ("forecast", 5, 0.1, 0),
    "forecast, 5 trials, chance 0.2": ("forecast", 5, 0.2, 0),
    "forecast, 8 trials, chance 0.1": ("forecast", 8, 0.1, 0),
    "frontier, 8 trials, quantile 0.9 (default before)": ("frontier", 8, 0, 0.9),
    "frontier, 5 trials, quantile 0.9": ("frontier", 5, 0, 0.9),
    "frontier, 5 trials, quantile 0.5": ("frontier", 5, 0, 0.5),
}


def replay(study: Recorded, order: Sequence[Row], rule: tuple[str, int, float, float]) -> tuple[float, list[Row]]:
    """Worker seconds used, and the trials that were completed."""
    name, least, chance, quantile = rule
    objectives = study.spec.objectives
    used, completed, finished = 0.0, list[Row](), list[Finished]()
    for row in order:
        stop = 1.0
        for i, (share, _) in enumerate(row.curve):
            if should_stop(
                row.curve[: i + 1],
                row.known,
                finished,
                objectives,
                rule=name,
                chance=chance,
                quantile=quantile,
                min_trials=least,
                score=objectives[0],
            ):
                stop = share
                break
        used += row.seconds * stop
        if stop == 1.0:
            completed.append(row)
            values = {objectives[0].metric: row.score, **row.known}
            finished.append(Finished(f"trial {len(finished)}", row.curve, values))
    return used, completed


def volume(study: Recorded, every: Sequence[Row], rows: Sequence[Row]) -> float:
    """The hypervolume of some trials in the box of all of them."""
    objectives = study.spec.objectives
    points = [oriented({objectives[0].metric: row.score, **row.known}, objectives) for row in every]
    unit = dict(zip(map(id, every), unit_points(points, objectives), strict=True))
    return hypervolume([unit[id(row)] for row in rows], (1.0,) * len(objectives))


def outcomes(
    study: Recorded, rule: tuple[str, int, float, float], orders: int, trials: int
) -> Iterator[tuple[float, float]]:
    """(worker time, hypervolume), as parts of those without stopping, by order."""
    for seed in range(orders):
        order = random.Random(seed).sample(study.rows, len(study.rows))[: trials or None]
        used, completed = replay(study, order, rule)
        whole = volume(study, order, order)
        yield used / sum(row.seconds for row in order), volume(study, order, completed) / whole if whole else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--orders", type=int, default=30)
    parser.add_argument("--trials", type=int, default=0, help="only so many trials of each order; 0: all")
    parser.add_argument("--held-out", action="store_true")
    options = parser.parse_args()
    names = HELD_OUT if options.held_out else STUDIES
    studies = [recorded(name) for name in names]
    titles = [f"{one.name}, {len(one.rows)}" for one in studies]
    sys.stdout.write("| rule | mean | " + " | ".join(titles) + " |\n" + "|---" * (len(names) + 2) + "|\n")
    for label, rule in RULES.items():
        cells, times, volumes = list[str](), list[float](), list[float]()
        for study in studies:
            time, kept = zip(*outcomes(study, rule, options.orders, options.trials), strict=True)
            cells.append(
                f"{100 * statistics.mean(time):.0f}, {100 * statistics.mean(kept):.1f} ({100 * min(kept):.0f})"
            )
            times.append(statistics.mean(time))
            volumes.append(statistics.mean(kept))
        mean = f"{100 * statistics.mean(times):.1f}, {100 * statistics.mean(volumes):.1f}"
        sys.stdout.write(f"| {label} | {mean} | " + " | ".join(cells) + " |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
