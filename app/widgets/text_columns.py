"""The columns of a widget table for cells that are text already. Pure."""

from __future__ import annotations

from rich.cells import cell_len

from bertdistill.app.report.table_page import Table
from bertdistill.app.widgets.columns import Column


def text_columns(table: Table) -> list[Column]:
    """One column of the widget for each of the table, as wide as its widest cell; heads of several words keep apart."""
    return [
        Column(
            f"{place} {column.title}",
            column.title,
            max(len(column.title) + (" " in column.title), *(cell_len(row[place]) for row in table.rows)),
            "right" if column.number else "left",
        )
        for place, column in enumerate(table.columns)
    ]
