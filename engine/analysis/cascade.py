"""A cascade of two classifiers: the small one answers what it is sure of, the large one the rest.

Everything follows from logits of the validation split: no model runs. Temperature and threshold are chosen on that
split too, so its scores are a little optimistic; a promotion measures the chosen cascade on the report split. The
router is the calibrated confidence of the small model (Schwartz et al. 2020, arXiv 2004.07453). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bertdistill.engine.analysis.joined import COSTS, Joined
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.events import finite
from bertdistill.engine.tasks.routing import confidence, passed_on, table_of, table_scores

Array = NDArray[Any]
POINTS = 41
"""Points of a curve, as far as the confidences differ: every 2.5 % of the examples."""
SEARCHED = 1001
"""Thresholds among which a target score is searched."""
SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares at which pairs of frontier trials are tried as points of the frontier."""
EVERYTHING = math.nextafter(1.0, 2.0)
"""The threshold that passes on every example; no confidence is above 1."""


@dataclass(frozen=True)
class Member:
    """A model in a cascade."""

    name: str
    """`#7` or `teacher`."""
    logits: Array
    """(n, labels) of the validation split."""
    temperature: float
    """See `fit_temperature`; only that of the small model is used."""
    values: Mapping[str, float | None]
    """Metrics, among them those of `joined.COSTS`."""
    units: str = ""
    """What it reads: "" are the teacher's tokens."""
    tokenizer_ms: float | None = None
    """CPU time of tokenising one text for it; None if not measured."""

    def cost(self, metric: str) -> float | None:
        """Its cost of one example, without the tokenizer; None if it was not measured."""
        value = finite(self.values.get(metric))
        if value is None or (metric == "throughput" and not value):
            return None
        return 1000 / value if metric == "throughput" else float(value)


@dataclass(frozen=True)
class Cost:
    """What one example costs: the small model and its tokenizer always, the large one for what is passed on."""

    metric: str
    small: float
    large: float
    tokenizer: float = 0.0
    """0 if it was not measured, or if the metric does not count it."""
    tokenizer_again: float = 0.0
    """Of the large model, if it reads other units."""

    @property
    def unit(self) -> str:
        return COSTS[self.metric]

    def mean(self, share: float) -> float:
        """Over all examples, if this share of them is passed on."""
        return self.tokenizer + self.small + share * (self.tokenizer_again + self.large)


@dataclass(frozen=True)
class Cut:
    """A threshold and what it brings on the validation split. Scores are in percent."""

    threshold: float
    share: float
    """Of the examples: those of a confidence below the threshold, which the large model answers."""
    scores: Mapping[str, float]
    random: Mapping[str, float]
    """Of the expected table of counts if the same share were chosen at random; for accuracy the exact mean."""
    cost: float
    """Mean cost of one example, in the unit of `Cost`."""


@dataclass(frozen=True)
class Cascade:
    """Two models, the cheaper first, on the examples whose labels are `truth` (n,)."""

    small: Member
    large: Member
    truth: Array
    scores: tuple[str, ...]
    """Names of the scores of the task."""
    cost: Cost

    @cached_property
    def _confidence(self) -> Array:
        return confidence(self.small.logits, self.small.temperature)

    @cached_property
    def _alone(self) -> tuple[Array, Array]:
        """The tables of counts of the small and of the large model."""
        size = self.small.logits.shape[1]
        small, large = (table_of(self.truth, one.logits.argmax(axis=1), size) for one in (self.small, self.large))
        return small, large

    @cached_property
    def _sorted(self) -> Array:
        return np.sort(self._confidence)

    @cached_property
    def _possible(self) -> Array:
        """How many examples a threshold can pass on: examples of equal confidence go together."""
        rising = np.flatnonzero(np.diff(self._sorted) > 0) + 1
        return np.concatenate([[0], rising, [len(self.truth)]])

    def _table(self, to_large: Array) -> Array:
        small, large = self.small.logits.argmax(axis=1), self.large.logits.argmax(axis=1)
        return table_of(self.truth, np.where(to_large, large, small), self.small.logits.shape[1])

    def _scored(self, table: Array) -> dict[str, float]:
        found = table_scores(table)
        return {name: found[name] for name in self.scores if name in found}

    def cut(self, count: int) -> Cut:
        """Pass on the `count` examples of the least confidence; `count` must be a possible one."""
        threshold = self._threshold(count)
        return self._cut(threshold, passed_on(self._confidence, threshold))

    def _threshold(self, count: int) -> float:
        """Midway between two confidences: rounding in another process then changes nothing."""
        if count == len(self.truth):
            return EVERYTHING
        return 0.0 if count == 0 else float((self._sorted[count - 1] + self._sorted[count]) / 2)

    def _cut(self, threshold: float, to_large: Array) -> Cut:
        share = float(to_large.mean())
        small, large = self._alone
        expected = self._scored((1 - share) * small + share * large)
        return Cut(threshold, share, self._scored(self._table(to_large)), expected, self.cost.mean(share))

    def curve(self, points: int = POINTS) -> tuple[Cut, ...]:
        """From the small model alone to the large one for everything, at evenly spaced shares."""
        wanted = np.linspace(0, len(self.truth), points)
        return tuple(self.cut(int(count)) for count in np.unique(self._nearest(wanted)))

    def _nearest(self, counts: Array) -> Array:
        after = np.searchsorted(self._possible, counts).clip(1, len(self._possible) - 1)
        low, high = self._possible[after - 1], self._possible[after]
        return np.asarray(np.where(counts - low <= high - counts, low, high))

    # ------------------------------------------------------------------------------------------------------- targets

    def at_share(self, share: float) -> Cut:
        """The threshold that comes closest to passing on this share (0 to 1)."""
        if not 0 <= share <= 1:
            raise ActionRefused(f"a share is between 0 and 1, not {share:g}", hint="For 20 %, write 0.2.")
        return self.cut(int(self._nearest(np.array([share * len(self.truth)]))[0]))

    def reachable(self, share: float) -> tuple[float, float] | None:
        """If no threshold passes on this share, because it lies among examples of equal confidence: the nearest ones.

        One below and one above. None if there is one, to the nearest example.
        """
        count = round(share * len(self.truth))
        after = int(np.searchsorted(self._possible, count))
        if not 0 <= share <= 1 or self._possible[after] == count:
            return None
        low, high = self._possible[after - 1 : after + 1] / len(self.truth)
        return float(low), float(high)

    def at_score(self, metric: str, score: float) -> Cut:
        """The smallest share that reaches this score; ActionRefused, with the best one, if none does."""
        cuts = self.curve(SEARCHED)
        found = next((one for one in cuts if one.scores[metric] >= score), None)
        if found is None:
            best = max(cuts, key=lambda one: one.scores[metric])
            raise ActionRefused(
                f"{self.small.name} and {self.large.name} reach no {metric} of {score:g}",
                hint=f"Their best is {best.scores[metric]:.2f}, with {best.share:.0%} passed on.",
            )
        return found

    def at_cost(self, cost: float) -> Cut:
        """The largest share whose mean cost is not above this one; ActionRefused if the small model alone is."""
        least, most = self.cost.mean(0.0), self.cost.mean(1.0)
        if cost < least or math.isnan(cost):
            raise ActionRefused(
                f"no cascade of {self.small.name} costs {cost:g} {self.cost.unit} or less",
                hint=f"Alone it costs {least:.4g} {self.cost.unit}.",
            )
        count = len(self.truth) * min(1.0, (cost - least) / (most - least) if most > least else 1.0)
        return self.cut(int(self._possible[self._possible <= count + 1e-9][-1]))

    def oracle(self, hard: Sequence[bool]) -> Cut:
        """Routing by the teacher itself: it answers the examples whose prediction changes when words are shuffled.

        That takes two teacher runs an example, so it is no router: its cost here leaves them out.
        """
        flags = np.asarray(hard, bool)
        if flags.shape != self.truth.shape:
            raise ActionRefused(f"{flags.size} flags of hard examples for {len(self.truth)} examples")
        return self._cut(math.nan, flags)

    def closed(self, cut: Cut, metric: str) -> float | None:
        """Share of the gap between the two models that it closes; None if the large one is no better."""
        low, high = (one.scores[metric] for one in (self.cut(0), self.cut(len(self.truth))))
        return (cut.scores[metric] - low) / (high - low) if high > low else None


