"""What the marks of a chart are coloured by: the family, or a setting that varies. It draws nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import quantiles
from typing import Any

from bertdistill.app.draw.canvas import GROUPS
from bertdistill.app.draw.plane import Point
from bertdistill.app.text.format import setting
from bertdistill.app.views.points import chart_trials
from bertdistill.app.views.screened import screened_points
from bertdistill.app.views.trial_columns import value_of
from bertdistill.app.views.view import StudyView
from bertdistill.store.rows import Trial

MOST = len(GROUPS)
BANDS = 4
"""Groups that numbers with many values are divided into, as large as each other."""
OTHERS = "others"


@dataclass(frozen=True)
class Colouring:
    """The groups of trials by one setting."""

    by: str = ""
    groups: tuple[str, ...] = ()
    group: Mapping[int, int] | None = None
    """By trial number; trials without the setting are not there."""

    def of(self, number: int) -> int:
        return -1 if self.group is None else self.group.get(number, -1)


NONE = Colouring()


def choices(view: StudyView) -> tuple[str, ...]:
    """What trials can be coloured by, the family first; it must differ between trials."""
    names = dict.fromkeys(["family", "recipe", *view.outline.searched])
    return tuple(name for name in names if len(set(map(setting, _values(view, name).values()))) > 1)


def usual(view: StudyView) -> str:
    """What they are coloured by at first: the family of a study of several; else nothing."""
    several = len(view.outline.searched.get("family", ())) > 1
    return "family" if several else ""


def colouring(view: StudyView, by: str) -> Colouring:
    """The trials in at most `MOST` groups: by value, the rarest together; numbers with more values in bands."""
    values = _values(view, by) if by else {}
    if not values:
        return NONE
    if len(set(map(setting, values.values()))) > MOST and all(map(_is_number, values.values())):
        return _banded(by, values)
    words = {number: setting(value) for number, value in values.items()}
    counts = Counter(words.values())
    kept = [word for word, _ in counts.most_common(MOST if len(counts) <= MOST else MOST - 1)]
    groups = sorted(kept, key=_order)
    names = (*groups, *([OTHERS] if len(counts) > MOST else []))
    places = {word: place for place, word in enumerate(groups)}
    return Colouring(by, names, {number: places.get(word, len(groups)) for number, word in words.items()})


def coloured(pairs: Sequence[tuple[Trial | None, Point]], colouring: Colouring) -> list[tuple[Trial | None, Point]]:
    """The points with the groups of their trials; references keep their own look."""
    if colouring.group is None:
        return list(pairs)
    return [(t, p if t is None else replace(p, group=colouring.of(t.number))) for t, p in pairs]


def frontier_points(view: StudyView, x: str, y: str) -> tuple[list[Point], tuple[str, ...]]:
    """Every point of the plane of two metrics as it is usually coloured, and the names of the groups."""
    usually = colouring(view, usual(view))
    trials = [point for _, point in coloured(chart_trials(view, x, y), usually)]
    return [*trials, *screened_points(view, x, y)], usually.groups


def _banded(by: str, values: Mapping[int, float]) -> Colouring:
    cuts = quantiles(values.values(), n=BANDS)
    group = {number: sum(value > cut for cut in cuts) for number, value in values.items()}
    names = []
    for band in range(BANDS):
        inside = [value for number, value in values.items() if group[number] == band]
        names.append(f"{setting(min(inside))} to {setting(max(inside))}" if inside else "")
    used = [band for band in range(BANDS) if names[band]]
    places = {band: place for place, band in enumerate(used)}
    return Colouring(by, tuple(names[band] for band in used), {n: places[band] for n, band in group.items()})


def _values(view: StudyView, name: str) -> dict[int, Any]:
    found = {trial.number: value_of(trial, name) for trial in view.trials}
    return {number: value for number, value in found.items() if value is not None}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _order(word: str) -> tuple[float, str]:
    """Numbers by size, then words."""
    try:
        return float(word), ""
    except ValueError:
        return float("inf"), word
