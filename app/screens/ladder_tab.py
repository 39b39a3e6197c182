"""The best student of every family beside the teacher. It reads no predictions: a child process does, and ends with it.

Until that has answered, the table comes from the database alone, with fewer intervals.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from bertdistill.app.children.analysis_process import ask_ladder
from bertdistill.app.report.ladder_chart import ladder_axes, ladder_drawing
from bertdistill.app.report.ladder_text import conclusions, nearest_words, table_of
from bertdistill.app.screens.evidence_tab import EvidenceTab
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.ladder import quick_ladder
from bertdistill.app.views.view import StudyView
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.text_columns import text_columns
from bertdistill.app.widgets.titles import entitle
from bertdistill.engine.analysis.ladder import Ladder, Rung

TONES: dict[str, Tone] = {"teacher": "accent", "reference": "dim"}


class LadderTab(EvidenceTab[Ladder]):
    """Score over size, a row per family and kind; below them, what the table says."""

    NAME: ClassVar[str] = "ladder"

    def __init__(self, study_name: str) -> None:
        super().__init__(study_name)
        self._rungs: dict[Any, Rung] = {}

    def quick(self, view: StudyView) -> Ladder:
        return quick_ladder(view)

    async def full(self) -> Ladder:
        return await ask_ladder(self.ui.workspace, self._study)

    def draw(self, found: Ladder) -> None:
        every = (*found.rungs, *([found.teacher] if found.teacher else []), *found.references)
        self._rungs = {_key(one): one for one in every}
        table = table_of(found)
        rows = [
            Row(_key(one), tuple(Cell(cell, TONES.get(one.kind, "plain")) for cell in cells))
            for one, cells in zip(every, table.rows, strict=True)
        ]
        self._table.show(text_columns(table), rows)
        entitle(self._table, title=f"Ladder by {safe_line(found.score)}{self.age}")
        self._words.say("\n".join(conclusions(found)))

    def draw_chart(self, found: Ladder) -> None:
        rung = self._rungs.get(self._table.cursor_key)
        self._chart.draw(partial(ladder_drawing, found, chosen=rung), empty="No score and size are known yet.")
        x, y = ladder_axes(found, ascii_only=self.ui.ascii_only)
        entitle(self._chart, title=f"{y.title} over {x.title}, best students by family")

    # ------------------------------------------------------------------------------------------------------- actions

    @property
    def number(self) -> int | None:
        rung = self._rungs.get(self._table.cursor_key)
        return rung.numbers[0] if rung is not None and rung.numbers else None

    def go_to(self, number: int | None) -> None:
        """Rows are families, not trials: the cursor goes to the row that this trial stands for."""
        key = next((key for key, one in self._rungs.items() if number in one.numbers), None)
        if number is not None and key is not None and self.number != number:
            self._table.move_to(key)

    def headline(self) -> str:
        return "ladder" if self.found is None else nearest_words(self.found)

    def commands(self) -> list[tuple[str, ...]]:
        return [("ladder", self._study)]


def _key(one: Rung) -> tuple[str, str, bool]:
    return one.family, one.kind, one.is_smallest
