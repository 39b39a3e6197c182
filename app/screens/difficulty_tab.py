"""What word order means to the teacher or to one trial, and the families that have run. It runs no model: a child
process does, and ends with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from textual.widget import Widget

from bertdistill.app.children.analysis_process import ask_difficulty
from bertdistill.app.screens.analysis_tab import Tab, Words
from bertdistill.app.text.safe import error_line, safe_line
from bertdistill.app.views.difficulty import Difficulty, difficulty, fact_lines, family_cells, notes, scale_line
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.frontier_chart import FrontierChart
from bertdistill.app.widgets.split import Split
from bertdistill.app.widgets.table import LineTable
from bertdistill.app.widgets.titles import entitle
from bertdistill.app.widgets.trial_facts import wrapped
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.word_order import Shuffling, WordOrder
from bertdistill.store.errors import BertDistillError

MOST_WORDS = 3
"""Words that may stay together."""
SCALE = 64
"""Cells that the scale of the sensitivity takes at most."""


@dataclass(frozen=True)
class Asked:
    """What is measured. `mark` differs if the same number means another model: a later checkpoint, another teacher."""

    number: int | None
    ngram: int
    mark: Any = None


@dataclass(frozen=True)
class Got:
    """One result, or why there is none."""

    found: WordOrder | None = None
    problem: str = ""


class DifficultyTab(Tab):
    """The numbers, the families of the study below them, and what follows in words."""

    NAME: ClassVar[str] = "difficulty"

    def __init__(self, study_name: str) -> None:
        super().__init__(id="tab-difficulty")
        self._study = study_name
        self._number: int | None = None
        self._ngram = 1
        self._view: StudyView | None = None
        self._kept: dict[Asked, Got] = {}
        self._asking: Asked | None = None
        self._table = LineTable(id="difficulty", classes="pane")
        self._chart = FrontierChart(id="difficulty-chart", classes="pane inspector")
        self._chart.can_focus = False
        self._words = Words(id="difficulty-words")

    def compose(self) -> Iterable[Widget]:
        with Split(id="difficulty-body"):
            yield self._table
            yield self._chart
        yield self._words

    def read(self, view: StudyView) -> Asked:
        trial = None if self._number is None else view.trial(self._number)
        mark = view.facts.teacher_folder if trial is None else (trial.state, trial.finished_at)
        return Asked(self._number, self._ngram, mark)

    def show(self, view: StudyView, content: Asked) -> None:
        self._view = view
        wanted = content.number == self._number and content.ngram == self._ngram
        if wanted and not self._obstacle and content not in self._kept and self._asking != content:
            self._asking = content
            self.run_worker(self._ask(content), exclusive=True, group="difficulty")
        self.again()

    async def _ask(self, asked: Asked) -> None:
        try:
            got = Got(await ask_difficulty(self.ui.workspace, self._study, asked.number, Shuffling(asked.ngram)))
        except (BertDistillError, OSError) as error:
            got = Got(problem=error_line(error))
        self._kept[asked] = got
        self._asking = None
        self.again()

    @property
    def _obstacle(self) -> str:
        """Why nothing can be measured in this study; empty if something can."""
        if self._view is None:
            return ""
        task = TASKS.get(self._view.study.task)
        if task is None or task.spans:
            return "Word order sensitivity is defined for text classification only."
        if self._view.study.prepared is None:
            return "The study is not prepared: it has no teacher yet."
        file = self._number is None and not self._view.facts.teacher_folder
        return "The teacher is a file, which cannot read shuffled texts; ] measures a trial." if file else ""

    # ------------------------------------------------------------------------------------------------------- drawing

    def again(self) -> None:
        if self._view is None:
            return
        got = self._kept.get(self.read(self._view))
        shown = difficulty(self._view, self._number, got.found) if got and got.found else None
        columns = [
            Column("name", "what", 24),
            Column("value", "", 12, "right"),
            Column("gap", "", 14, "right"),
            Column("params", "", 10, "right"),
        ]
        self._table.show(columns, self._rows(shown) if shown else [], empty=self._empty_words(got))
        self._chart.show(self._view, self._number)
        words = "single words" if self._ngram == 1 else f"groups of {self._ngram} words"
        entitle(self._table, title=f"Word order of {self._named}: {words} shuffled")
        self._words.say("\n".join([*shown.sentences, *notes(shown)]) if shown else "")

    @property
    def _named(self) -> str:
        return "the teacher" if self._number is None else f"#{self._number}"

    def _rows(self, shown: Difficulty) -> list[Row]:
        width = self._table.size.width - 28
        rows = [
            Row((name, index), (Cell("" if index else name, "bright"), Cell(f" {line}")), wide=True)
            for name, words in fact_lines(shown).items()
            for index, line in enumerate(wrapped(words, max(20, width)))
        ]
        room = max(20, min(SCALE, width))
        scale = scale_line(shown.found.wos, room, ascii_only=self.ui.ascii_only)
        rows.insert(1, Row(("scale", 0), (Cell(""), Cell(f" {scale}", "accent")), wide=True))
        if shown.families:
            titles = ("best of each family", safe_line(shown.metric, 30), "to the teacher", "params")
            rows.append(Row(("", 1), tuple(Cell(title) for title in titles), dim=True))
        for row, (family, trial, score, gap, params) in zip(shown.families, family_cells(shown), strict=True):
            rows.append(Row((family, row.trial), (Cell(f"{family} {trial}"), Cell(score), Cell(gap), Cell(params))))
        return rows

    def _empty_words(self, got: Got | None) -> str:
        if self._obstacle:
            return self._obstacle
        if got is not None and got.problem:
            return f"Not available: {safe_line(got.problem, 400)}"
        return f"Running {self._named} over shuffled texts in a separate process; this can take a minute."

    # ------------------------------------------------------------------------------------------------------- actions

    @property
    def number(self) -> int | None:
        return self._number

    def go_to(self, number: int | None) -> None:
        """Only on demand: on other tabs the cursor moves through many trials, and each would run a model here."""

    def headline(self) -> str:
        return f"word order of {self._named}"

    def can(self, action: str) -> bool:
        return action in ("turn", "other_view") and not self._obstacle

    def toggle(self) -> None:
        """Shuffle single words, then groups of two, then of three."""
        self._ngram = self._ngram % MOST_WORDS + 1
        self._changed()

    def turn(self, by: int) -> None:
        """The teacher, then the trials by rank."""
        numbers = [None, *(self._view.ranked if self._view else ())]
        place = numbers.index(self._number) if self._number in numbers else 0
        self._number = numbers[(place + by) % len(numbers)]
        self._changed()

    def _changed(self) -> None:
        self._asking = None
        self.workers.cancel_group(self, "difficulty")
        self.again()

    def commands(self) -> list[tuple[str, ...]]:
        words = ["difficulty", self._study]
        words += [] if self._number is None else ["--trial", str(self._number)]
        return [(*words, *([] if self._ngram == 1 else ["--ngram", str(self._ngram)]))]
