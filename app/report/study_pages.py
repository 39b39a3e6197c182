"""A report of a study as one file: a page of HTML that needs nothing else, or Markdown; and how it is written."""

from __future__ import annotations

import os
import re
import time
from contextlib import closing
from dataclasses import replace
from html import escape
from pathlib import Path

from bertdistill.app.draw.svg import CHART_STYLE
from bertdistill.app.report.pictures import frontier_picture, importance_picture, score_picture
from bertdistill.app.report.study_material import Material, read_material, score_metrics
from bertdistill.app.report.study_report import Grid, Section, sections
from bertdistill.app.report.study_summary import plane
from bertdistill.app.report.table_page import lines_html, page_html, table_html, table_markdown
from bertdistill.app.text.safe import safe, safe_line
from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.db import open_db

FORMATS = ("html", "md")
CHARTS = ("svg", "png")
"""Instead of a format: the charts alone."""
LONGEST_LINE = 2000
LONGEST_CODE = 200_000
REPORT_STYLE = """
td, th { font-size: 13px; } td.number, th { white-space: nowrap; } td:last-child:not(.number) { min-width: 16em; }
@media print { th { white-space: normal; } td, th { font-size: 8pt; padding: .2em .4em; } }
"""
_MARKED = re.compile(r"([\\`*\[\]<>])")
"""What Markdown would take for its own, and HTML in it."""


def report_page(found: Material, kind: str) -> str:
    """The report in one of the formats."""
    title, parts = f"Study {found.view.study.name}", sections(found)
    return _html(title, parts) if kind == "html" else _markdown(title, parts)


def charts_of(found: Material) -> dict[str, str]:
    """The charts of the report as pictures of their own, by their names."""
    view, charts = found.view, {}
    x, y, why_not = plane(view)
    if not why_not:
        charts["frontier"] = frontier_picture(view, x=x, y=y, cascades=found.cascades)
    for metric in score_metrics(view):
        if metric in found.curves:
            name = "".join(char if char.isalnum() else "-" for char in metric)[:60]
            charts[f"curves-{name}"] = score_picture(view, metric, found.curves[metric])
    if any(one.weights for one in found.importances):
        charts["importance"] = importance_picture(view.study.name, found.importances)
    return charts


def _html(title: str, parts: list[Section]) -> str:
    body = "\n".join(map(_section_html, parts))
    return page_html(title, f"<h1>{_text(title)}</h1>\n{body}", style=CHART_STYLE + REPORT_STYLE)


def _section_html(part: Section) -> str:
    inner = [f"<p>{_text(line)}</p>" for line in part.lines]
    inner += [f"<figure>{chart.svg}</figure>" for chart in part.charts]
    inner += [table_html(one.table, one.caption, header=one.header) for one in part.grids]
    inner += [lines_html(part.notes)] if part.notes else []
    inner += [f"<pre><code>{escape(safe(part.code, LONGEST_CODE))}</code></pre>"] if part.code else []
    listed = "\n".join(inner)
    return f"<section>\n<h2>{_text(part.title)}</h2>\n{listed}\n</section>"


def _text(line: str) -> str:
    return escape(safe_line(line, LONGEST_LINE))


def _markdown(title: str, parts: list[Section]) -> str:
    return "\n\n".join([f"# {_plain(title)}", *map(_section_markdown, parts)])


def _section_markdown(part: Section) -> str:
    blocks = [f"## {part.title}"]
    blocks += ["\n".join(f"- {_plain(line)}" for line in part.lines)] if part.lines else []
    blocks += [_fenced(chart.text) for chart in part.charts if chart.text]
    blocks += [f"{_plain(one.caption)}\n\n{_table_markdown(one)}" for one in part.grids]
    blocks += ["\n".join(f"- {_plain(line)}" for line in part.notes)] if part.notes else []
    blocks += [_fenced(safe(part.code, LONGEST_CODE), "toml")] if part.code else []
    return "\n\n".join(blocks)


def _table_markdown(one: Grid) -> str:
    table = one.table
    columns = tuple(replace(column, title=_plain(column.title)) for column in table.columns)
    return table_markdown(replace(table, columns=columns, rows=tuple(tuple(map(_plain, row)) for row in table.rows)))


def _plain(line: str) -> str:
    """A text that Markdown shows as it is."""
    return _MARKED.sub(r"\\\1", safe_line(line, LONGEST_LINE))


def _fenced(text: str, language: str = "") -> str:
    """Whatever is in `text`, the fence is longer."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


# --------------------------------------------------------------------------------------------------------------- files


def check_target(path: Path, *, force: bool) -> None:
    """InvalidRequest for a path that must not be written."""
    if path.is_dir():
        raise InvalidRequest(f"{path} is a folder", hint="Name a file in it.")
    if not force and (path.exists() or path.is_symlink()):
        raise InvalidRequest(f"{path} exists", hint="Choose another path, or replace it with --force.")


def write_whole(path: Path, content: str | bytes, *, force: bool = False) -> Path:
    """Write a file that is complete or not there, by a rename; without `force` never over another one."""
    path = path.expanduser().absolute()
    check_target(path, force=force)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:100]}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content if isinstance(content, bytes) else (content.rstrip("\n") + "\n").encode())
        check_target(path, force=force)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_report_here(workspace: Workspace, name: str) -> Path:
    """The report of a study as a page in the folder `reports` of the workspace."""
    with closing(open_db(workspace.path, read_only=True)) as db:
        text = report_page(read_material(db, workspace, name), "html")
    safe_name = "".join(char if char.isalnum() else "-" for char in name)[:60]
    return write_whole(workspace.path / "reports" / f"{time.strftime('%Y%m%d-%H%M%S')}-{safe_name}.html", text)
