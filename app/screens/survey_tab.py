"""Which small model is the best: every method's score against its compression, beside published points.

It reads no predictions: a child process does. Until that has answered, ties are not known.
"""

from __future__ import annotations

import math
from collections.abc import Container
from functools import partial
from typing import Any, ClassVar

from bertdistill.app.children.analysis_process import ask_survey
from bertdistill.app.report.survey_text import (
    INTERVAL,
    entries_table,
    entry_value,
    remarks,
    sentence,
    survey_axes,
    survey_drawing,
)
from bertdistill.app.report.table_page import Table
from bertdistill.app.screens.evidence_tab import EvidenceTab
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.listing import WordFilter
from bertdistill.app.views.survey import published_data, quick_survey
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.listing import Listing
from bertdistill.app.widgets.text_columns import text_columns
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.survey import Entry, Survey


class SurveyTab(EvidenceTab[Survey]):
    """A chart, a row per method and size, and what they say."""

    NAME: ClassVar[str] = "survey"

    def __init__(self, study_name: str) -> None:
        super().__init__(study_name)
        self._entries: dict[Any, Entry] = {}
        self._data = ""
        self._columns: list[Column] = []
        self.listing: Listing[Entry] = Listing(
            "method",
            "methods",
            WordFilter("pruned -bilstm", held, lambda: [one.method for one in self._entries.values()]),
            columns=lambda: [column.key for column in self._columns],
            sorts=self._sorts,
            value=self._value,
            changed=self.again,
        )

    def _sorts(self, column: str) -> bool:
        return _title(column) != INTERVAL and any(one.key == column for one in self._columns)

    def _value(self, one: Entry, column: str) -> Any:
        return None if self.found is None else entry_value(self.found, one, _title(column))

    def quick(self, view: StudyView) -> Survey:
        return quick_survey(view)

    async def full(self) -> Survey:
        return await ask_survey(self.ui.workspace, self._study)

    def show(self, view: StudyView, content: Any) -> None:
        self._data = published_data(view)
        super().show(view, content)

    def draw(self, found: Survey) -> None:
        self._entries = {_key(one): one for one in found.entries}
        table = entries_table(found)
        lines = dict(zip([*self._entries, "teacher"], table.rows, strict=False))
        winners = dict.fromkeys(_key(one.entry) for one in found.best if one.entry is not None)
        others = sorted((one for one in found.entries if _key(one) not in winners), key=_by_score, reverse=True)
        self._list(table)
        usual = [*(self._entries[key] for key in winners), *others]
        last = ["teacher"] if "teacher" in lines and not self.listing.text else []
        keys: list[Any] = [*map(_key, self.listing.shown(usual)), *last]
        rows = [Row(key, tuple(Cell(cell, _tone(key, winners)) for cell in lines[key])) for key in keys]
        heads = self.listing.heads(self._columns, ascii_only=self.ui.ascii_only)
        self._table.show(heads, rows, empty=self.listing.no_match(self.key_for) if self.listing.text else "")
        title = self.listing.title("Methods", "Methods by compression, best first", self._columns, self.key_for)
        entitle(self._table, title=f"{title}{self.age}")
        self._words.say("\n".join(remarks(found, self._data)[1:]))  # the first one stands in the header

    def _list(self, table: Table) -> None:
        """The columns; once they are known, the order that was chosen for them."""
        is_first, self._columns = not self._columns, text_columns(table)
        if is_first:
            self.listing.recall(self.ui.memory.recall(self.listing.things, {}))

    def draw_chart(self, found: Survey) -> None:
        entry = self._entries.get(self._table.cursor_key)
        self._chart.draw(partial(survey_drawing, found, self._data, chosen=entry), empty="No score is known yet.")
        x, y = survey_axes(found)
        entitle(self._chart, title=f"{y.title} over {x.title}")

    # ------------------------------------------------------------------------------------------------------- actions

    @property
    def number(self) -> int | None:
        entry = self._entries.get(self._table.cursor_key)
        return None if entry is None else entry.numbers[0]

    def go_to(self, number: int | None) -> None:
        """Rows are methods, not trials: the cursor goes to the row that this trial stands for."""
        key = next((key for key, one in self._entries.items() if number in one.numbers), None)
        if number is not None and key is not None and self.number != number:
            self._table.move_to(key)

    def headline(self) -> str:
        return "survey" if self.found is None else safe_line(sentence(self.found), 300)

    def commands(self) -> list[tuple[str, ...]]:
        return [("survey", self._study)]


def held(one: Entry) -> str:
    """What a row can be found by: its method and its trials."""
    return " ".join((one.method, *(f"#{number}" for number in one.numbers)))


def _title(column: str) -> str:
    """Behind the place that makes the key of a column unique."""
    return column.partition(" ")[2]


def _key(one: Entry) -> tuple[str, tuple[int, ...]]:
    return one.method, one.numbers


def _by_score(one: Entry) -> float:
    """What is left of the teacher's score; without that, last."""
    return -math.inf if one.kept is None else one.kept


def _tone(key: Any, winners: Container[Any]) -> Tone:
    return "accent" if key == "teacher" else "bright" if key in winners else "plain"
