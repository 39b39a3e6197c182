"""What a transfer set brought: trials that draw from it against trials that do not. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.analysis.rungs import kind_of
from bertdistill.engine.contract.events import finite

SHARE = "transfer_share"


@dataclass(frozen=True)
class TransferGain:
    """The metric of trials with a transfer set and of those without."""

    metric: str
    mean_with: float
    mean_without: float
    trials_with: int
    trials_without: int
    pairs: int
    """Groups of trials that differ in their share alone; the means are over these. 0: none, so over all trials."""
    difference: float
    """With minus without; over pairs, the mean of their differences."""
    spread: float | None
    """Standard deviation of the pairs' differences; None with fewer than two."""


def transfer_gain(outcomes: Sequence[Outcome], metric: str) -> TransferGain | None:
    """The gain in `metric` over the complete trials; None unless there are trials of both kinds.

    Trials that do not learn from the teacher (alpha 0) are of neither: their share has no effect.
    """
    groups: dict[tuple[Any, ...], tuple[list[float], list[float]]] = defaultdict(lambda: ([], []))
    for one in outcomes:
        value, kind = finite(one.values.get(metric)), kind_of(one.settings)
        if one.complete and value is not None and kind != "plain":
            groups[_others(one.settings)][kind == "transfer"].append(value)
    pairs = [group for group in groups.values() if all(group)]
    chosen = pairs or list(groups.values())
    without, with_it = ([value for group in chosen for value in group[kind]] for kind in (0, 1))
    if not without or not with_it:
        return None
    gaps = [mean(group[1]) - mean(group[0]) for group in pairs]
    return TransferGain(
        metric=metric,
        mean_with=mean(with_it),
        mean_without=mean(without),
        trials_with=len(with_it),
        trials_without=len(without),
        pairs=len(pairs),
        difference=mean(gaps) if gaps else mean(with_it) - mean(without),
        spread=stdev(gaps) if len(gaps) > 1 else None,
    )


def _others(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """All settings but the share, in a form that can be compared."""
    return tuple((name, repr(value)) for name, value in sorted(settings.items()) if name != SHARE)
