"""One table with its remarks in every form: plain text, Markdown, a page of HTML. It reads no store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bertdistill.app.report.summary import Page
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import markdown_table, text_table

STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #22272e; --quiet: #59636e; --rule: #d8dee4; }
@media (prefers-color-scheme: dark) { :root { --page: #11151a; --text: #e6edf3; --quiet: #9aa4af; --rule: #30363d; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
body { color: var(--text); background: var(--page); }
table { border-collapse: collapse; } th, td { padding: .25em .7em; text-align: left; vertical-align: top; }
th, td { border-bottom: 1px solid var(--rule); } tbody th { font-weight: normal; }
caption { text-align: left; color: var(--quiet); padding-bottom: .4em; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; } tr.teacher > * { font-weight: bold; }
tr.reference > * { color: var(--quiet); } tr.frontier > * { font-weight: 600; }
h2 { margin-top: 2em; } figure { margin: 0 0 1em; overflow-x: auto; } svg { max-width: 100%; height: auto; }
pre { overflow-x: auto; padding: .8em; border: 1px solid var(--rule); font-size: 13px; line-height: 1.4; }
@media print { :root { --page: #fff; --text: #000; --quiet: #444; --rule: #bbb; } body { margin: 0; max-width: none; }
body { font-size: 10pt; } figure { overflow: visible; } tr, svg { break-inside: avoid; }
h2, h2 + p { break-after: avoid; }
thead { display: table-header-group; } pre { white-space: pre-wrap; font-size: 8pt; } }
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


def table_html(table: Table, caption: str = "", *, header: int | None = None) -> str:
    """Names from a study are escaped. The cells of the column `header` are headers of their rows."""

    def cell(place: int, text: str, *, title: bool) -> str:
        tag, scope = ("th", ' scope="col"') if title else ("th", ' scope="row"') if place == header else ("td", "")
        mark = ' class="number"' if table.columns[place].number else ""
        return f"<{tag}{mark}{scope}>{escape(safe_line(text, 500))}</{tag}>"

    def line(cells: Sequence[str], kind: str = "", *, title: bool = False) -> str:
        mark = f' class="{escape(kind)}"' if kind else ""
        return f"<tr{mark}>{''.join(cell(place, text, title=title) for place, text in enumerate(cells))}</tr>"

    named = f"<caption>{escape(safe_line(caption, 500))}</caption>" if caption else ""
    head = f"<thead>{line(table.titles, title=True)}</thead>"
    rows = "\n".join(line(row, kind) for row, kind in zip(table.rows, table.kinds, strict=True))
    return f"<figure><table>{named}\n{head}\n<tbody>\n{rows}\n</tbody></table></figure>"


def lines_html(lines: Sequence[str]) -> str:
    inner = "".join(f"<li>{escape(safe_line(text, 500))}</li>" for text in lines)
    return f"<ul>{inner}</ul>"


def page_html(title: str, body: str, *, style: str = "") -> str:
    """One page that needs nothing else: no script, no network. `style` is added to that of every page."""
    words = escape(safe_line(title, 200))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">\n<title>{words}</title>'
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{STYLE}{style}</style></head><body><main>\n{body}\n'
        "</main></body></html>"
    )
