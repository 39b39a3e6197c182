"""What past trials teach about parameter sets that were not tried, and the one that promises the most hypervolume.

Known metrics count exactly, scores are modelled, and trials that still run are taken to end as expected. It proposes
nothing that may not be proposed, but whether that is so is asked of others.
"""

from __future__ import annotations

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
"""Random candidates, and how many different students they are of: sizes of a student are worked out in 0.4 ms."""
NEAR, NEAR_ARCHITECTURES = 1024, 64
CENTRES = 16
LINEAR = False
SPREADS = (0.1, 0.03)
"""Standard deviations around a centre, as fractions of a parameter's range."""
MOST_TRIALS = 500
LOOKED_AT = 200
"""Best candidates of which one must be new."""

SHAPING = frozenset({"family", "weights", "transfer_share"})
"""Keys of training that change the size of a student, too."""


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
    ) -> None:
        """`limits` are the oriented thresholds."""
        self.axes, self._objectives, self._limits, self._known = axes, objectives, limits, known
        self._evidence = evidence
        self._facts: dict[bytes, tuple[float | None, ...] | None] = {}
        self._shaping = [i for i, axis in enumerate(axes.axes) if shapes(axis.whole)]
        self._rows = axes.rows([one.params for one in evidence])
        self._known_of = self._facts_of(self._rows)
        self.known = ~np.isnan(self._known_of).any(axis=0)
        self._unit = _Unit(self._known_of[:, self.known])
        self._wanted = [i for i, objective in enumerate(objectives) if not objective.constraint]
        self._processes = {i: self._process(i) for i in np.flatnonzero(~self.known)}

    # ---------------------------------------------------------------------------------------- processes

    def inputs(self, rows: Rows, facts: Array) -> Array:
        """What the processes see of rows: parameters, and what is known of the students."""
        return np.hstack([self.axes.columns(rows), self._unit(facts[:, self.known])])

    @cached_property
    def groups(self) -> Array:
        first = int(self.axes.groups.max(initial=-1)) + 1
        return np.concatenate([self.axes.groups, first + np.arange(int(self.known.sum()))])

    @cached_property
    def _inputs(self) -> Array:
        return self.inputs(self._rows, self._known_of)

    @cached_property
    def _running(self) -> Array:
        return np.array([one.running for one in self._evidence], dtype=bool)

    def _process(self, i: int) -> Process:
        """Of one objective. A constraint that is not aimed at is like any other."""
        return self._of([None if one.running else one.values[i] for one in self._evidence])

    def _of(self, values: Sequence[float | None]) -> Process:
        seen = np.array([value is not None for value in values], dtype=bool)
        y = np.array([value for value in values if value is not None], dtype=float)
        linear = np.flatnonzero(self.groups > self.axes.groups.max(initial=-1)) if LINEAR else None
        found = Process(self._inputs[seen], y, self.groups, linear=linear)
        return found.believing(self._inputs[self._running]) if self._running.any() and len(y) else found

    @cached_property
    def _hurdles(self) -> list[tuple[Process, float]]:
        """What must stay below a limit, beyond the objectives that are aimed at."""
        found = [
            (self._processes[i], float(limit))
            for i, limit in enumerate(self._limits)
            if limit is not None and i in self._processes and self._objectives[i].constraint
        ]
        if not all(one.runs for one in self._evidence):
            found.append((self._of([None if one.running else float(not one.runs) for one in self._evidence]), 0.5))
        if any(one.violation is not None for one in self._evidence):
            found.append((self._of([None if one.running else one.violation for one in self._evidence]), 0.0))
        return found

    # ------------------------------------------------------------------------------------------- gains

    def beliefs(self, rows: Rows, facts: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the objectives that are aimed at."""
        inputs, mean = self.inputs(rows, facts), facts[:, self._wanted].copy()
        sd = np.zeros_like(mean)
        for place, i in enumerate(self._wanted):
            if not self.known[i]:
                mean[:, place], sd[:, place] = self._processes[i].at(inputs)
        return mean, sd

    @cached_property
    def frontier(self) -> tuple[Array, Array, Array]:
        """Points as believed, the best of each coordinate, and the reference point."""
        counted = np.array([one.running or self._counts(one) for one in self._evidence], dtype=bool)
        mean, _ = self.beliefs(self._rows[counted], self._known_of[counted])
        seen = np.array(
            [[one.values[i] for i in self._wanted] for one in self._evidence if not one.running and self._counts(one)],
            dtype=float,
        ).reshape(-1, len(self._wanted))
        low = seen.min(axis=0, initial=np.inf)
        high = seen.max(axis=0, initial=-np.inf)
        corner = [
            self._limits[i] if self._limits[i] is not None else high[place] + MARGIN * ((high - low)[place] or 1.0)
            for place, i in enumerate(self._wanted)
        ]
        return mean, low, np.array(corner, dtype=float)

    @cached_property
    def _leading(self) -> Rows:
        """The rows of the frontier."""
        counted = np.array([one.running or self._counts(one) for one in self._evidence], dtype=bool)
        points = [tuple(point) for point in self.frontier[0].tolist()]
        found: Rows = self._rows[counted][np.array(non_dominated(points), dtype=bool)]
        return found

    def _counts(self, one: Evidence) -> bool:
        pairs = zip(one.values, self._limits, strict=True)
        return one.runs and all(v is not None and (limit is None or v <= limit) for v, limit in pairs)

    def gain(self, rows: Rows, facts: Array) -> Array:
        """The logarithm of the expected gain of hypervolume of each row."""
        mean, sd = self.beliefs(rows, facts)
        points, low, corner = self.frontier
        span = np.where(corner > low, corner - low, 1.0)
        found = np.log(np.maximum(expected_gain((mean - low) / span, sd / span, (points - low) / span), 1e-300))
        inputs = self.inputs(rows, facts)
        for process, limit in self._hurdles:
            mean, sd = process.at(inputs)
            found += log_ndtr((limit - mean) / sd)
        return found

    # -------------------------------------------------------------------------------------- candidates

    def candidates(self, rng: np.random.Generator) -> Iterator[dict[str, Value]]:
        """Parameter sets, the most promising first."""
        rows, facts = self._possible(self._drawn(rng))
        values = self.gain(rows, facts)
        for spread in SPREADS:
            best = rows[np.argsort(-values, kind="stable")[:CENTRES]]
            near, known = self._possible(self._near(np.vstack([best, self._leading]), spread, rng))
            rows, values = np.vstack([rows, near]), np.concatenate([values, self.gain(near, known)])
        for place in np.argsort(-values, kind="stable")[:LOOKED_AT]:
            yield self.axes.params(rows[place])

    def _drawn(self, rng: np.random.Generator) -> Rows:
        rows = self.axes.draw(rng, DRAWN)
        rows[:, self._shaping] = rows[rng.integers(ARCHITECTURES, size=DRAWN)][:, self._shaping]
        return self.axes.settled(rows)

    def _near(self, centres: Rows, spread: float, rng: np.random.Generator) -> Rows:
        """Around centres: of half of them the student stays as it is."""
        chosen = centres[rng.integers(len(centres), size=NEAR_ARCHITECTURES)]
        moved = self.axes.near(chosen, spread, rng)
        moved[::2, self._shaping] = np.where(np.isnan(chosen), moved, chosen)[::2, self._shaping]
        of = rng.integers(NEAR_ARCHITECTURES, size=NEAR)
        rows = self.axes.near(chosen[of], spread, rng)
        rows[:, self._shaping] = moved[of][:, self._shaping]
        return self.axes.settled(rows)

    def _possible(self, rows: Rows) -> tuple[Rows, Array]:
        """The rows of students that can be built and keep to the limits on what is known, with these facts."""
        facts = self._facts_of(rows)
        limits = np.array([np.inf if limit is None else limit for limit in self._limits])
        kept = ~(facts == np.inf).any(axis=1) & ~(facts > limits).any(axis=1)
        return rows[kept], facts[kept]

    def _facts_of(self, rows: Rows) -> Array:
        """(rows, objectives) that are known; NaN if not, infinite if there is no such student."""
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


class _Unit:
    """Columns scaled to the unit interval over the trials."""

    def __init__(self, columns: Array) -> None:
        self._low = columns.min(axis=0) if len(columns) else np.zeros(columns.shape[1])
        span = columns.max(axis=0) - self._low if len(columns) else np.ones(columns.shape[1])
        self._span = np.where(span > 0, span, 1.0)

    def __call__(self, columns: Array) -> Array:
        found: Array = (columns - self._low) / self._span
        return found
