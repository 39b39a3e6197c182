"""What past trials teach about parameter sets that were not tried, and the one that promises the most hypervolume.

Known metrics count exactly, scores are modelled, and trials that still run are taken to end as expected. Whether a set
may be proposed is asked of others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_ndtr

from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.pareto.frontier import MARGIN, Objective, non_dominated
from bertdistill.engine.search.axes import Axes, Rows
from bertdistill.engine.search.gain import expected_gain
from bertdistill.engine.search.process import Array, Process
from bertdistill.engine.study.space import Parameter, Value

DRAWN, ARCHITECTURES = 2048, 192
"""Random candidates, and how many different students they are of: the sizes of a student take 0.4 ms."""
NEAR, NEAR_ARCHITECTURES = 1024, 64
CENTRES = 16
SPREADS = (0.1, 0.03)
"""Standard deviations around a centre, as fractions of a parameter's range."""
LOOKED_AT = 200
"""Best candidates of which one must be new."""
UNEQUAL = 0.25
"""Standard deviation of the logarithms of seconds from which costs are told apart."""
SHAPING = frozenset({"family", "weights", "transfer_share"})
"""Keys of training that change the size of a student, too."""
FAR = 0.25
"""A score failed if it misses its threshold by more than this share of the way from there to the best. Such a score,
often that of chance, is the same for all that fail, and says nothing about the order of the others."""
FEWEST = 3
"""Trials that did not fail, from which others are told apart."""


@dataclass(frozen=True)
class Evidence:
    """One trial on the scale of the model: oriented values, smaller is better, None where unknown."""

    params: Mapping[str, Value]
    running: bool
    runs: bool
    """Whether such a student can be trained at all."""
    values: tuple[float | None, ...]
    violation: float | None = None
    """The worst of further constraints, above 0 if violated."""
    seconds: float | None = None
    """What it cost, once it is complete."""


@dataclass(frozen=True)
class Hint:
    """The oriented score of a student that was evaluated without training, in one of the objectives."""

    params: Mapping[str, Value]
    score: float
    objective: int


Known = Callable[[dict[str, Value]], tuple[float | None, ...] | None]
"""The oriented objectives that are known before training; None if the student cannot be built."""


def shapes(parameter: Parameter) -> bool:
    """Whether it may change what is known of a student before training."""
    return not parameter.own and (parameter.key not in TRAINING or parameter.key in SHAPING)