def join(
    first: Member, second: Member, truth: Array, scores: Sequence[str], *, metric: str = "", prefer: Sequence[str] = ()
) -> Cascade:
    """The cascade of two models in either order: the cheaper one is asked first.

    `metric` is the cost (one of `joined.COSTS`), by default the first of `prefer` and then of the others that both
    have. Raises ActionRefused if there is none or if the outputs do not belong to the same examples and labels.
    """
    for one in (first, second):
        if one.logits.shape != first.logits.shape or len(one.logits) != len(truth) or one.logits.ndim != 2:
            raise ActionRefused(
                f"the outputs of {first.name} and {second.name} are not of the same examples and labels: "
                f"{first.logits.shape}, {second.logits.shape} for {len(truth)} examples",
                hint="The members of a cascade are trials of one study.",
            )
    cost = _cost(first, second, metric, prefer)
    if cost.large < cost.small:
        first, second, cost = second, first, _cost(second, first, cost.metric, ())
    return Cascade(first, second, truth, tuple(scores), cost)


def _cost(small: Member, large: Member, metric: str, prefer: Sequence[str]) -> Cost:
    both = [name for name in COSTS if small.cost(name) is not None and large.cost(name) is not None]
    chosen = metric or next((name for name in (*prefer, *both) if name in both), "")
    if chosen not in both:
        have = f"Costs of both: {', '.join(both)}." if both else "Store latency_cpu_ms: add it to metrics.stored."
        raise ActionRefused(f"{small.name} and {large.name} have no common {chosen or 'cost metric'}", hint=have)
    first, second = small.cost(chosen), large.cost(chosen)
    assert first is not None
    assert second is not None
    if COSTS[chosen] != "ms":
        return Cost(chosen, first, second)
    again = 0.0 if large.units == small.units else large.tokenizer_ms or 0.0
    return Cost(chosen, first, second, small.tokenizer_ms or 0.0, again)


def points(members: Sequence[Member], truth: Array, scores: Sequence[str]) -> list[Joined]:
    """Every pair of members that has a common cost, at `SHARES`, as points beside the trials."""
    found: list[Joined] = []
    for place, first in enumerate(members):
        for second in members[place + 1 :]:
            try:
                found += _pair(join(first, second, truth, scores))
            except ActionRefused:
                continue
    return found


def _pair(cascade: Cascade) -> list[Joined]:
    small, large = cascade.small, cascade.large
    costs = {name: (a, b) for name in COSTS if (a := small.cost(name)) is not None and (b := large.cost(name))}
    found = []
    for cut in {one.threshold: one for one in map(cascade.at_share, SHARES)}.values():
        means = {name: a + cut.share * b for name, (a, b) in costs.items()}
        if "throughput" in means:
            means["throughput"] = 1000 / means["throughput"]
        found.append(Joined(small.name, large.name, cut.share, {**cut.scores, **means}, cut.random))
    return found
