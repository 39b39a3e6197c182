"""One table with its remarks in every form: plain text, Markdown, a page of HTML. It reads no store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bertdistill.app.report.summary import Page
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import markdown_table, text_table

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; } th, td { padding: .25em .7em; text-align: left; border-bottom: 1px solid #ddd; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; } tr.teacher td { font-weight: bold; }
tr.reference td { color: #777; } h2 { margin-top: 2em; } figure { margin: 0; overflow-x: auto; }
"""


@dataclass(frozen=True)
class Column:
    """One column: its title, and whether it holds numbers."""

    title: str
    number: bool = True


@dataclass(frozen=True)
class Table:
    """Cells for any format."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    """The kind of each row, a class of its HTML."""

    @property
    def titles(self) -> list[str]:
        return [column.title for column in self.columns]


def table_text(table: Table, page: Page) -> str:
    """Aligned columns, numbers flush right."""
    right = [column.title for column in table.columns if column.number]
    cells = [[safe_line(cell, 60) for cell in row] for row in table.rows]
    return text_table(table.titles, cells, right=right, indent="  ", width=page.width)


def lines_text(lines: Sequence[str]) -> str:
    """Remarks below a table, a line each."""
    return "\n".join(f"  {safe_line(line, 500)}" for line in lines)


def table_markdown(table: Table) -> str:
    return markdown_table(table.titles, table.rows)


def lines_markdown(lines: Sequence[str]) -> str:
    return "\n".join(f"- {safe_line(line, 500)}" for line in lines)


def table_html(table: Table) -> str:
    """Names from a study are escaped."""

    def line(cells: Sequence[str], tag: str, kind: str = "") -> str:
        classes = ['class="number"' if column.number else "" for column in table.columns]
        inner = "".join(
            f"<{tag} {mark}>{escape(safe_line(cell, 200))}</{tag}>" for mark, cell in zip(classes, cells, strict=True)
        )
        return f'<tr class="{escape(kind)}">{inner}</tr>'

    rows = "\n".join(line(row, "td", kind) for row, kind in zip(table.rows, table.kinds, strict=True))
    return f"<figure><table>\n{line(table.titles, 'th')}\n{rows}\n</table></figure>"


def lines_html(lines: Sequence[str]) -> str:
    inner = "".join(f"<li>{escape(safe_line(text, 500))}</li>" for text in lines)
    return f"<ul>{inner}</ul>"


def page_html(title: str, body: str) -> str:
    """One page that needs nothing else: no script, no network."""
    words = escape(safe_line(title, 200))
    head = f'<meta charset="utf-8"><title>{words}</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>'
