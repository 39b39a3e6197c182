"""Word order sensitivity of a study for the command line and the screens alike. It measures nothing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.analysis import outcomes
from bertdistill.app.views.view import StudyView
from bertdistill.engine.analysis.difficulty import LOW, FamilyScore, family_scores, observed, predicted
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.word_order import WordOrder


@dataclass(frozen=True)
class Difficulty:
    """The result for one model of a study, with the study's families beside it if it is the teacher."""

    study: str
    trial: int | None
    """None: the teacher."""
    found: WordOrder
    metric: str
    """The score that the families are compared by."""
    families: tuple[FamilyScore, ...] = ()

    @property
    def name(self) -> str:
        return "the teacher" if self.trial is None else f"trial {self.trial}"

    @property
    def sentences(self) -> tuple[str, ...]:
        """What follows from it: only a teacher predicts which students can replace it."""
        if self.trial is not None:
            return ()
        return tuple(filter(None, (predicted(self.found.wos), observed(self.found.wos, self.families))))


def difficulty(view: StudyView, trial: int | None, found: WordOrder) -> Difficulty:
    """The result beside what the study has shown so far."""
    scores = TASKS[view.study.task].scores
    metric = next((one.metric for one in view.objectives if one.metric in scores), scores[0])
    teacher = fmt.value_of(view.facts.teacher_metrics, metric)
    families = () if trial is not None else tuple(family_scores(outcomes(view), metric, teacher))
    return Difficulty(view.study.name, trial, found, metric, families)


def difficulty_row(shown: Difficulty, *, cached: bool) -> dict[str, Any]:
    """For scripts."""
    return {
        "study": shown.study,
        "trial": shown.trial,
        **shown.found.to_dict(),
        "cached": cached,
        "metric": shown.metric,
        "families": [dataclasses.asdict(row) for row in shown.families],
        "sentences": list(shown.sentences),
    }


def fact_lines(shown: Difficulty) -> dict[str, str]:
    """The numbers by name, as people read them."""
    found, how = shown.found, shown.found.shuffling
    error = "" if found.error is None else f" ± {found.error:.2f}"
    one = "" if found.spread is None else f"; standard deviation of a single one {found.spread:.2f}"
    words = "single words" if how.ngram == 1 else f"groups of {how.ngram} words"
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in found.left_out.items())
    return {
        "word order sensitivity": f"{found.wos:.3f}",
        "still right": f"{found.still_right:.2f}{error} %, mean over {how.shuffles} shuffles of {words}{one}",
        "examples": f"{found.examples:,} in {found.classes} balanced classes of the validation split",
        "left out": left_out or "none",
        "cost": f"{found.cpu_seconds:.1f} s of CPU time",
    }


def scale_line(wos: float, width: int, *, ascii_only: bool = False) -> str:
    """Where a sensitivity lies between 0, word order says nothing, and 1, it says all, with a sign at `LOW`."""
    line, mark, low = "-o|" if ascii_only else "─●┊"
    room = max(10, width - 4)
    cells = [line] * room
    for value, sign in ((LOW, low), (wos, mark)):
        cells[round(min(1.0, max(0.0, value)) * (room - 1))] = sign
    return f"0 {''.join(cells)} 1"


def family_cells(shown: Difficulty) -> list[list[str]]:
    """A line of a table for each family: name, trial, score, difference from the teacher, parameters."""
    return [
        [
            safe_line(row.family, 30),
            f"#{row.trial}",
            fmt.metric(shown.metric, row.score),
            fmt.signed(row.difference),
            fmt.count(row.params),
        ]
        for row in shown.families
    ]


def notes(shown: Difficulty) -> list[str]:
    """What limits the numbers, harmless for a terminal: class names come from the data."""
    return [safe_line(note, 400) for note in shown.found.notes]
