"""The survey for people: tables, a chart and a sentence, as plain text, Markdown and HTML. It reads no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from bertdistill.app.draw.axes import Axis
from bertdistill.app.draw.canvas import Drawing, Look
from bertdistill.app.draw.plane import Point, frontier_chart, frontier_drawing
from bertdistill.app.draw.svg import CHART_STYLE
from bertdistill.app.draw.svg_charts import frontier_svg
from bertdistill.app.report.ladder_text import interval, interval_words, spread
from bertdistill.app.report.summary import Page
from bertdistill.app.report.table_page import (
    Column,
    Table,
    lines_html,
    lines_markdown,
    lines_text,
    page_html,
    table_html,
    table_markdown,
    table_text,
)
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.engine.analysis.published import Published, kept, points_of
from bertdistill.engine.analysis.survey import COSTS, REPORT, VALIDATION, Best, Entry, Survey

INTERVAL = "95 %"
"""Head of the interval of the score or difference before it."""
HEADS = {"size_mb": "size"}
"""Heads of costs that are not their names."""


def factor_words(value: float) -> str:
    """`5.7×`."""
    return f"{value:,.0f}×" if value >= 100 else f"{value:.3g}×"


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} %"


# --------------------------------------------------------------------------------------------------------------- tables


def entries_table(found: Survey) -> Table:
    """Every configuration, the largest model first, then the teacher."""
    costs = [name for name in COSTS if any(one.costs.get(name) is not None for one in found.entries)]
    costs = [name for name in costs if name != "nonzero_params" or _pruned(found)]
    splits = [split for split in (VALIDATION, REPORT) if any(split in one.scores for one in found.entries)]
    columns = [Column("method", False), Column("trial"), Column("compression")]
    for split in splits:
        columns += [Column(found.score if split == VALIDATION else "report split"), Column(INTERVAL)]
    columns += [Column("to the teacher"), Column(INTERVAL), Column("score kept")]
    columns += [Column(HEADS.get(name, name)) for name in costs]
    rows = [_entry_row(found, one, splits, costs) for one in found.entries]
    kinds = ["" for _ in rows]
    if found.teacher is not None:
        score = [spread(found.score, found.teacher), interval(found.score, found.teacher.interval)]
        cells = [part for split in splits for part in (score if split == found.split else ["", ""])]
        rows.append(["teacher", "", "1×", *cells, "", "", "100 %", *("" for _ in costs)])
        kinds.append("teacher")
    kept = [place for place in range(len(columns)) if place < 3 or any(row[place] for row in rows)]
    shown = tuple(tuple(row[place] for place in kept) for row in rows)
    return Table(tuple(columns[place] for place in kept), shown, tuple(kinds))


def entry_value(found: Survey, one: Entry, head: str) -> float | str | None:
    """What one configuration has in the column with this head."""
    mine = one.scores.get(found.split)
    splits = {found.score: VALIDATION, "report split": REPORT}
    match head:
        case "method":
            return one.method.casefold()
        case "trial":
            return one.numbers[0]
        case "compression":
            return one.compression
        case "to the teacher":
            return None if mine is None else mine.gap
        case "score kept":
            return one.kept
    if head in splits:
        return one.scores[splits[head]].value if splits[head] in one.scores else None
    return one.costs.get({shown: name for name, shown in HEADS.items()}.get(head, head))


def _pruned(found: Survey) -> bool:
    """Whether any student has fewer non-zero parameters than parameters."""
    pairs = [(one.costs.get("nonzero_params"), one.costs.get("params")) for one in found.entries]
    return any(nonzero is not None and params is not None and nonzero < params for nonzero, params in pairs)


def _entry_row(found: Survey, one: Entry, splits: Sequence[str], costs: Sequence[str]) -> list[str]:
    cells = [one.method, f"#{one.numbers[0]}", factor_words(one.compression)]
    for split in splits:
        score = one.scores.get(split)
        cells += ["", ""] if score is None else [spread(found.score, score), interval(found.score, score.interval)]
    mine = one.scores.get(found.split)
    cells += ["" if mine is None or mine.gap is None else fmt.signed(mine.gap)]
    cells += ["" if mine is None or mine.gap_interval is None else interval_words(mine.gap_interval)]
    return [*cells, percent(one.kept), *(_cost(name, one.costs.get(name)) for name in costs)]


def _cost(name: str, value: float | None) -> str:
    if value is None:
        return ""
    if name in ("size_mb", "bytes"):
        return fmt.size(value * (1e6 if name == "size_mb" else 1))
    return fmt.metric(name, value)


def best_table(found: Survey, published: Sequence[Published] = ()) -> Table:
    """The best method at each compression, with what it kept, and the best published point."""
    titles = ["at least", "best method", "trial", "compression", "score kept", "ties with"]
    columns = [Column(title, title in ("at least", "trial", "compression", "score kept")) for title in titles]
    rows = [_best_row(one) for one in found.best]
    if published:
        columns += [Column("published", False), Column("kept there")]
        rows = [[*row, *_published_cells(one.factor, published)] for row, one in zip(rows, found.best, strict=True)]
    return Table(tuple(columns), tuple(map(tuple, rows)), ("",) * len(rows))


def _best_row(one: Best) -> list[str]:
    if one.entry is None:
        return [factor_words(one.factor), "none", "", "", "", ""]
    entry = one.entry
    return [
        factor_words(one.factor),
        entry.method,
        f"#{entry.numbers[0]}",
        factor_words(entry.compression),
        percent(entry.kept),
        ", ".join(one.ties),
    ]


def _published_cells(factor: float, published: Sequence[Published]) -> list[str]:
    small = [(share, one) for one in published if one.compression >= factor and (share := kept(one)) is not None]
    if not small:
        return ["none", ""]
    share, best = max(small, key=lambda pair: pair[0])
    return [f"{best.method} ({factor_words(best.compression)}, {best.paper})", percent(share)]


def published_table(data: str) -> Table:
    """Every published point on a data set."""
    titles = ["published method", "of", "compression", "score", "score kept", "source", "note"]
    numbers = ("compression", "score", "score kept")
    rows = [
        (
            one.method,
            one.base,
            factor_words(one.compression),
            f"{one.score:g}",
            percent(kept(one)),
            f"{one.paper}, {one.split}",
            one.note,
        )
        for one in sorted(points_of(data), key=lambda one: one.compression)
    ]
    return Table(tuple(Column(t, t in numbers) for t in titles), tuple(rows), ("reference",) * len(rows))


# ---------------------------------------------------------------------------------------------------------- conclusions


def sentence(found: Survey) -> str:
    """Which small BERTs are the best, in one sentence: each winner once, with its own compression."""
    named = {one.entry.numbers: (one.entry, one.ties) for one in reversed(found.best) if one.entry is not None}
    if not named:
        return f"No method is {factor_words(found.best[0].factor)} smaller than the teacher yet."
    parts = []
    for entry, ties in reversed(named.values()):
        tie = f" (a tie with {', '.join(ties)})" if ties else ""
        share = f", {percent(entry.kept)} of the teacher's {found.score}" if entry.kept is not None else ""
        parts.append(f"{entry.method} at {factor_words(entry.compression)}{share}{tie}")
    return f"The best small models: {'; '.join(parts)}."


def remarks(found: Survey, data: str = "") -> list[str]:
    """What the tables say, and how they were made."""
    return [sentence(found), *_notes(found, data)]


def _notes(found: Survey, data: str) -> Iterator[str]:
    size = "bytes of the files" if found.by_bytes else "parameters"
    yield f"Compression counts {size}: the teacher's over the student's. Rows were chosen on the validation split."
    if found.split == REPORT:
        yield f"Scores kept and ties are on the report split ({found.examples.get(REPORT, 0):,} examples)."
    else:
        yield "Not every row is scored on the report split; `engine survey --verify` scores them."
    if _pruned(found):
        yield "Pruned weights are zeros in a model of full size: they change nonzero_params, not compression."
    if data:
        yield (
            f"Published points are on {data}, of other teachers and splits; where they prune, compression counts "
            "non-zero weights."
        )


def survey_axes(found: Survey) -> tuple[Axis, Axis]:
    """Compression, and percent of the teacher's score."""
    x = Axis("compression", "maximize", lambda value: f"{value:g}x", log=True)
    return x, Axis(f"% of the teacher's {found.score}", "maximize", lines=((100.0, "teacher"),))


