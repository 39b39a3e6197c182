"""What a study looks like now: its trials ranked, with gains and parents, in one frozen value. It writes nothing.

The command line prints it and the screens draw it, so both always agree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any

from bertdistill.app.text.format import metric, value_of
from bertdistill.app.text.format import spread as spread_text
from bertdistill.app.text.safe import safe_line
from bertdistill.engine.analysis.outcomes import at_chance, size_and_score, teacher_sizes
from bertdistill.engine.contract.imported import IMPORTED
from bertdistill.engine.contract.metrics import COUNTS
from bertdistill.engine.pareto.frontier import Objective, RankedRow
from bertdistill.engine.pareto.repeats import Measured, Repeats, gains_in_time, grouped, ranking_of
from bertdistill.engine.runner.budget import in_budget
from bertdistill.engine.study.measured import measured
from bertdistill.engine.study.outline import LOG, Outline, outline
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store import reads
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Screened, Study, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.engine.analysis.certainty import Certainty  # numpy: the first picture does without
    from bertdistill.engine.contract.facts import Prepared
    from bertdistill.engine.study.study_spec import StudySpec

WHOLE = (*COUNTS, "bytes")
"""Metrics that are whole numbers."""


@dataclass(frozen=True)
class StudyView:
    """One study at one moment. `trials` are in ranked order, unranked ones after them by number."""

    study: Study
    outline: Outline
    trials: tuple[Trial, ...]
    ranked: Mapping[int, RankedRow[int]] = field(default_factory=dict)
    """By trial number; only complete trials with every objective are ranked. Repeats share a row, by their means."""
    repeats: Mapping[int, Repeats[int]] = field(default_factory=dict)
    """By trial number, the point of each ranked trial that another one repeats."""
    gain: Mapping[int, float] = field(default_factory=dict)
    """What each feasible trial added to the hypervolume (in the unit box) when it finished, in that order; a repeat may
    take away from it.
    """
    hypervolume: float = 0.0
    measured: Mapping[int, Mapping[str, float | None]] = field(default_factory=dict)
    """All metrics of each complete trial, by its number."""
    tally: Mapping[str, int] = field(default_factory=dict)
    """Trials by state, in the order of the states, without zeros."""
    finished: int = 0
    """Trials that have ended and count against the budget."""
    typical_seconds: float | None = None
    """Median worker time of complete trials."""
    running: tuple[Trial, ...] = ()
    waiting: tuple[Trial, ...] = ()
    places: Mapping[int, int] = field(default_factory=dict)
    """Where in `trials` each trial stands, by its number."""
    baseline_number: int | None = None
    certainty: Certainty | None = None
    """How sure scores and the frontier are, once that was computed: see `certain`."""
    screened: tuple[Screened, ...] = ()
    """Sub-networks that were evaluated without training."""
    cause: str = ""
    """Why it is complete although its budget is not used up, as its runner said."""

    @property
    def needs_runner(self) -> bool:
        """Whether it stands still without a runner; logged runs have none."""
        return self.study.kind != LOG and self.study.state == StudyState.RUNNING

    @property
    def spec(self) -> StudySpec:
        """The whole spec in force; ConfigError where it is no longer valid, and of logged runs."""
        return self.outline.whole

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return self.outline.objectives

    @property
    def scores(self) -> list[str]:
        """The metrics of the objectives, in their order; a size among them has no curve."""
        return [objective.metric for objective in self.objectives]

    @property
    def frontier(self) -> list[Trial]:
        """The frontier trials in ranked order; of repeats the first one, which stands for their point."""
        return [t for t in self.trials if (row := self.ranked.get(t.number)) and row.on_frontier and self.leads(t)]

    @property
    def baseline(self) -> Trial | None:
        return None if self.baseline_number is None else self.trial(self.baseline_number)

    @cached_property
    def facts(self) -> Prepared:
        """What the preparation found; empty until it is done."""
        from bertdistill.engine.contract.facts import Prepared  # 8 ms that the list of studies does without

        return Prepared.from_dict(self.study.prepared)

    @property
    def teacher(self) -> dict[str, float | None]:
        """The teacher's size, costs and scores on the validation split; empty until the preparation is done."""
        measured = {**self.facts.teacher_costs, **self.facts.teacher_metrics}
        return {**teacher_sizes(self.facts, self.study.task), **{name: value_of(measured, name) for name in measured}}

    @property
    def classifies(self) -> bool:
        """Whether its answers are labels, so that two models can be joined into a cascade."""
        task = TASKS.get(self.study.task)
        return task is not None and not task.spans

    @property
    def weak_teacher(self) -> str:
        """Why the teacher has nothing to teach, as the preparation found; empty when it is better than chance."""
        return self.facts.weak_teacher

    @property
    def chance(self) -> dict[str, float]:
        """Scores of a model that has learnt nothing, by metric; empty until the preparation is done."""
        found = (self.study.prepared or {}).get("chance")  # not from `facts`: every list asks, and few need the rest
        return dict(found) if isinstance(found, Mapping) else {}

    def at_chance(self, trial: Trial) -> bool:
        """Whether its score is one that says nothing."""
        return at_chance(self.objectives, self.values(trial), self.chance)

    def values(self, trial: Trial) -> Mapping[str, float | None]:
        """Metrics known before training, then those measured so far."""
        return self.measured[trial.number] if trial.number in self.measured else all_metrics(trial)

    def means(self, trial: Trial) -> Mapping[str, float | None]:
        """The same of its point: the means over its repeats."""
        found = self.repeats.get(trial.number)
        return self.values(trial) if found is None else found.means

    def spread(self, trial: Trial, name: str) -> float | None:
        """Standard deviation of a metric over the seeds of its point; None if it was not repeated or does not vary."""
        found = self.repeats.get(trial.number)
        return None if found is None else found.spreads.get(name)

    def leads(self, trial: Trial) -> bool:
        """Whether it stands for its point: the first of its repeats, and every trial that has none."""
        found = self.repeats.get(trial.number)
        return found is None or found.first == trial.number

    def trial(self, number: int) -> Trial | None:
        place = self.places.get(number)
        return None if place is None else self.trials[place]

    def parent(self, trial: Trial) -> Trial | None:
        """The trial that this one is a rerun of."""
        if trial.parent_id is None:
            return None
        return next((t for t in self.trials if t.id == trial.parent_id), None)

    def position(self, number: int) -> int | None:
        """Place in the ranked list, from 1; repeats share theirs."""
        return self._positions.get(number)

    @property
    def points(self) -> int:
        """How many points are ranked."""
        return max(self._positions.values(), default=0)

    @cached_property
    def _positions(self) -> dict[int, int]:
        found, place = dict[int, int](), 0
        for number in self.ranked:
            group = self.repeats.get(number)
            place += group is None or group.first == number
            found[number] = place
        return found

    @property
    def extra(self) -> list[Trial]:
        """Trials beyond the budget that have still to end: reruns. Logged runs have no budget."""
        return [t for t in (*self.running, *self.waiting) if self.outline.trials and not in_budget(t)]

    @property
    def _ahead(self) -> tuple[float, int]:
        """Trials done, running ones by their share, and those that they are a part of."""
        done = self.finished + sum(t.progress for t in self.running)
        return done, max(1, self.outline.trials or len(self.trials)) + len(self.extra)

    def progress(self) -> float:
        """How much is done of the budget and of what still runs beyond it, from 0 to 1."""
        done, whole = self._ahead
        return min(1.0, done / whole)

    def seconds_left(self, slots: int) -> float | None:
        """Time to the end of the budget at `slots` trials at once, from how long finished ones took; None: no idea."""
        budget = self.outline.trials
        if not budget or self.typical_seconds is None or self.study.state != StudyState.RUNNING:
            return None
        done, whole = self._ahead
        return (whole - done) * self.typical_seconds / max(1, slots) if done < whole else None


