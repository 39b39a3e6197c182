"""Sub-networks that were evaluated before any trial, for lists and as hollow marks. They are no trials: no rank, no
number, and never on the frontier.
"""

from __future__ import annotations

import math
from typing import Any

from bertdistill.app.draw.plane import Point
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import text_table
from bertdistill.app.views.view import StudyView
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.store.rows import Screened

MOST_LINES = 40


def screened_points(view: StudyView, x: str, y: str) -> list[Point]:
    """Those that have both metrics; not those that sharing ruins, whose scores say nothing about a trial."""
    places = [(_values(one), one) for one in view.screened if not one.ruined]
    found = [(fmt.value_of(values, x), fmt.value_of(values, y)) for values, _ in places]
    return [Point(at_x, at_y, "screened") for at_x, at_y in found if at_x is not None and at_y is not None]


def screened_rows(view: StudyView) -> list[dict[str, Any]]:
    """Each as `frontier --screened --json` prints it, the best in the first objective that was measured first."""
    aim = next((o for o in view.objectives if any(o.metric in one.metrics for one in view.screened)), None)
    ordered = sorted(view.screened, key=lambda one: _rank(one, aim))
    return [
        {
            "study": view.study.name,
            "settings": one.settings,
            "score": one.score,
            "metrics": one.metrics,
            "known": one.known,
            "examples": one.examples,
            "seconds": one.seconds,
            "ruined": one.ruined,
        }
        for one in ordered
    ]


def _rank(one: Screened, aim: Objective | None) -> float:
    """Smaller is better; what has no value goes last."""
    value = one.score if aim is None else fmt.value_of(one.metrics, aim.metric)
    if value is None:
        return math.inf
    return value if aim is not None and aim.direction == "minimize" else -value


def screened_text(view: StudyView) -> str:
    """A table of the best of them."""
    rows = screened_rows(view)
    if not rows:
        return "No sub-networks were screened: the study has no supernet, or its preparation is not done."
    names = [name for name in view.scores if any(name in _all(row) for row in rows)]
    keys = [key for key in rows[0]["settings"] if len({str(row["settings"].get(key)) for row in rows}) > 1]
    lines = [
        [
            *(fmt.metric(name, fmt.value_of(_all(row), name)) for name in names),
            *(safe_line(fmt.setting(row["settings"].get(key)), 24) for key in keys),
            "ruined by sharing: trained alone" if row["ruined"] else "",
        ]
        for row in rows[:MOST_LINES]
    ]
    spent = sum(row["seconds"] for row in rows)
    ruined = sum(row["ruined"] for row in rows)
    head = (
        f"{len(rows):,} sub-networks evaluated without training on {rows[0]['examples']:,} examples each, "
        f"{fmt.duration(spent)} of CPU time; {ruined:,} of them ruined by sharing. These are not scores of "
        "trials: the best of many are partly luck."
    )
    more = f"\n{len(rows) - MOST_LINES:,} more: --json or --csv lists all." if len(rows) > MOST_LINES else ""
    return f"{head}\n\n{text_table([*names, *keys, ''], lines)}{more}"


def _all(row: dict[str, Any]) -> dict[str, Any]:
    return {**row["known"], **row["metrics"]}


def _values(one: Screened) -> dict[str, Any]:
    return {**one.known, **one.metrics}
