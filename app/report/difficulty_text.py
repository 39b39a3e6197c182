"""Word order sensitivity as plain text. It reads no store, computes nothing and prints nothing."""

from __future__ import annotations

from bertdistill.app.report.summary import Page
from bertdistill.app.text.tables import pairs, text_table
from bertdistill.app.views.difficulty import Difficulty, fact_lines, family_cells, notes


def difficulty_text(shown: Difficulty, page: Page) -> str:
    """The numbers, what they predict, and the families of the study beside the teacher."""
    lines = [f"word order of {shown.name} of {shown.study}", pairs(fact_lines(shown))]
    lines += [f"  note: {note}" for note in notes(shown)]
    lines += ["", *shown.sentences] if shown.sentences else []
    if shown.families:
        titles = ["family", "best trial", shown.metric, "to the teacher", "params"]
        lines += ["", text_table(titles, family_cells(shown), right=titles[1:], width=page.width)]
    return "\n".join(lines)
