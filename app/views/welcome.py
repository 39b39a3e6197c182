"""What the first screen shows before there is a study: ways to begin, what each takes, and an example. Pure."""

from __future__ import annotations

from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.draw.plane import Point, frontier_drawing
from bertdistill.app.text.format import arrow, count

PURPOSE = "bertdistill-tui trains small copies of a language model on your data and shows how small is good enough."
WAYS = (
    ("demo", "Watch a demo", "no data and no network needed: about three minutes"),
    ("own", "Use my own data", "a CSV, TSV, JSONL, text;label or SQuAD file: a study is drafted from it"),
    ("file", "Open a study file", "your own, or one of the samples that come with the program"),
)
"""Key, words, and what it needs."""
STEPS = {
    "demo": "a form with its plan opens; f5 starts it, and its frontier fills up while you watch",
    "own": "give its path; task, teacher, search space and budget are proposed, with what they take; f5 starts it",
    "file": "choose one; it is checked, and its plan says what it will take; f5 starts it",
}
TITLE = "An example: sentiment in 40 trials"
_TEACHER = 88.43
_EXAMPLE = (
    (13_800, 82.82, "bag of words", True),
    (73_800, 83.62, "", True),
    (92_200, 85.57, "MLP", True),
    (291_000, 82.93, "Bi-LSTM", False),
    (19_200_000, 86.94, "4 layers", True),
    (20_900_000, 87.51, "", True),
    (22_700_000, 89.12, "6 layers", True),
)
"""Parameters, accuracy on the validation split and frontier of the search over SST-2 in docs/results.md."""


def welcome_facts(key: str) -> list[tuple[str, str]]:
    """What this way to begin needs, and what happens then."""
    needs = next((words for name, _, words in WAYS if name == key), "")
    facts = [("needs", needs), ("then", STEPS.get(key, ""))]
    return [(name, words) for name, words in facts if words]


def example(look: Look, *, ascii_only: bool = False) -> Drawing:
    """A frontier that was measured, for who has none yet."""
    points = [Point(x, y, "frontier" if front else "dominated", name, edge=front) for x, y, name, front in _EXAMPLE]
    less, more = (arrow(way, ascii_only=ascii_only) for way in ("minimize", "maximize"))
    across = Axis(f"params {less}", "minimize", count, log=True)
    up = Axis(f"accuracy {more}", "maximize", lines=((_TEACHER, f"teacher {_TEACHER:g}"),))
    return frontier_drawing(points, across, up, look)
