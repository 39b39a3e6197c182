"""Trials side by side as rows of a table: one column per trial, differences from the first. Pure: it reads no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.analysis import mean_texts
from bertdistill.app.views.rank_card import short_gap
from bertdistill.app.views.view import StudyView, remark
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.app.widgets.trial_table import TONES
from bertdistill.engine.analysis.comparison import Comparison, MetricRow, SettingRow
from bertdistill.engine.tasks.table import METRICS
from bertdistill.store.rows import Trial

NAME_WIDTH, NARROW_NAME = 19, 13
NARROW = 60
"""Cells below which names are cut."""
LEAST_WIDTH, MOST_WIDTH = 16, 24
VERDICTS: dict[str, Tone] = {"better": "good", "worse": "bad", "equal": "plain", "tie": "plain", "": "plain"}


def comparison_columns(
    view: StudyView, found: Comparison, chosen: int, width: int, *, ascii_only: bool
) -> list[Column]:
    """Names, then one column per trial: the chosen one in brackets, stars on the frontier, the reference first."""
    name = NARROW_NAME if width < NARROW else NAME_WIDTH
    room = (width - name - 1) // len(found.numbers) - 1
    each = min(MOST_WIDTH, max(LEAST_WIDTH, room))
    star = "*" if ascii_only else "★"
    beside = width >= name + 2 * each + 4  # room for the reference and one more
    columns = [Column("name", "", name)]
    for place, number in enumerate(found.numbers):
        ranked = view.ranked.get(number)
        title = f"{star if ranked and ranked.on_frontier else ''}#{number}"
        title = f"[{title}]" if number == chosen else title
        words = f"reference {title}" if place == 0 else title
        columns.append(Column(str(number), words, each, "right", pinned=beside and place == 0))
    return columns


def comparison_rows(view: StudyView, found: Comparison, *, every: bool, ascii_only: bool) -> list[Row]:
    """Objectives, facts, settings, other metrics; settings shared by all trials only with `every`."""
    trials = [trial for number in found.numbers if (trial := view.trial(number)) is not None]
    chosen = found.settings if every else found.differing
    hidden = len(found.settings) - len(chosen)
    words = f"{hidden} are the same, = shows them" if hidden else ""
    aims, others = ([row for row in found.metrics if row.objective is aimed] for aimed in (True, False))
    return [
        *(_metric(row, view, ascii_only=ascii_only) for row in aims),
        *_facts(view, trials, ascii_only=ascii_only),
        Row(("section", "settings"), (Cell("Settings", "header"), Cell(words, "dim")), wide=True),
        *(_setting(row) for row in chosen),
        Row(("section", "metrics"), (Cell("Other metrics", "header"),)),
        *(_metric(row, view, ascii_only=ascii_only) for row in others),
    ]


def _facts(view: StudyView, trials: Sequence[Trial], *, ascii_only: bool) -> Iterator[Row]:
    states = [Cell(fmt.state(t.state.value, ascii_only=ascii_only), TONES[t.state.value]) for t in trials]
    yield Row("state", (Cell("state"), *states))
    places = [view.position(t.number) for t in trials]
    yield Row("rank", (Cell("rank"), *(Cell(fmt.NONE if p is None else str(p)) for p in places)))
    yield Row("gain", (Cell("gain"), *(Cell(fmt.gain(view.gain.get(t.number)) or fmt.NONE) for t in trials)))
    remarks = [safe_line(remark(view, t)) or t.origin for t in trials]
    yield Row("remark", (Cell("remark"), *(Cell(words) for words in remarks)))
    yield Row("time", (Cell("time"), *(Cell(fmt.duration(t.busy_seconds or None)) for t in trials)))
    for name, texts in (("tags", [" ".join(t.tags) for t in trials]), ("note", [t.note for t in trials])):
        if any(texts):
            yield Row(name, (Cell(name), *(Cell(safe_line(text, 300)) for text in texts)))


def _metric(row: MetricRow, view: StudyView, *, ascii_only: bool) -> Row:
    aim = next((o.direction for o in view.objectives if o.metric == row.name), "")
    known = METRICS.get(row.name)
    better = aim or (known.direction if known and any(row.verdicts) else "")
    title = safe_line(row.name, 40) + (f" {fmt.arrow(better, ascii_only=ascii_only)}" if better else "")
    cells = []
    for value, gap, verdict in zip(mean_texts(row), row.differences, row.verdicts, strict=True):
        words = f" ({short}{', tie' * (verdict == 'tie')})" if (short := short_gap(row.name, gap)) else ""
        cells.append(Cell(value + words, VERDICTS[verdict]))
    return Row(("metric", row.name), (Cell(title, "bright" if row.objective else "plain"), *cells))


def _setting(row: SettingRow) -> Row:
    """Values that differ from the reference's stand out."""
    first = row.values[0]
    cells = [Cell(safe_line(fmt.setting(v)), "plain" if row.same or v == first else "accent") for v in row.values]
    return Row(("setting", row.name), (Cell(safe_line(row.name, 40)), *cells), dim=row.same)