def read_view(db: Database, name: str) -> StudyView:
    """Read one study in a single transaction; NotFound names the nearest study."""
    with db.read() as session:
        study = reads.study(session, name)
        trials = reads.trials(session, study.id)
        screened, cause = reads.screened(session, study.id), cause_of(session, study)
    return replace(make_view(study, outline(study), trials), screened=tuple(screened), cause=cause)


def cause_of(session: Reading, study: Study) -> str:
    """What its runner noted when it ended the study before its budget was used up; empty for any other study."""
    if study.state != StudyState.COMPLETE:
        return ""
    noted = reads.notices(session, study_id=study.id)
    return next((n.text for n in noted if n.trial_id is None and (n.level, n.at) == ("info", study.finished_at)), "")


def make_view(study: Study, known: Outline, trials: Sequence[Trial], before: StudyView | None = None) -> StudyView:
    """Rank the trials; pure. `before` is an older view of the same study: what holds of it still is not made again."""
    if study.kind == LOG:
        from bertdistill.engine.study.observed import observed_space  # a space takes 30 ms that searches do without

        space = observed_space([t.params for t in trials])
        known = replace(known, observed=space, searched={one.name: one.choices for one in space})
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    values = {t.number: all_metrics(t) for t in complete}
    if before is not None and (before.objectives, before.measured) == (known.objectives, values):
        ranked, gain = dict(before.ranked), before.gain  # another dict: screens take the same one for nothing new
        repeats, certainty = before.repeats, before.certainty
    else:
        certainty = None
        rows = measured(complete, lambda t: values[t.number])
        groups = grouped(list(rows.values()), known.objectives)
        ranked = {row.key: row for row in ranking_of(groups, known.objectives)}
        repeats = {number: group for group in groups if len(group.members) > 1 for number in group.members}
        feasible = [t for t in complete if t.number in ranked and ranked[t.number].feasible]
        gain = _gains(feasible, rows, known.objectives)
    order = {number: place for place, number in enumerate(ranked)}
    states = Counter(t.state for t in trials)
    took = [t.busy_seconds for t in complete if t.busy_seconds > 0]
    in_order = tuple(sorted(trials, key=lambda t: (order.get(t.number, len(order)), t.number)))
    return StudyView(
        study,
        known,
        in_order,
        ranked,
        repeats,
        gain,
        sum(gain.values()),
        values,
        {state.value: number for state in TrialState if (number := states[state])},
        sum(t.finished_at is not None for t in trials if in_budget(t) or not known.trials),
        median(took) if took else None,
        tuple(t for t in in_order if t.state == TrialState.RUNNING),
        tuple(t for t in in_order if t.state == TrialState.WAITING),
        {t.number: place for place, t in enumerate(in_order)},
        next((t.number for t in in_order if t.origin == "baseline"), None),
        certainty,
    )


