"""The ranked list as a table: its columns, their content and how they sort. It reads no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.certain import chance_words
from bertdistill.app.views.trial_columns import value_of
from bertdistill.app.views.view import StudyView, remark, seeds_words, with_spread
from bertdistill.app.widgets.cells import Cell, LateCells, Row, Tone
from bertdistill.app.widgets.columns import Column, value_column
from bertdistill.store.rows import Trial, TrialState

_RECIPE = 24
"""Cells of a recipe's name: it says what the trial is."""
_LONGEST = "0.0001234"
"""A value of a range may need as many cells."""
TONES: dict[str, Tone] = {
    "waiting": "dim",
    "running": "accent",
    "complete": "good",
    "pruned": "dim",
    "infeasible": "warn",
    "failed": "bad",
    "stopped": "dim",
}


def table_columns(view: StudyView, names: Sequence[str]) -> list[Column]:
    """Columns with the number first."""
    settled = _is_settled(view)
    found, choices = [Column("trial", "#", 5, "right")], view.outline.searched
    for name in names:
        match name:
            case "state" if settled:
                found.append(Column(name, "", 1))
            case "state":
                width = 12 if "infeasible" in view.tally else 10
                found.append(Column(name, name, width, grow=True, most=14))
            case "parameters":
                found.append(Column(name, name, 24, grow=True))
            case "note":
                found.append(Column(name, name, 18, grow=True, most=40))  # `misses a threshold`
            case "loss" | "gain":
                found.append(Column(name, name, max(6, len(name)), "right"))
            case "tags" | "origin":
                found.append(Column(name, name, 12))
            case "recipe":
                longest = max(map(len, map(fmt.setting, choices.get(name, ()))), default=len(name))
                found.append(Column(name, name, min(longest, _RECIPE), grow=True, most=longest))
            case _ if name in choices:
                found.append(value_column(name, name, _values(view, name)))
            case _:
                found.append(replace(value_column(name, name), width=max(7, len(name), _pooled_width(view, name))))
    return found


def _is_settled(view: StudyView) -> bool:
    """Whether all trials are complete: then their states need no words."""
    return set(view.tally) == {"complete"}


def _values(view: StudyView, name: str) -> list[str]:
    """What stands in the column of a parameter; of a range, what its first trials have."""
    if choices := view.outline.searched[name]:
        return [fmt.setting(choice) for choice in choices]
    found = [value for trial in view.trials[:20] if (value := value_of(trial, name)) is not None]
    return [*map(fmt.setting, found), *([_LONGEST] if any(isinstance(value, float) for value in found) else [])]


def _pooled_width(view: StudyView, name: str) -> int:
    """Cells of the longest mean with its spread."""
    leaders = (trial for trial in view.trials if trial.number in view.repeats and view.leads(trial))
    return max((len(with_spread(view, trial, name)) for trial in leaders), default=0)


class RowKeeper:
    """Makes the rows and keeps those of unchanged trials: of 1,000 trials a refresh changes two."""

    def __init__(self) -> None:
        self._for: tuple[Any, ...] = ()
        self._rows: dict[int, tuple[Trial, float | None, bool, bool, Row]] = {}

    def rows(
        self,
        view: StudyView,
        trials: Sequence[Trial],
        names: Sequence[str],
        losses: Mapping[int, float],
        marked: AbstractSet[int],
        *,
        ascii_only: bool,
        pooled: bool = True,
    ) -> list[Row]:
        """One row per trial, keyed by its number. A trial that was reread is another object and gets a new row.

        `pooled`: repeats of a point stand below its first trial, which has the means of all.
        """
        shared = (view.ranked, view.outline, tuple(names), ascii_only, view.certainty, _is_settled(view), pooled)
        shown = {trial.number for trial in trials} if view.repeats else frozenset()
        if len(self._for) != len(shared) or not all(a is b or a == b for a, b in zip(self._for, shared, strict=True)):
            self._for, self._rows = shared, {}
        rows = []
        for trial in trials:
            number = trial.number
            kept, loss, mark = self._rows.get(number), losses.get(number), number in marked
            group = view.repeats.get(number)
            below = pooled and group is not None and group.first != number and group.first in shown
            if kept is None or kept[0] is not trial or kept[1:4] != (loss, mark, below):
                place = Place(mark, below, pooled and group is not None and not below)
                row = _row(view, trial, names, losses, place, ascii_only=ascii_only)
                kept = self._rows[number] = (trial, loss, mark, below, row)
            rows.append(kept[4])
        return rows