class Model:
    """The beliefs after some trials."""

    def __init__(
        self,
        evidence: Sequence[Evidence],
        axes: Axes,
        objectives: Sequence[Objective],
        limits: Sequence[float | None],
        known: Known,
        *,
        hints: Sequence[Hint] = (),
        per_second: bool = False,
    ) -> None:
        """`limits` are the oriented thresholds; `per_second` divides gains by what a trial costs."""
        self._evidence, self.axes, self._objectives, self._limits = evidence, axes, objectives, limits
        self._known, self._hints, self._per_second = known, hints, per_second
        self._facts: dict[bytes, tuple[float | None, ...] | None] = {}
        self._shaping = [i for i, axis in enumerate(axes.axes) if shapes(axis.whole)]
        self._rows = axes.rows([one.params for one in evidence])
        self._own = self.facts_of(self._rows)
        self._certain = ~np.isnan(self._own).any(axis=0)
        self._wanted = [i for i, objective in enumerate(objectives) if not objective.constraint]
        self._running = np.array([one.running for one in evidence], dtype=bool)

    # ------------------------------------------------------------------------------------------------------ processes

    def inputs(self, rows: Rows, facts: Array) -> Array:
        """What the processes see of rows: parameters, what is known of the students, and what hints say of them."""
        seen = [self.axes.columns(rows), self._unit(facts[:, self._certain])]
        if self._hinted is not None:
            seen.append(self._hinted.standardised(self._hint_columns(rows))[:, None])
        return np.hstack(seen)

    @cached_property
    def _groups(self) -> Array:
        """Each fact and the hint is a group of its own."""
        first = int(self.axes.groups.max(initial=-1)) + 1
        return np.concatenate(
            [self.axes.groups, np.arange(first, first + int(self._certain.sum()) + bool(self._hints))]
        )

    @cached_property
    def _main(self) -> Array:
        """A score depends on which student it is more than on how it was trained."""
        groups = np.arange(int(self._groups.max(initial=-1)) + 1)
        return np.isin(groups, self._shaping) | (groups >= len(self.axes.axes))

    @cached_property
    def _hinted(self) -> Process | None:
        """The score without training, from the shape of a student alone."""
        if not self._hints:
            return None
        rows = self.axes.rows([one.params for one in self._hints])
        shapes = np.isin(np.arange(len(self.axes.axes)), self._shaping)
        y = np.array([one.score for one in self._hints])
        return Process(self._hint_columns(rows), y, self.axes.groups, shapes)

    def _expected(self, rows: Rows, i: int) -> Array:
        """What an objective is expected to be before any trial, but for its level: the score without training."""
        if self._hinted is None or self._hints[0].objective != i:
            return np.zeros(len(rows))
        return self._hinted.mean(self._hint_columns(rows))

    def _hint_columns(self, rows: Rows) -> Array:
        shape = np.full_like(rows, np.nan)
        shape[:, self._shaping] = rows[:, self._shaping]
        return self.axes.columns(shape)

    def _unit(self, facts: Array) -> Array:
        """Known metrics in the unit interval over the trials."""
        seen = self._own[:, self._certain]
        low, span = seen.min(axis=0, initial=np.inf), np.ptp(seen, axis=0)
        found: Array = (facts - low) / np.where(span > 0, span, 1.0)
        return found

    @cached_property
    def _inputs(self) -> Array:
        return self.inputs(self._rows, self._own)

    @cached_property
    def _failed(self) -> Array:
        """(trials, objectives): whether a score that is aimed at misses its threshold by far; nowhere if few do not."""
        y = np.array([[np.nan if v is None else v for v in one.values] for one in self._evidence], dtype=float)
        found = np.zeros(y.shape, dtype=bool)
        for i in self._wanted:
            limit = self._limits[i]
            if limit is not None and not self._certain[i] and (y[:, i] <= limit).sum() >= FEWEST:
                found[:, i] = y[:, i] > limit + FAR * (limit - np.nanmin(y[:, i]))
        return found

    @cached_property
    def _processes(self) -> Mapping[int, Process]:
        """Of each objective that is not known before: what scores that did not fail have beyond what was expected."""
        found = {}
        for i in map(int, np.flatnonzero(~self._certain)):
            trials = zip(self._evidence, self._failed[:, i], self._expected(self._rows, i), strict=True)
            values = [None if failed or (v := one.values[i]) is None else v - before for one, failed, before in trials]
            found[i] = self._process(values)
        return found

    def _process(self, values: Sequence[float | None]) -> Process:
        """Of a number that trials have; those that run are taken to end as expected."""
        seen = np.array([v is not None for v in values], dtype=bool) & ~self._running
        y = np.array([v for v, there in zip(values, seen, strict=True) if there], dtype=float)
        linear = np.array([len(self._groups) - 1]) if self._hints else None
        found = Process(self._inputs[seen], y, self._groups, self._main, linear=linear)
        return found.believing(self._inputs[self._running]) if self._running.any() and len(y) else found

    @cached_property
    def _hurdles(self) -> list[tuple[Process, float]]:
        """What must stay below a limit, beyond the objectives that are aimed at."""
        found = [
            (self._processes[i], float(limit))
            for i, limit in enumerate(self._limits)
            if limit is not None and i in self._processes and self._objectives[i].constraint
        ]
        if self._failed.any():
            found.append((self._process(self._failed.any(axis=1).astype(float).tolist()), 0.5))
        if not all(one.runs for one in self._evidence):
            found.append((self._process([float(not one.runs) for one in self._evidence]), 0.5))
        if any(one.violation is not None for one in self._evidence):
            found.append((self._process([one.violation for one in self._evidence]), 0.0))
        return found

    @cached_property
    def _cost(self) -> Process | None:
        """Of the logarithm of a trial's seconds; None if trials cost about the same, or too few are known."""
        logs = [math.log(max(one.seconds, 1e-3)) if one.seconds else None for one in self._evidence]
        seen = [one for one in logs if one is not None]
        return self._process(logs) if len(seen) > 3 and float(np.std(seen)) > UNEQUAL else None

    # ---------------------------------------------------------------------------------------------------------- gains

    def beliefs(self, rows: Rows, facts: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the objectives that are aimed at."""
        inputs, mean = self.inputs(rows, facts), facts[:, self._wanted].copy()
        sd = np.zeros_like(mean)
        for place, i in enumerate(self._wanted):
            if not self._certain[i]:
                mean[:, place], sd[:, place] = self._processes[i].at(inputs)
                mean[:, place] += self._expected(rows, i)
        return mean, sd

    @cached_property
    def counted(self) -> Array:
        """Whether each trial may be on the frontier: it is feasible, or runs."""
        return np.array([one.running or self._is_feasible(one) for one in self._evidence], dtype=bool)

    @cached_property
    def frontier(self) -> Array:
        """The points of the trials that count, as believed: a score that was lucky is not taken at its word."""
        return self.beliefs(self._rows[self.counted], self._own[self.counted])[0]

    @cached_property
    def box(self) -> tuple[Array, Array]:
        """The best of each coordinate, and the reference point; both as the growth of a study is shown."""
        done = [one for one in self._evidence if not one.running and self._is_feasible(one)]
        seen = np.array([[one.values[i] for i in self._wanted] for one in done], dtype=float)
        seen = seen.reshape(-1, len(self._wanted))
        if not len(seen):
            seen = np.zeros((1, len(self._wanted)))
        low, high = seen.min(axis=0), seen.max(axis=0)
        wide = np.where(high > low, high - low, 1.0)
        limits = [self._limits[i] for i in self._wanted]
        corner = [a + MARGIN * b if limit is None else limit for a, b, limit in zip(high, wide, limits, strict=True)]
        return low, np.maximum(np.array(corner, dtype=float), low + 1e-9)

    def _is_feasible(self, one: Evidence) -> bool:
        pairs = zip(one.values, self._limits, strict=True)
        return one.runs and all(v is not None and (limit is None or v <= limit) for v, limit in pairs)

    def gain(self, rows: Rows, facts: Array) -> Array:
        """The logarithm of the expected gain of hypervolume of each row, if so wished per second."""
        mean, sd = self.beliefs(rows, facts)
        low, corner = self.box
        span = corner - low
        gains = expected_gain((mean - low) / span, sd / span, (self.frontier - low) / span)
        found: Array = np.log(np.maximum(gains, 1e-300)) + self.log_feasible(rows, facts)
        if self._per_second and self._cost is not None:
            found -= self._cost.at(self.inputs(rows, facts))[0]
        return found

    def log_feasible(self, rows: Rows, facts: Array) -> Array:
        """The logarithm of the probability that each row trains and keeps to the limits that are no aims."""
        found, inputs = np.zeros(len(rows)), self.inputs(rows, facts)
        for process, limit in self._hurdles:
            mean, sd = process.at(inputs)
            found += log_ndtr((limit - mean) / sd)
        return found

    def draws(self, rows: Rows, facts: Array, count: int, rng: np.random.Generator) -> tuple[list[Array], Array]:
        """What may be true of the trials that count and of these rows together, in the unit box.

        A frontier for each of `count` draws, and (draws, rows, objectives).
        """
        every, known = np.vstack([self._rows[self.counted], rows]), np.vstack([self._own[self.counted], facts])
        points = np.repeat(known[None][:, :, self._wanted], count, axis=0)
        inputs = self.inputs(every, known)
        for place, i in enumerate(self._wanted):
            if not self._certain[i]:
                points[:, :, place] = self._processes[i].drawn(inputs, count, rng) + self._expected(every, i)
        low, corner = self.box
        points = (points - low) / (corner - low)
        first = int(self.counted.sum())
        return [one[:first] for one in points], points[:, first:]

    def seconds(self, rows: Rows, facts: Array) -> Array | None:
        """What each row is expected to cost; None if no trial tells."""
        if self._cost is not None:
            found: Array = np.exp(self._cost.at(self.inputs(rows, facts))[0])
            return found
        known = [one.seconds for one in self._evidence if one.seconds]
        return np.full(len(rows), float(np.mean(known))) if known else None

    # ----------------------------------------------------------------------------------------------------- candidates

    def candidates(self, rng: np.random.Generator) -> Iterator[dict[str, Value]]:
        """Parameter sets, the most promising first."""
        rows, _, values = self.searched(rng)
        for place in np.argsort(-values, kind="stable")[:LOOKED_AT]:
            yield self.axes.params(rows[place])

    def searched(self, rng: np.random.Generator) -> tuple[Rows, Array, Array]:
        """Candidates with their facts and gains: random ones, then more around the best and around the frontier.

        Not the exact optimum: as long as little is known, that is in a corner of the space.
        """
        rows, facts = self._possible(self._drawn(rng))
        values = self.gain(rows, facts)
        leading = self._rows[self.counted][
            np.array(non_dominated(list(map(tuple, self.frontier.tolist()))), dtype=bool)
        ]
        for spread in SPREADS:
            best = rows[np.argsort(-values, kind="stable")[:CENTRES]]
            if not len(best) + len(leading):
                break
            near, known = self._possible(self._near(np.vstack([best, leading]), spread, rng))
            rows, facts = np.vstack([rows, near]), np.vstack([facts, known])
            values = np.concatenate([values, self.gain(near, known)])
        return rows, facts, values

    def _drawn(self, rng: np.random.Generator) -> Rows:
        rows = self.axes.draw(rng, DRAWN)
        rows[:, self._shaping] = rows[rng.integers(ARCHITECTURES, size=DRAWN)][:, self._shaping]
        return self.axes.settled(rows)

    def _near(self, centres: Rows, spread: float, rng: np.random.Generator) -> Rows:
        """Around centres: half of the students stay as they are."""
        chosen = centres[rng.integers(len(centres), size=NEAR_ARCHITECTURES)]
        moved = self.axes.near(chosen, spread, rng)
        same = np.ix_(np.arange(0, NEAR_ARCHITECTURES, 2), np.array(self._shaping, dtype=int))
        moved[same] = np.where(self.axes.drawable(chosen), chosen, moved)[same]
        of = rng.integers(NEAR_ARCHITECTURES, size=NEAR)
        rows = self.axes.near(chosen[of], spread, rng)
        rows[:, self._shaping] = moved[of][:, self._shaping]
        return self.axes.settled(rows)

    def _possible(self, rows: Rows) -> tuple[Rows, Array]:
        """The rows of students that can be built and keep to the limits on what is known, with these facts."""
        facts = self.facts_of(rows)
        limits = np.array([np.inf if limit is None else limit for limit in self._limits])
        kept = ~(facts == np.inf).any(axis=1) & ~(facts > limits).any(axis=1)
        return rows[kept], facts[kept]

    def facts_of(self, rows: Rows) -> Array:
        """(rows, objectives) that are known; NaN if not, infinite if there is no such student."""
        if not self._shaping:
            return np.full((len(rows), len(self._objectives)), np.nan)
        shaped = np.nan_to_num(rows[:, self._shaping], nan=-1.0)
        _, first, which = np.unique(shaped, axis=0, return_index=True, return_inverse=True)
        found = np.array([self._fact(rows[place], shaped[place].tobytes()) for place in first], dtype=float)
        return found.reshape(len(first), len(self._objectives))[which.ravel()]

    def _fact(self, row: Array, key: bytes) -> tuple[float, ...]:
        if key not in self._facts:
            self._facts[key] = self._known(self.axes.params(row))
        fact = self._facts[key]
        if fact is None:
            return (np.inf,) * len(self._objectives)
        return tuple(np.nan if value is None else value for value in fact)
