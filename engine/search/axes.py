"""Parameter sets as rows of numbers: drawn, moved, and encoded for a model.

A row has a number per parameter: its place from 0 to 1 in the whole range, the index of a category, or NaN while the
parameter is inactive. It knows no trials, no objectives and no optuna.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bertdistill.engine.search.encoding import LABELS, MOST_LABELS, rounded
from bertdistill.engine.study.cases import Cases
from bertdistill.engine.study.space import Parameter, Space, Value, contains, points

Rows = np.ndarray

MOST_LISTED = 200
"""A range of more whole numbers than this is drawn from as if it were continuous."""
SWAPPED = 0.2
"""Fraction of a centre's coordinates that are redrawn."""


@dataclass(frozen=True)
class Axis:
    """One parameter: its values in the whole range, and those that may be drawn."""

    whole: Parameter
    now: Parameter
    """The same parameter, perhaps narrowed."""

    @cached_property
    def listed(self) -> tuple[Value, ...]:
        """Every value, in order if they are numbers; empty for what is drawn as a continuous range."""
        values = points(self.whole)
        if values is None or (self.whole.kind != "choice" and len(values) > MOST_LISTED):
            return ()
        return values if self.category else tuple(sorted(values, key=float))

    @cached_property
    def category(self) -> bool:
        """Whether its values have no order: words, flags and numbers that are only labels."""
        values = points(self.whole)
        if values is None:
            return False
        label = self.whole.key in LABELS and len(values) <= MOST_LABELS
        words = self.whole.kind == "choice" and any(isinstance(one, (str, bool)) for one in values)
        return label or words

    @cached_property
    def continuous(self) -> bool:
        """Whether it is a range of numbers without steps."""
        return self.whole.kind == "float" and not self.listed

    @cached_property
    def places(self) -> np.ndarray:
        """Where each listed value is on the axis: choices by rank, so 16, 32, 48 and 64 are equally far apart."""
        count = len(self.listed)
        if self.category or self.whole.kind == "choice":
            return np.arange(count, dtype=float) / (1 if self.category else max(1, count - 1))
        return np.array([self._place(float(one)) for one in self.listed])

    @cached_property
    def allowed(self) -> np.ndarray:
        """The places of listed values that may be drawn."""
        return self.places[[contains(self.now, one) for one in self.listed]]

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The places between which is drawn, half a value beyond the last ones that are listed."""
        if self.listed:
            within = self.allowed
            first, last = (within[1] - within[0], within[-1] - within[-2]) if len(within) > 1 else (0.0, 0.0)
            return within[0] - first / 2, within[-1] + last / 2
        if self.now.kind == "choice":  # frozen at one value
            [value] = self.now.choices
            return self._place(float(value)), self._place(float(value))
        return self._place(self.now.low or 0.0), self._place(self.now.high or 0.0)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Places of random values."""
        return (
            self.allowed[rng.integers(len(self.allowed), size=count)]
            if self.category
            else self._settled(rng.uniform(*self.ends, size=count))
        )

    def move(self, places: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
        """Places near these, reflected at the ends: clipping would pile them up there. Categories are redrawn."""
        if self.category:
            kept = np.isin(places, self.allowed)
            return np.where(kept, places, self.draw(rng, len(places)))
        low, high = self.ends
        moved = places + spread * (high - low) * rng.standard_normal(len(places))
        return self._settled(np.clip(high - np.abs(high - low - np.abs(moved - low)), low, high))

    def is_drawable(self, places: np.ndarray) -> np.ndarray:
        """Whether each place may be drawn."""
        low, high = self.ends
        return np.isin(places, self.allowed) if self.listed else (low <= places) & (places <= high)

    def place(self, value: Value) -> float:
        """Where a value is; a number that is not listed, such as one a rounding away, counts as it is."""
        if value in self.listed:
            return float(self.places[self.listed.index(value)])
        return self._place(float(value))

    def value(self, place: float) -> Value:
        """The value at a place."""
        if self.listed:
            return self.listed[int(np.argmin(np.abs(self.places - place)))]
        if self.now.kind == "choice":
            return self.now.choices[0]
        low, high = self._bounds
        number = low + place * (high - low)
        number = math.exp(number) if self.whole.log else number
        if self.whole.kind == "float":
            return rounded(self.now, min(max(number, self.now.low or 0.0), self.now.high or 0.0))
        step, first = int(self.now.step or 1), int(self.now.low or 0)
        last = first + (int(self.now.high or 0) - first) // step * step
        return min(max(first + round((number - first) / step) * step, first), last)

    def columns(self, places: np.ndarray) -> np.ndarray:
        """(rows, columns) for a model: two categories are one apart, an inactive parameter is in the middle.

        Continuous ranges are compressed towards their ends. Their best value is hardly ever an end, but a model is
        least certain there, so proposals would pile up in the corners.
        """
        if not self.category:
            inner = np.nan_to_num(places, nan=0.5)
            found: np.ndarray = (1 - np.cos(math.pi * np.clip(inner, 0, 1))) / 2 if self.continuous else inner
            return found[:, None]
        one_hot: np.ndarray = math.sqrt(0.5) * (places[:, None] == self.places[None, :])
        return one_hot

    def _settled(self, places: np.ndarray) -> np.ndarray:
        if not self.listed:
            return places
        found: np.ndarray = self.allowed[np.abs(places[:, None] - self.allowed[None, :]).argmin(axis=1)]
        return found

    @cached_property
    def _bounds(self) -> tuple[float, float]:
        low, high = float(self.whole.low or 0.0), float(self.whole.high or 0.0)
        return (math.log(low), math.log(high)) if self.whole.log else (low, high)

    def _place(self, value: float) -> float:
        low, high = self._bounds
        return ((math.log(value) if self.whole.log else value) - low) / (high - low)


class Axes:
    """All parameters of a space; what is drawn is inside of `within`."""

    def __init__(self, space: Space, within: Space, cases: Cases) -> None:
        self.axes = [Axis(whole, now) for whole, now in zip(space, within, strict=True)]
        self._names = [parameter.name for parameter in space]
        self._cases = cases
        self._deciding = [i for i, name in enumerate(self._names) if name in cases.deciders]
        self._active: dict[tuple[float, ...], list[bool]] = {}
        self.groups = np.repeat(np.arange(len(self.axes)), [len(a.places) if a.category else 1 for a in self.axes])
        """The parameter that each column of `columns` belongs to."""

    def rows(self, sets: Sequence[Mapping[str, Value]]) -> Rows:
        """The rows of parameter sets."""
        return np.array(
            [
                [
                    axis.place(one[name]) if name in one else np.nan
                    for name, axis in zip(self._names, self.axes, strict=True)
                ]
                for one in sets
            ],
            dtype=float,
        ).reshape(len(sets), len(self.axes))

    def params(self, row: np.ndarray) -> dict[str, Value]:
        """The parameter set of a row: active parameters only."""
        pairs = zip(self._names, self.axes, row, strict=True)
        return {name: axis.value(place) for name, axis, place in pairs if not math.isnan(place)}

    def draw(self, rng: np.random.Generator, count: int) -> Rows:
        """Random rows."""
        return self._filled(np.full((count, len(self.axes)), np.nan), rng)

    def near(self, centres: Rows, spread: float, rng: np.random.Generator) -> Rows:
        """A row around each of these: numbers are moved, and a few coordinates redrawn."""
        found = np.where(rng.random(centres.shape) < SWAPPED, np.nan, centres)
        moved = [axis.move(found[:, i], spread, rng) for i, axis in enumerate(self.axes)]
        return self._filled(np.stack(moved, axis=1) if moved else found, rng)

    def drawable(self, rows: Rows) -> np.ndarray:
        """(rows, parameters) whether each place may be drawn; not if the parameter is inactive there."""
        found = [axis.is_drawable(rows[:, i]) for i, axis in enumerate(self.axes)]
        return np.stack(found, axis=1) if found else np.zeros(rows.shape, dtype=bool)

    def settled(self, rows: Rows) -> Rows:
        """The rows without the parameters that are inactive in them."""
        kinds, which = np.unique(rows[:, self._deciding], axis=0, return_inverse=True)
        masks = np.array(
            [self._mask(tuple(kind), rows[np.flatnonzero(which.ravel() == i)[0]]) for i, kind in enumerate(kinds)]
        )
        return np.where(masks[which.ravel()], rows, np.nan)

    def columns(self, rows: Rows) -> np.ndarray:
        """The rows as inputs of a model; `groups` says what each column is."""
        found = [axis.columns(rows[:, i]) for i, axis in enumerate(self.axes)]
        return np.hstack(found) if found else np.zeros((len(rows), 0))

    def _filled(self, rows: Rows, rng: np.random.Generator) -> Rows:
        drawn = [
            np.where(np.isnan(rows[:, i]), axis.draw(rng, len(rows)), rows[:, i]) for i, axis in enumerate(self.axes)
        ]
        return np.stack(drawn, axis=1) if drawn else rows

    def _mask(self, kind: tuple[float, ...], row: np.ndarray) -> list[bool]:
        if kind not in self._active:
            names = self._cases.active(self.params(row))
            self._active[kind] = [name in names for name in self._names]
        return self._active[kind]
