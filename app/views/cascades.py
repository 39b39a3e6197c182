"""Cascades of a study for the command line and the screens alike: what a target chooses, and what scripts read.

It writes nothing and draws nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertdistill.app.draw.plane import Point
from bertdistill.app.errors import UsageError
from bertdistill.app.views.view import StudyView, chart_axes
from bertdistill.engine.analysis.joined import Joined, on_frontier
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.contract.events import finite

if TYPE_CHECKING:  # they load numpy, which the first screen does not need
    from bertdistill.engine.analysis.cascade import Cascade, Cut

SHOWN = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
"""Shares of the rows that people read."""
TEACHER = "teacher"


@dataclass(frozen=True)
class Target:
    """What a threshold is chosen for on the validation split: at most one of a share, a score and a cost."""

    share: float | None = None
    score: float | None = None
    cost: float | None = None

    def __post_init__(self) -> None:
        if sum(one is not None for one in (self.share, self.score, self.cost)) > 1:
            raise UsageError("a threshold has one target", hint="Give one of --share, --score and --cost.")

    def chosen(self, found: Cascade) -> Cut:
        """The same, where there must be a target."""
        cut = self.choose(found)
        if cut is None:
            raise UsageError("a cascade needs a target", hint="Give a share, a score or a cost.")
        if cut.share in (0.0, 1.0) and (note := self.note(found)):
            raise ActionRefused(note, hint="With this one, only one of the two models would answer; take another.")
        return cut

    def note(self, found: Cascade) -> str:
        """What keeps the share that was asked for from being reached; empty if nothing does."""
        ends = None if self.share is None else found.reachable(self.share)
        if self.share is None or ends is None:
            return ""
        low, high = ends
        return (
            f"no threshold passes on {self.share:.1%}: {high - low:.1%} of the examples have the same confidence, and "
            f"the nearest shares are {low:.1%} and {high:.1%}"
        )

    def choose(self, found: Cascade) -> Cut | None:
        """The cut for this target; None without one. `score` is that of the first score of the study."""
        if self.share is not None:
            return found.at_share(self.share)
        if self.score is not None:
            return found.at_score(found.scores[0], self.score)
        return None if self.cost is None else found.at_cost(self.cost)


def rows_of(found: Cascade, chosen: Cut | None = None) -> list[Cut]:
    """The cuts that people read, and the chosen one, by share."""
    cuts = [*map(found.at_share, SHOWN), *([] if chosen is None else [chosen])]
    return sorted({cut.threshold: cut for cut in cuts}.values(), key=lambda cut: cut.share)


def frontier_cascades(view: StudyView, cascades: Sequence[Joined], x: str = "", y: str = "") -> list[Joined]:
    """Those on the frontier of two metrics, the objectives by default; they are never ranked."""
    x, y = chart_axes(view, x, y)
    ranked = [view.measured[number] for number, row in view.ranked.items() if row.feasible]
    return on_frontier(cascades, [*ranked, view.teacher], x, y)


def cascade_points(view: StudyView, cascades: Sequence[Joined], x: str, y: str) -> list[Point]:
    """Those on the frontier as marks of their own kind; the step line is that of the trials."""
    return [
        Point(one.values[x], one.values[y], "cascade", one.label) for one in frontier_cascades(view, cascades, x, y)
    ]


# ------------------------------------------------------------------------------------------------------ for scripts


def cascade_row(
    study: str, found: Cascade, chosen: Cut | None, oracle: Cut | None = None, note: str = ""
) -> dict[str, Any]:
    """The whole curve of one cascade."""
    return {
        "study": study,
        "small": found.small.name,
        "large": found.large.name,
        "temperature": found.small.temperature,
        "cost": dataclasses.asdict(found.cost) | {"unit": found.cost.unit},
        "curve": cut_rows(found, found.curve()),
        "chosen": None if chosen is None else cut_row(found, chosen),
        "note": note,
        "oracle": None if oracle is None else cut_row(found, oracle),
    }


def cut_rows(found: Cascade, cuts: Sequence[Cut]) -> list[dict[str, Any]]:
    """One row a threshold."""
    return [cut_row(found, cut) for cut in cuts]


def cut_row(found: Cascade, cut: Cut) -> dict[str, Any]:
    """One threshold."""
    return {
        "threshold": finite(cut.threshold),
        "share": cut.share,
        "cost": cut.cost,
        "scores": dict(cut.scores),
        "random": dict(cut.random),
        "gap_closed": found.closed(cut, found.scores[0]),
    }


def joined_row(one: Joined) -> dict[str, Any]:
    """A cascade that is a point of the frontier."""
    return {
        "small": one.small,
        "large": one.large,
        "share": one.share,
        "metrics": dict(one.values),
        "random": dict(one.random),
    }
