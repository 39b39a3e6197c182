"""Are the probabilities of being on the frontier calibrated? Simulated studies whose true scores are known.

    python benchmarks/calibration.py [--studies 150] [--worlds narrow,wide,failures] [--rules shrunk,bootstrap]

A study has 40 points of random size. Each is trained with one seed or three, and every run answers the same 500
examples: some are hard for all runs, some for a point, the rest is chance; seeds move the score by 0.5 points. Rules:

- `shrunk`: what the product does (`engine/analysis/noise.py`).
- `bootstrap`: the examples resampled jointly and the spread over seeds, around the observed scores.
- `unpaired`: the same, as if every point were scored on examples of its own.
- `observed`: 0 or 1, whether the point is on the observed frontier.

It prints for each world and rule the Brier score, the mean distance between stated and true frequencies, how many
points with a stated probability in each range were on the true frontier, the luck of the best score as estimated and as
it was, and how often the interval of the hypervolume held the true one (nominally 95 %). numpy only.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import itertools

import numpy as np
from numpy.typing import NDArray

from bertdistill.engine.analysis import noise
from bertdistill.engine.analysis.noise import Repeated

Array = NDArray[Any]
Deviation = Callable[[np.random.Generator], Array]

POINTS, EXAMPLES, DRAWS = 40, 500, 600
HARD, OF_POINT, CHANCE = np.sqrt([0.6, 0.2, 0.2])
"""How the difficulty of an answer is made up: of the example, of the example for this point, of this run."""
SEEDS = 0.5 / 25
"""Standard deviation over seeds on the latent scale: 0.4 to 0.6 points of a score between 80 and 90."""
FLOOR = 70.0
EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.001)


@dataclass(frozen=True)
class World:
    """How true scores scatter about a curve over size that saturates at 90, and which points are repeated."""

    scatter: Deviation
    repeats: str = "some"
    """none; some: eight at random; front: those on the frontier after the first seed."""


WORLDS: Mapping[str, World] = {
    "narrow": World(lambda random: 0.5 * random.standard_normal(POINTS)),
    "medium": World(lambda random: 1.5 * random.standard_normal(POINTS)),
    "wide": World(lambda random: 4.0 * random.standard_normal(POINTS)),
    "heavy tails": World(lambda random: random.standard_t(2, POINTS)),
    "failures": World(
        lambda random: np.where(
            random.random(POINTS) < 0.25, -random.uniform(5, 30, POINTS), random.standard_normal(POINTS)
        )
    ),
    "a ceiling": World(lambda random: -np.abs(1.5 * random.standard_normal(POINTS))),
    "single seeds": World(lambda random: 1.5 * random.standard_normal(POINTS), "none"),
    "frontier repeated": World(lambda random: 1.5 * random.standard_normal(POINTS), "front"),
}


@dataclass(frozen=True)
class Simulated:
    """One study: sizes, true scores, and what is right in each run of each point, in percent."""

    sizes: Array
    true: Array
    runs: list[list[Array]]

    @property
    def seen(self) -> Array:
        return np.array([np.mean([run.mean() for run in runs]) for runs in self.runs])

    @property
    def noise(self) -> list[Repeated]:
        found = []
        for runs in self.runs:
            scores = [run.mean() for run in runs]
            spread = float(np.std(scores, ddof=1)) if len(runs) > 1 else None
            found.append(Repeated(len(runs), spread, tuple(run - run.mean() for run in runs)))
        return found


def simulated(world: World, random: np.random.Generator) -> Simulated:
    """True scores follow exactly from the latent ones: the mean over examples and seeds of a probit."""
    sizes = random.uniform(0, 1, POINTS)
    true = np.clip(80 + 10 * (1 - (1 - sizes) ** 2) + world.scatter(random), 50, 97)
    latent = np.array([NormalDist().inv_cdf(score / 100) for score in true]) * np.sqrt(1 + (SEEDS) ** 2)
    hard, of_point = random.standard_normal(EXAMPLES), random.standard_normal((POINTS, EXAMPLES))

    def run(point: int) -> Array:
        luck = SEEDS * random.standard_normal() + CHANCE * random.standard_normal(EXAMPLES)
        right: Array = 100.0 * (latent[point] + HARD * hard + OF_POINT * of_point[point] + luck > 0)
        return right

    runs = [[run(point)] for point in range(POINTS)]
    again = random.choice(POINTS, 8, replace=False) if world.repeats == "some" else np.array([], int)
    if world.repeats == "front":
        again = np.flatnonzero(noise.frontier_of(sizes, -np.array([[one[0].mean() for one in runs]]))[0])
    for point in again:
        runs[point] += [run(point), run(point)]
    return Simulated(sizes, true, runs)


Rule = Callable[[Simulated, int], tuple[Array, Array]]
"""Expected true scores and draws of them."""


def _drawn(mean: Array, left: Array, seed: int) -> tuple[Array, Array]:
    return mean, noise.draws(mean, left, seed=seed, count=DRAWS)


def _shrunk(study: Simulated, seed: int) -> tuple[Array, Array]:
    return _drawn(*noise.shrunk(study.seen, noise.covariance(study.noise), study.sizes), seed)


def _bootstrap(study: Simulated, seed: int) -> tuple[Array, Array]:
    return _drawn(study.seen, noise.covariance(study.noise), seed)


def _unpaired(study: Simulated, seed: int) -> tuple[Array, Array]:
    return _drawn(study.seen, np.diag(np.diag(noise.covariance(study.noise))), seed)


def _observed(study: Simulated, seed: int) -> tuple[Array, Array]:
    return study.seen, study.seen[None]


RULES: Mapping[str, Rule] = {
    "shrunk": _shrunk,
    "bootstrap": _bootstrap,
    "unpaired": _unpaired,
    "observed": _observed,
}


def volumes(sizes: Array, scores: Array) -> Array:
    """The area above FLOOR and right of each size that the scores (draws, points) reach."""
    order = np.argsort(sizes)
    reached = np.maximum.accumulate(np.maximum(scores[:, order] - FLOOR, 0), axis=1)
    found: Array = reached @ np.diff(np.append(sizes[order], 1.0))
    return found


def measure(world: World, rules: list[str], studies: int) -> dict[str, list[str]]:
    """A row of the table for each rule."""
    chances: dict[str, list[Array]] = {rule: [] for rule in rules}
    luck, held = dict.fromkeys(rules, 0.0), dict.fromkeys(rules, 0)
    truth, real = [], 0.0
    for seed in range(studies):
        study = simulated(world, np.random.default_rng(seed))
        truth.append(noise.frontier_of(study.sizes, -study.true[None])[0])
        best = int(study.seen.argmax())
        real += (study.seen[best] - study.true[best]) / studies
        volume = volumes(study.sizes, study.true[None])[0]
        for rule in rules:
            mean, drawn = RULES[rule](study, seed)
            chances[rule].append(noise.frontier_of(study.sizes, -drawn).mean(0))
            luck[rule] += (study.seen[best] - mean[best]) / studies
            low, high = np.percentile(volumes(study.sizes, drawn), [2.5, 97.5])
            held[rule] += low <= volume <= high
    were = np.concatenate(truth)
    return {
        rule: [
            *_calibration(np.concatenate(chances[rule]), were),
            f"{luck[rule]:.2f} of {real:.2f}",
            f"{100 * held[rule] / studies:.0f} %",
        ]
        for rule in rules
    }


def _calibration(said: Array, were: Array) -> list[str]:
    """Brier score, mean distance, and of each range what was said and what was true, in percent."""
    cells, distance = [], 0.0
    for low, high in itertools.pairwise(EDGES):
        inside = (said >= low) & (said < high)
        if not inside.any():
            cells.append("-")
            continue
        stated, true = said[inside].mean(), were[inside].mean()
        distance += inside.mean() * abs(stated - true)
        cells.append(f"{100 * stated:.0f}: {100 * true:.0f}")
    return [f"{np.mean((said - were) ** 2):.3f}", f"{100 * distance:.1f}", *cells]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", type=int, default=150, help="of each world")
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--rules", default=",".join(RULES))
    asked = parser.parse_args()
    ranges = [f"{100 * a:.0f} to {100 * b:.0f}" for a, b in itertools.pairwise(EDGES)]
    titles = ["world", "rule", "Brier", "off by", *ranges, "luck", "volume held"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for name in asked.worlds.split(","):
        for rule, cells in measure(WORLDS[name], asked.rules.split(","), asked.studies).items():
            print(f"| {name} | {rule} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
