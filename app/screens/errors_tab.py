"""Where one trial is wrong: classes of answers or a confusion matrix, by article, with the examples themselves.

It reads no data set: a child process does, and ends with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import on
from textual.containers import Vertical
from textual.widget import Widget

from bertdistill.app.children.analysis_process import ask_predictions
from bertdistill.app.draw.sparks import sparkline
from bertdistill.app.screens.analysis_tab import Rest, Tab, Words
from bertdistill.app.text.safe import error_line, safe_line
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets import error_rows
from bertdistill.app.widgets.cells import Row
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.error_analysis import (
    CLASSES,
    DEFAULT_CUT,
    Classified,
    Confusion,
    Judged,
    QuestionErrors,
    confusion,
    question_errors,
)
from bertdistill.engine.analysis.outcomes import size_and_score
from bertdistill.engine.analysis.predictions import Predictions
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import Trial

MOST_EXAMPLES = 2_000
"""Examples listed at once; the title says how many there are, and classes and articles lead to the others."""
MOST_KEPT = 4
"""Trials whose answers are kept."""
CUTS = 20
"""The cut moves by one over this."""


@dataclass(frozen=True)
class Chosen:
    """Which trial is analysed, its state when its answers were requested, and which others there are."""

    number: int | None
    mark: Any = None
    numbers: tuple[int, ...] = ()
    """Complete trials by rank."""


@dataclass(frozen=True)
class Answers:
    """The answers of one trial."""

    mark: Any
    predictions: Predictions | None = None
    problem: str = ""


class ErrorsTab(Tab):
    """Groups of answers on one side, the examples of the group under the cursor on the other."""

    NAME: ClassVar[str] = "errors"

    def __init__(self, study_name: str, number: int | None) -> None:
        super().__init__(id="tab-errors")
        self._study = study_name
        self._number = number
        self._cut = round(DEFAULT_CUT * CUTS)
        self._articles = False
        self._kind: str = error_rows.WRONG
        self._article: str | None = None
        self._kept: dict[int, Answers] = {}
        self._asking: int | None = None
        self._rest = Rest()
        self._chosen = Chosen(None)
        self._found: tuple[Any, QuestionErrors | Confusion | None] = ((), None)
        self._shown: tuple[Any, ...] = ()
        self._listed: Sequence[Judged | Classified] = ()
        self._groups = LineTable(id="error-groups", classes="pane")
        self._examples = LineTable(id="error-examples", classes="pane")
        self._words = Words(id="error-words", can_focus=True)

    def compose(self) -> Iterable[Widget]:
        yield self._groups
        with Vertical(id="error-side"):
            yield self._examples
            yield self._words

    def read(self, view: StudyView) -> Chosen:
        number = self._number
        trial = view.trial(number) if number is not None else best_trial(view)
        if trial is None:
            return Chosen(number, None, tuple(view.ranked))
        # The answers of a running trial change with every evaluation; those of other trials do not.
        mark = (trial.state, trial.finished_at, tuple(sorted(trial.metrics.items())))
        return Chosen(trial.number, mark, tuple(view.ranked))

    def show(self, view: StudyView, content: Chosen) -> None:
        self._chosen = content
        if content.number is not None and content.mark is not None:
            self._number = content.number
            kept = self._kept.get(content.number)
            stale = kept is None or kept.mark != content.mark
            if stale and self._asking != content.number and (kept is None or self._rest.over(time.monotonic())):
                self._asking = content.number
                self.run_worker(self._ask(content.number, content.mark), exclusive=True, group="errors")
            elif kept is not None and self.errors is None and kept.predictions is not None:
                self.run_worker(self._judge(), exclusive=True, group="cut")
        if self._shown != self._state:
            self.again()

    @property
    def _state(self) -> tuple[Any, ...]:
        """What a refresh can change; listing thousands of examples again is slow."""
        return (self.errors, self._number, self._empty_words(), self.ui.ascii_only)

    async def _ask(self, number: int, mark: Any) -> None:
        began = time.monotonic()
        try:
            found = Answers(mark, await ask_predictions(self.ui.workspace, self._study, number))
        except (BertDistillError, OSError) as error:
            found = Answers(mark, problem=error_line(error))
        while len(self._kept) >= MOST_KEPT and number not in self._kept:
            del self._kept[next(iter(self._kept))]
        self._kept[number] = found
        self._asking = None
        self._rest = Rest(began, time.monotonic())
        await self._judge()

    async def _judge(self) -> None:
        """Sort the answers of the chosen trial at the current cut; for 12,000 questions that takes a second."""
        kept = self._answers
        wanted = (self._number, kept.mark if kept else None, self._cut)
        if kept is not None and kept.predictions is not None and self._found[0] != wanted:
            found = await asyncio.to_thread(_judged, kept.predictions, self._cut / CUTS)
            if wanted[:2] == (self._number, kept.mark):
                self._found = (wanted, found)
        self.again()

    @property
    def _answers(self) -> Answers | None:
        return None if self._number is None else self._kept.get(self._number)

    @property
    def errors(self) -> QuestionErrors | Confusion | None:
        """The analysis of the chosen trial; None until its answers are there."""
        wanted, found = self._found
        kept = self._answers
        return found if found is not None and kept and wanted[:2] == (self._number, kept.mark) else None

    # ------------------------------------------------------------------------------------------------------- drawing

    def again(self) -> None:
        self._shown = self._state
        found, empty = self.errors, self._empty_words()
        if isinstance(found, QuestionErrors):
            columns, rows = self._question_groups(found)
        elif isinstance(found, Confusion):
            columns, rows = error_rows.confusion_table(found)
        else:
            columns, rows = [Column("empty", "", 10)], []
        self.set_class(isinstance(found, Confusion), "-labels")  # a table of labels is wide and low
        self._groups.show(columns, rows, empty=empty)
        entitle(self._groups, title=self._title(found), subtitle=self._spread(found))
        self._put_cursor()
        self._list()

    def _question_groups(self, found: QuestionErrors) -> tuple[list[Column], list[Row]]:
        if self._articles:
            return error_rows.article_table(found)
        room = self._groups.size.width or self.ui.size.width
        return error_rows.class_table(found, max(8, min(40, room - 40)), ascii_only=self.ui.ascii_only)

    def _put_cursor(self) -> None:
        """Return to the chosen group after the kind of rows has changed."""
        if self._articles or isinstance(self.errors, Confusion):
            self._groups.move_to(error_rows.EVERYWHERE if self._article is None else (self._article,))
        else:
            self._groups.move_to(self._kind)

    def _title(self, found: QuestionErrors | Confusion | None) -> str:
        if isinstance(found, QuestionErrors):
            return f"#{self._number}: {found.overall.total:,} questions, cut at F1 {self._cut / CUTS:g}"
        if isinstance(found, Confusion):
            return f"#{self._number}: {len(found.texts):,} texts, {found.accuracy:.2f} % right"
        return "Errors" if self._number is None else f"Errors of #{self._number}"

    def _spread(self, found: QuestionErrors | Confusion | None) -> str:
        """The wrong answers by F1, which show what another cut would move."""
        if not isinstance(found, QuestionErrors) or not sum(found.histogram):
            return ""
        drawn = sparkline(found.histogram, len(found.histogram), ascii_only=self.ui.ascii_only)
        return f"wrong answers by F1 0 {drawn} 1"

    def _empty_words(self) -> str:
        kept = self._answers
        if self._number is None:
            return "No trial is on the frontier yet."
        if self._chosen.number == self._number and self._chosen.mark is None:
            return f"There is no trial {self._number}."
        if kept is not None and kept.problem:
            return f"Not available: {safe_line(kept.problem, 400)}"
        return f"Reading the answers of #{self._number} on the validation split in a separate process."

    @on(LineTable.Moved, "#error-groups")
    def _group_moved(self) -> None:
        """Classes and articles each keep their own choice: together they say which examples are listed."""
        key = self._groups.cursor_key
        if self._articles or isinstance(self.errors, Confusion):
            self._article = key[0] if isinstance(key, tuple) else None
        else:
            self._kind = str(key)
        self._list()

    def _list(self) -> None:
        found = self.errors
        if isinstance(found, QuestionErrors):
            self._listed = questions = error_rows.chosen_questions(found, self._kind, self._article)
            columns, rows = error_rows.question_table(questions[:MOST_EXAMPLES])
        elif isinstance(found, Confusion):
            self._listed = texts = error_rows.chosen_texts(found, self._article)
            columns, rows = error_rows.text_table(texts[:MOST_EXAMPLES])
        else:
            self._listed, columns, rows = (), [Column("empty", "", 10)], []
        self._examples.show(columns, rows, empty="No such example." if found is not None else "")
        entitle(self._examples, title=self._examples_title(found, len(rows)))
        self._tell()

    def _examples_title(self, found: QuestionErrors | Confusion | None, shown: int) -> str:
        if found is None:
            return "Examples"
        of = f"{shown:,} of {len(self._listed):,}" if shown < len(self._listed) else f"{shown:,}"
        where = "" if self._article is None else f" of {safe_line(self._article, 60)}"
        words: dict[str, str] = dict(CLASSES.items())
        kind = words.get(self._kind, "wrong") if isinstance(found, QuestionErrors) else "wrong"
        return f"Examples{where}: {kind} ({of})"

    @on(LineTable.Moved, "#error-examples")
    def _tell(self) -> None:
        """The example under the cursor in full."""
        place = self._examples.cursor_key
        one = self._listed[place] if isinstance(place, int) and place < len(self._listed) else None
        self._words.call_it("In full")
        if isinstance(one, Judged):
            self._words.say(error_rows.question_words(one, ascii_only=self.ui.ascii_only))
        else:
            self._words.say("" if one is None else error_rows.text_words(one))

    # ------------------------------------------------------------------------------------------------------- actions

    @property
    def number(self) -> int | None:
        return self._number

    def go_to(self, number: int | None) -> None:
        """Only on demand: on other tabs the cursor moves through many trials, and each would start a process here."""

    def look_at(self, number: int) -> None:
        """Analyse this trial."""
        self._number, self._article = number, None
        self._asking = None
        self.workers.cancel_group(self, "errors")
        self.again()
        self.ui.look_again()

    def maximised(self, *, on: bool) -> None:
        """The groups are hidden, so the examples need the focus."""
        if on:
            self._examples.focus()

    def headline(self) -> str:
        return "errors" if self._number is None else f"errors of #{self._number}"

    def can(self, action: str) -> bool:
        found = self.errors
        if action == "turn":
            return len(self._chosen.numbers) > 1
        return action in ("other_view", "cut") and isinstance(found, QuestionErrors)

    def toggle(self) -> None:
        """Classes of answers, or articles."""
        self._articles = not self._articles
        self.again()

    def turn(self, by: int) -> None:
        """The next trial by rank, or the one before."""
        numbers = self._chosen.numbers
        if numbers:
            place = numbers.index(self._number) if self._number in numbers else -by
            self.look_at(numbers[(place + by) % len(numbers)])

    def cut(self, by: int) -> None:
        """Count more, or fewer, of the wrong answers as mostly correct."""
        self._cut = max(0, min(CUTS, self._cut + by))
        self.run_worker(self._judge(), exclusive=True, group="cut")

    def commands(self) -> list[tuple[str, ...]]:
        if self._number is None:
            return []
        words = ["errors", f"{self._study}/{self._number}"]
        if isinstance(self.errors, QuestionErrors):
            words += ["--cut", f"{self._cut / CUTS:g}", *(["--by-article"] if self._articles else [])]
        return [tuple(words), (*words, "--list", self._kind)]


def best_trial(view: StudyView) -> Trial | None:
    """The frontier trial with the best score."""
    score = size_and_score(view.objectives)[1]
    sign = -1.0 if next(o for o in view.objectives if o.metric == score).direction == "maximize" else 1.0
    return min(
        view.frontier, key=lambda trial: (sign * (view.values(trial).get(score) or 0.0), trial.number), default=None
    )


def _judged(predictions: Predictions, cut: float) -> QuestionErrors | Confusion:
    if TASKS[predictions.task].spans:
        return question_errors(predictions.questions, cut)
    return confusion(predictions.texts, predictions.labels)