def _gains(
    trials: Sequence[Trial], rows: Mapping[int, Measured[int]], objectives: Sequence[Objective]
) -> dict[int, float]:
    in_time = sorted(trials, key=lambda t: (t.finished_at or 0.0, t.number))
    added = gains_in_time([rows[t.number] for t in in_time], objectives)
    return {t.number: gain for t, gain in zip(in_time, added, strict=True)}


def all_metrics(trial: Trial) -> dict[str, float | None]:
    """Metrics known before training, then those measured; what is not a finite number is None."""
    merged: dict[str, Any] = {**trial.known, **trial.metrics}
    values = {name: value_of(merged, name) for name in merged}
    return values | {name: round(value) for name in WHOLE if (value := values.get(name)) is not None}


def columns(view: StudyView) -> list[str]:
    """Metric columns of a table: the objectives, then what the study stores."""
    return list(dict.fromkeys([*(o.metric for o in view.objectives), *view.outline.stored]))


def differences(settings: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings that differ, as {name: (value in other, value in settings)}; None where the family does not use it."""
    from bertdistill.engine.study.scopes import setting_of  # with all families 30 ms: only this needs them

    names = dict.fromkeys([*settings, *other])
    pairs = {name: (setting_of(other, name), setting_of(settings, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


# --------------------------------------------------------------------------------------------------------------- chart


def remark(view: StudyView, trial: Trial) -> str:
    """What is worth a word about a trial: baseline, lineage, what dominates it, why it ended badly."""
    ranked = view.ranked.get(trial.number)
    words = ["at chance"] if ranked and view.at_chance(trial) else []
    if trial.origin == "baseline":
        words.append("baseline")
    if trial.origin == IMPORTED and trial.note:
        words.append(safe_line(trial.note.splitlines()[0], 40))  # what its tracker calls it
    if parent := view.parent(trial):
        words.append(f"rerun of #{parent.number}")
    if ranked and not ranked.feasible:
        words.append("misses a threshold")
    elif ranked and ranked.dominated_by is not None:
        words.append(f"dominated by #{ranked.dominated_by}")
    if repeated := repeat_words(view, trial):
        words.append(repeated)
    if trial.reason:
        words.append(safe_line(trial.reason))
    return ", ".join(words)


def repeat_words(view: StudyView, trial: Trial) -> str:
    """`87.30 ± 0.41, 3 seeds` of the first of several repeats, of the others `repeat of #4` before; else empty."""
    group = view.repeats.get(trial.number)
    if group is None:
        return ""
    words = f"{with_spread(view, trial, chart_axes(view)[1])}, {seeds_words(group)}"
    return words if view.leads(trial) else f"repeat of #{group.first}: {words}"


def seeds_words(group: Repeats[int]) -> str:
    """`3 seeds`; a seed that ran twice is one."""
    return f"{group.seeds} seeds" if group.seeds > 1 else f"one seed {len(group.members)} times"


def with_spread(view: StudyView, trial: Trial, name: str) -> str:
    """`87.30 ± 0.41`: the mean over the repeats of its point, and their standard deviation if there is one."""
    mean, spread = metric(name, view.means(trial).get(name)), view.spread(trial, name)
    return mean if spread is None else f"{mean} ± {spread_text(name, spread)}"


def chart_axes(view: StudyView, x: str = "", y: str = "") -> tuple[str, str]:
    """Metrics of the two axes: a size on x and a score on y when the objectives allow it.

    Runs that were only logged may have no objectives: then they are the first two metrics of the list.
    """
    if not view.objectives:
        names = [*view.outline.stored, ""]
        return x or names[0], y or next((name for name in names if name != (x or names[0])), "")
    return size_and_score(view.objectives, x, y)