@dataclass(frozen=True)
class Place:
    """Where a row stands: marked, below the first of its repeats, or itself that one, with the means of all."""

    mark: bool = False
    below: bool = False
    leads: bool = False


def _row(
    view: StudyView,
    trial: Trial,
    names: Sequence[str],
    losses: Mapping[int, float],
    place: Place,
    *,
    ascii_only: bool,
) -> Row:
    ranked = view.ranked.get(trial.number)
    star, cross, branch = ("*", "x", "`") if ascii_only else ("★", "×", "└")
    front = bool(ranked and ranked.on_frontier) and not place.below
    pale = trial.archived or (ranked is not None and not front)
    glyph = star if front else cross if ranked is not None and not ranked.feasible else ""
    glyph = branch if place.below else glyph

    def cells() -> tuple[Cell, ...]:
        number = Cell(f"{glyph}{trial.number}", "bright" if front else "plain")
        values = view.values(trial)
        own = (_cell(view, trial, name, values, losses, ascii_only=ascii_only) for name in names)
        pooled = _pooled(view, trial) if place.leads else {}
        return (number, *(pooled.get(name, cell) for name, cell in zip(names, own, strict=True)))

    return Row(trial.number, LateCells(cells), dim=pale, mark=place.mark)


def _pooled(view: StudyView, trial: Trial) -> dict[str, Cell]:
    """What the first of several repeats shows of all of them."""
    means = {objective.metric: Cell(with_spread(view, trial, objective.metric)) for objective in view.objectives}
    return {**means, "seed": Cell(seeds_words(view.repeats[trial.number]))}


def _cell(
    view: StudyView,
    trial: Trial,
    name: str,
    values: Mapping[str, float | None],
    losses: Mapping[int, float],
    *,
    ascii_only: bool,
) -> Cell:
    match name:
        case "state":
            text = fmt.state(trial.state.value, ascii_only=ascii_only)
            if _is_settled(view):
                text = fmt.STATES[trial.state.value][ascii_only]
            if trial.state == TrialState.RUNNING and trial.progress:
                text = f"{fmt.STATES['running'][ascii_only]} {trial.progress:.0%}"
            elif trial.state in (TrialState.FAILED, TrialState.INFEASIBLE) and trial.reason:
                text = f"{fmt.STATES[trial.state.value][ascii_only]} {safe_line(trial.reason)}"
            return Cell(text, TONES[trial.state.value])
        case "loss":
            return Cell(fmt.loss(losses[trial.number]) if trial.number in losses else fmt.NONE)
        case "gain":
            gain = view.gain.get(trial.number)
            words = fmt.gain(gain)
            return Cell(words, "dim" if words in ("", "0") else "bad" if words.startswith("-") else "good")
        case "p_frontier":
            return Cell(chance_words(view, trial))
        case "note":
            return Cell(remark(view, trial))
        case "tags":
            return Cell(safe_line(" ".join(trial.tags)))
        case "origin":
            return Cell(trial.origin)
        case "time":
            return Cell(fmt.duration(trial.busy_seconds or None))
        case "parameters":
            return Cell(safe_line(fmt.settings(trial.params)) or "as configured")
    if name in values:
        moving = trial.state == TrialState.RUNNING and name in trial.metrics
        return Cell(fmt.metric(name, values[name]) + ("…" if moving and not ascii_only else ""))
    return Cell(safe_line(fmt.setting(value_of(trial, name))))
