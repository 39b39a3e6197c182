"""The history of what people asked for, as plain text. It reads no store and prints nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.report.summary import Page
from bertdistill.app.text.tables import text_table

TITLES = ("id", "when", "who", "about", "what", "outcome")


def requests_text(rows: Sequence[Mapping[str, Any]], page: Page) -> str:
    """One line a request, oldest first; `~` marks what was undone."""
    body = [_cells(row) for row in rows]
    return text_table(TITLES, body, right=["id"], width=page.width) or "nobody asked for anything yet"


def _cells(row: Mapping[str, Any]) -> list[str]:
    trial = "" if row["trial"] is None else f"/{row['trial']}"
    return [
        f"{'~' if row['undone_by'] else ''}#{row['id']}",
        time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row["at"])),
        row["who"],
        f"{row['study']}{trial}" or "workspace",
        row["words"],
        _outcome(row),
    ]


def _outcome(row: Mapping[str, Any]) -> str:
    if row["undone_by"]:
        return f"undone by #{row['undone_by']}"
    return row["outcome"] or "waits for the runner"
