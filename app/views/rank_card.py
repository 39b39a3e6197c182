"""Why a trial has its place in the ranked list, in a few sentences. Pure: it ranks nothing and reads no store.

`show` prints the sentences and the trial screen shows them, each with the trial that it speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertdistill.app.text import format as fmt
from bertdistill.app.views.certain import likely_words, luck_words, tied
from bertdistill.app.views.view import StudyView, seeds_words, with_spread
from bertdistill.engine.analysis.outcomes import Difference, difference
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.tasks.table import METRICS
from bertdistill.store.rows import Trial

if TYPE_CHECKING:
    from bertdistill.engine.analysis.scenarios import ScenarioTable

ORDER = "the frontier, then by distance to it in shares of the objectives' ranges, sizes as logarithms"
"""Why a small, weak trial may stand above a strong one: only those that are as small and better keep it back."""


@dataclass(frozen=True)
class Fact:
    """One sentence under one word; `trial` is the other trial that it speaks of."""

    name: str
    words: str
    trial: int | None = None


def rank_card(view: StudyView, trial: Trial, table: ScenarioTable) -> list[Fact]:
    """Place, what dominates it, what it lacks in each objective, its gain, and what it is the best trial for.

    `table` are the scenarios of the same study; they change only when a trial ends, so callers keep them.
    """
    return [
        *place(view, trial),
        *_repeats(view, trial),
        *_chance(view, trial),
        *_lacks(view, trial),
        *_gain(view, trial),
        *_uses(trial, table),
    ]


def place(view: StudyView, trial: Trial) -> Iterator[Fact]:
    """Its rank and what dominates it."""
    ranked = view.ranked.get(trial.number)
    if ranked is None:
        needed = "only complete trials with every objective are ranked"
        yield Fact("rank", f"none: {needed if view.objectives else 'the study has no objectives'}")
        return
    place = f"{view.position(trial.number)} of {view.points}"
    other = view.trial(ranked.dominated_by) if ranked.dominated_by is not None else None
    if ranked.on_frontier:
        chance = ", but its score is at chance level: it has learnt next to nothing" if view.at_chance(trial) else ""
        yield Fact("rank", f"{place}, on the frontier{chance}")
    elif not ranked.feasible:
        limits = ", ".join(f"{o.metric} {fmt.metric(o.metric, o.threshold)}" for o in _missed(view, trial))
        yield Fact("rank", f"{place}, misses the threshold {limits}")
    elif other is None:
        yield Fact("rank", place)
    else:
        mine, theirs = view.means(trial), view.means(other)
        pairs = [(o.metric, *(fmt.metric(o.metric, v.get(o.metric)) for v in (theirs, mine))) for o in view.objectives]
        by = ", ".join(f"{name} {above} against {here}" for name, above, here in pairs)
        yield Fact("rank", f"{place}, dominated by #{other.number} ({by})", other.number)
    if ranked.feasible and not ranked.on_frontier:
        yield Fact("order", ORDER)


def _repeats(view: StudyView, trial: Trial) -> Iterator[Fact]:
    """The other trials of its point and the means that give them all one rank."""
    group = view.repeats.get(trial.number)
    if group is None:
        return
    others = [number for number in group.members if number != trial.number]
    varied = [o.metric for o in view.objectives if o.metric in group.spreads]
    means = ", ".join(f"{name} {with_spread(view, trial, name)}" for name in varied) or "equal scores"
    names = ", ".join(f"#{number}" for number in others)
    yield Fact("repeats", f"{seeds_words(group)} with {names}: {means}; the mean is what is ranked", others[0])


def _chance(view: StudyView, trial: Trial) -> Iterator[Fact]:
    """How sure its place is, and what its score would be without luck."""
    if words := likely_words(view, trial):
        yield Fact("certainty", words + ("; tied with it" if tied(view, trial) else ""))
    if words := luck_words(view, trial):
        yield Fact("luck", words)


def _missed(view: StudyView, trial: Trial) -> list[Objective]:
    values = view.means(trial)
    return [o for o in view.objectives if not o.feasible(values.get(o.metric) or 0.0)]


def _lacks(view: StudyView, trial: Trial) -> Iterator[Fact]:
    """What it would have to make up in each objective: to the trial above it, or to the thresholds that it misses."""
    ranked = view.ranked.get(trial.number)
    if ranked is None or ranked.on_frontier:
        return
    mine = view.means(trial)
    if not ranked.feasible:
        gaps = [(o, o.threshold) for o in _missed(view, trial)]
        goal, number = "the threshold", None
    else:
        other = view.trial(ranked.dominated_by) if ranked.dominated_by is not None else None
        theirs = {} if other is None else view.means(other)
        gaps = [(o, theirs.get(o.metric)) for o in view.objectives]
        goal, number = f"#{other.number}" if other else "the frontier", other.number if other else None
    words = [_gap_words(o, mine.get(o.metric), value) for o, value in gaps]
    found = ", ".join(word for word in words if word)
    far = f"{100 * ranked.distance:.1f} % of the ranges away" if ranked.distance else ""
    yield Fact("distance", f"to {goal}: {'; '.join(part for part in (found, far) if part) or 'none'}", number)


def _gap_words(objective: Objective, value: float | None, other: float | None) -> str:
    """`exact 1.64 less`, `params 23 % more`; empty when the two are equal or one is missing."""
    gap = difference(objective.metric, value, other)
    if gap is None or not gap.absolute:
        return ""
    return (
        f"{objective.metric} {short_gap(objective.metric, gap).lstrip('+-')} {'more' if gap.absolute > 0 else 'less'}"
    )


def _gain(view: StudyView, trial: Trial) -> Iterator[Fact]:
    gain = view.gain.get(trial.number)
    if gain is not None:
        yield Fact("gain", f"{fmt.gain(gain)} of the hypervolume when it finished ({view.hypervolume:.3f} now)")


def _uses(trial: Trial, table: ScenarioTable) -> Iterator[Fact]:
    """The scenarios that this trial is the answer to, and which trial is the small one near the teacher."""
    from bertdistill.engine.analysis.scenarios import NEAR_TEACHER  # the first screen does without

    uses = [one.name for one in table.rows if one.number == trial.number and one.name != NEAR_TEACHER]
    if uses:
        yield Fact("best for", "; ".join(uses))
    near = next((one for one in table.rows if one.name == NEAR_TEACHER), None)
    if near is None:
        return
    if near.number is None:
        yield Fact(NEAR_TEACHER, near.remark)
    elif near.number == trial.number:
        yield Fact(NEAR_TEACHER, f"this one: {near.rule}")
    else:
        values = ", ".join(f"{name} {fmt.metric(name, value)}" for name, value in near.values.items())
        yield Fact(NEAR_TEACHER, f"{near.rule} is #{near.number} ({values})", near.number)


def short_gap(metric: str, gap: Difference | None) -> str:
    """`+1.64` for percentages and where a ratio says nothing, `-23 %` for all else; empty without a difference."""
    if gap is None:
        return ""
    known = METRICS.get(metric)
    if gap.percent is None or (known is not None and known.unit == "%"):
        sign = "+" if gap.absolute > 0 else "-" if gap.absolute < 0 else ""
        words = fmt.metric if gap.of_one or not gap.absolute else fmt.spread
        return sign + words(metric, abs(gap.absolute))
    if -100 < gap.percent <= -99.5:
        return f"{max(gap.percent, -99.9):.1f} %"  # something is left: not -100 %
    return f"{gap.percent:+.{0 if abs(gap.percent) >= 9.95 else 1}f} %" if gap.absolute else "0 %"
