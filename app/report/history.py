"""The history of changes as plain text. It reads no store and prints nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from bertdistill.app.report.summary import Page
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import text_table

TITLES = ("id", "when", "who", "about", "outcome")
WIDTH = 100
"""Columns of a page that is not a terminal."""
INDENT = "      "


def requests_text(rows: Sequence[Mapping[str, Any]], page: Page) -> str:
    """Each request with its change below it, oldest first; `~` marks what was undone.

    Sentences have lines of their own: in a column the longest would make every line as wide.
    """
    table = text_table(TITLES, [_cells(row) for row in rows], right=["id"], width=page.width)
    if not table:
        return "no changes yet"
    titles, *heads = table.split("\n")
    body = [line for head, row in zip(heads, rows, strict=True) for line in (head, *_words(row, page))]
    return "\n".join([titles, *body])


def _words(row: Mapping[str, Any], page: Page) -> list[str]:
    words = safe_line(row["words"], 2000)
    return wrap(words, page.width or WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)


def _cells(row: Mapping[str, Any]) -> list[str]:
    trial = "" if row["trial"] is None else f"/{row['trial']}"
    return [
        f"{'~' if row['undone_by'] else ''}#{row['id']}",
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["at"])),
        row["who"],
        f"{row['study']}{trial}" or "workspace",
        _outcome(row),
    ]


def _outcome(row: Mapping[str, Any]) -> str:
    if row["undone_by"]:
        return f"undone by #{row['undone_by']}"
    return row["outcome"] or "waits for the runner"
