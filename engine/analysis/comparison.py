"""Two to six trials side by side: how their settings differ, and their metrics relative to the first.

Pure: it reads no curves and prints nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bertdistill.engine.analysis.outcomes import (
    FEWEST_COMPARED,
    MOST_COMPARED,
    Difference,
    Outcome,
    difference,
)
from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.contract.events import finite
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.scopes import setting_of, split
from bertdistill.engine.tasks.table import METRICS

NEUTRAL = ("null_threshold",)
"""Tuned metrics: neither direction is better."""

Verdict = Literal["better", "worse", "equal", "tie", ""]
"""A metric relative to the first trial: `tie` if the difference is within its noise; empty if a value or a direction is
missing."""


@dataclass(frozen=True)
class SettingRow:
    """One setting across all trials, in their order."""

    name: str
    values: tuple[Any, ...]
    same: bool
    searched: bool


@dataclass(frozen=True)
class MetricRow:
    """One metric across all trials, in their order; differences are relative to the first, whose own is None."""

    name: str
    values: tuple[float | None, ...]
    differences: tuple[Difference | None, ...]
    verdicts: tuple[Verdict, ...]
    objective: bool
    spreads: tuple[float | None, ...] = ()
    """Standard deviation over seeds, where `values` are means over several."""


@dataclass(frozen=True)
class Comparison:
    """Trials side by side. Searched settings come first; objectives come first among the metrics."""

    numbers: tuple[int, ...]
    studies: tuple[str, ...]
    settings: tuple[SettingRow, ...]
    metrics: tuple[MetricRow, ...]
    seeds: tuple[int, ...] = ()
    """Over how many seeds the values of each trial are means."""

    @property
    def differing(self) -> tuple[SettingRow, ...]:
        """The settings that differ between trials."""
        return tuple(row for row in self.settings if not row.same)


Tie = Callable[[str, int, int, float], bool | None]
"""Whether a difference in a metric of two trials, by their places, is within its noise; None if that is not known."""


def compare(outcomes: Sequence[Outcome], objectives: Sequence[Objective], tie: Tie | None = None) -> Comparison:
    """Raises InvalidRequest for fewer than 2 or more than 6 trials, and for a duplicate trial."""
    if not FEWEST_COMPARED <= len(outcomes) <= MOST_COMPARED:
        raise InvalidRequest(f"compare takes {FEWEST_COMPARED} to {MOST_COMPARED} trials, not {len(outcomes)}")
    names = [(one.study, one.number) for one in outcomes]
    if len(set(names)) < len(names):
        raise InvalidRequest("a trial is named twice", hint="Name each trial once.")
    return Comparison(
        tuple(one.number for one in outcomes),
        tuple(one.study for one in outcomes),
        tuple(_setting_rows(outcomes)),
        tuple(_metric_rows(outcomes, objectives, tie)),
        tuple(one.seeds for one in outcomes),
    )


def _setting_rows(outcomes: Sequence[Outcome]) -> list[SettingRow]:
    searched = dict.fromkeys(split(name)[1] for one in outcomes for name in one.params)
    names = dict.fromkeys([*searched, *(name for one in outcomes for name in one.settings)])
    rows = []
    for name in names:
        values = tuple(
            setting_of(one.settings, name) if name in one.settings else one.params.get(name) for one in outcomes
        )
        rows.append(SettingRow(name, values, all(value == values[0] for value in values), name in searched))
    return rows


def _metric_rows(outcomes: Sequence[Outcome], objectives: Sequence[Objective], tie: Tie | None) -> list[MetricRow]:
    aimed = {objective.metric: objective.direction for objective in objectives}
    names = dict.fromkeys([*aimed, *(name for one in outcomes for name in one.values)])
    return [_metric_row(name, outcomes, aimed, tie) for name in names]


def _metric_row(name: str, outcomes: Sequence[Outcome], aimed: Mapping[str, str], tie: Tie | None) -> MetricRow:
    values = tuple(finite(one.values.get(name)) for one in outcomes)
    known = METRICS.get(name)
    better = aimed.get(name) or ("" if known is None or name in NEUTRAL else known.direction)
    gaps = [difference(name, value, values[0]) for value in values[1:]]
    close = [tie is not None and gap is not None and tie(name, 0, n, gap.absolute) for n, gap in enumerate(gaps, 1)]
    verdicts = [_verdict(gap, better, tie=bool(one)) for gap, one in zip(gaps, close, strict=True)]
    spreads = tuple(one.spreads.get(name) for one in outcomes)
    return MetricRow(name, values, (None, *gaps), ("", *verdicts), name in aimed, spreads)


def _verdict(gap: Difference | None, better: str, *, tie: bool) -> Verdict:
    if gap is None or not better:
        return ""
    if not gap.absolute:
        return "equal"
    if tie:
        return "tie"
    return "better" if (gap.absolute > 0) == (better == "maximize") else "worse"