def survey_points(found: Survey, data: str) -> tuple[list[Point], list[Entry | None]]:
    """This study's configurations, smallest first, and published points; beside each its configuration."""
    points, entries = list[Point](), list[Entry | None]()
    best = 0.0
    for one in sorted(found.entries, key=lambda one: -one.compression):
        if one.kept is not None:
            edge, best = one.kept > best, max(best, one.kept)
            points.append(Point(one.compression, one.kept, "frontier" if edge else "dominated", one.method, edge=edge))
            entries.append(one)
    shares = [(one, share) for one in (points_of(data) if data else ()) if (share := kept(one)) is not None]
    points += [Point(one.compression, share, "reference", one.method) for one, share in shares]
    return points, [*entries, *(None for _ in shares)]


def survey_drawing(found: Survey, data: str, look: Look, *, chosen: Entry | None = None) -> Drawing:
    """Score kept against compression, with a cursor on one configuration."""
    points, entries = survey_points(found, data)
    return frontier_drawing(
        points, *survey_axes(found), look, cursor=entries.index(chosen) if chosen in entries and chosen else None
    )


def survey_chart(found: Survey, data: str, page: Page) -> str:
    """The same as lines of text; empty while no score is known."""
    points, _ = survey_points(found, data)
    look = Look(min(page.width or 78, 110), 20, page.colour, page.ascii_only)
    return frontier_chart(points, *survey_axes(found), look) if points else ""


def survey_picture(found: Survey, data: str, *, styled: bool = True) -> str:
    """The same as SVG."""
    points, _ = survey_points(found, data)
    title = f"{found.study}: score kept against compression"
    return frontier_svg(points, *survey_axes(found), title=title, name="survey", styled=styled)


# -------------------------------------------------------------------------------------------------------------- formats


def survey_text(found: Survey, data: str, page: Page) -> str:
    """Tables, a chart, then a sentence a line."""
    parts = [
        f"survey of {safe_line(found.study, 60)}",
        table_text(entries_table(found), page),
        table_text(best_table(found, points_of(data) if data else ()), page),
        survey_chart(found, data, page),
        lines_text(remarks(found, data)),
    ]
    return "\n\n".join(filter(None, parts))


def survey_markdown(found: Survey, data: str) -> str:
    """Markdown tables and a list."""
    parts = [
        f"### {safe_line(found.study, 60)}",
        table_markdown(entries_table(found)),
        table_markdown(best_table(found, points_of(data) if data else ())),
        lines_markdown(remarks(found, data)),
    ]
    return "\n\n".join(parts)


def survey_html(found: Survey, data: str) -> str:
    """One self-contained page with the chart and all tables, the published points among them."""
    name = escape(safe_line(found.study, 60))
    parts = [
        f"<h1>Which small model is the best? {name}</h1>",
        f"<p>{escape(safe_line(sentence(found), 1000))}</p>",
        f"<figure>{survey_picture(found, data, styled=False)}</figure>",
        f"<h2>Best at each compression</h2>\n{table_html(best_table(found, points_of(data) if data else ()))}",
        f"<h2>Every method</h2>\n{table_html(entries_table(found))}",
    ]
    if data:
        parts.append(f"<h2>Published on {escape(data)}</h2>\n{table_html(published_table(data))}")
    parts.append(lines_html(remarks(found, data)[1:]))
    return page_html(f"Survey: {found.study}", "\n".join(parts), style=CHART_STYLE)
