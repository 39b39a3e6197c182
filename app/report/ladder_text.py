"""The ladder for people: a table and its conclusions as plain text, Markdown and HTML. It reads no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bertdistill.app.report.summary import Page
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.text.tables import markdown_table, text_table
from bertdistill.engine.analysis.ladder import COSTS, REPORT, VALIDATION, Effect, Ladder, Rung
from bertdistill.engine.analysis.rungs import KINDS
from bertdistill.engine.analysis.scored import Interval, Score

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
    """The cells of a ladder, for any format."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    """The kind of each row."""


def table_of(found: Ladder) -> Table:
    """Students from the smallest family up, the teacher, then references; empty columns are left out."""
    every = (*found.rungs, *([found.teacher] if found.teacher else []), *found.references)
    splits = [split for split in (VALIDATION, REPORT) if any(split in one.scores for one in every)]
    measured = (*found.rungs, *found.references)  # a cost that only the teacher has compares nothing
    costs = [
        name for name in dict.fromkeys((*COSTS, found.size)) if any(one.costs.get(name) is not None for one in measured)
    ]
    columns = [Column("student", False), Column("training", False), Column("trial")]
    for split in splits:
        title = found.score if split == VALIDATION else "report split"
        columns += [Column(title), Column("95 %"), Column("to the teacher"), Column("95 %")]
    columns += [Column({"size_mb": "size"}.get(name, name)) for name in costs]
    rows = [_row(found, one, splits, costs) for one in every]
    kept = [
        place for place in range(len(columns)) if place < 3 or any(row[place] not in ("", fmt.NONE) for row in rows)
    ]
    return Table(
        tuple(columns[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in rows),
        tuple(one.kind for one in every),
    )


def _row(found: Ladder, one: Rung, splits: Sequence[str], costs: Sequence[str]) -> list[str]:
    learnt = KINDS.get(one.kind, "published" if one.kind == "reference" else "")
    cells = [one.family, learnt, f"#{one.numbers[0]}" if one.numbers else ""]
    for split in splits:
        score = one.scores.get(split)
        cells += [""] * 4 if score is None else _score(found.score, score)
    return [*cells, *(_cost(name, one.costs.get(name)) for name in costs)]


def _score(metric: str, score: Score) -> list[str]:
    return [
        spread(metric, score),
        interval(metric, score.interval),
        "" if score.gap is None else fmt.signed(score.gap),
        "" if score.gap_interval is None else interval_words(score.gap_interval),
    ]


def spread(metric: str, score: Score) -> str:
    """`88.12 ± 0.43 (3)`: the mean, the standard deviation over seeds and their number; the value of a single seed."""
    value = fmt.metric(metric, score.value)
    return value if score.spread is None else f"{value} ± {score.spread:.2f} ({score.seeds})"


def interval(metric: str, ends: Interval | None) -> str:
    """`86.91 to 89.30`."""
    return "" if ends is None else " to ".join(fmt.metric(metric, end) for end in ends)


def _cost(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return fmt.size(value * 1e6) if name == "size_mb" else fmt.metric(name, value)


# ---------------------------------------------------------------------------------------------------------- conclusions


def conclusions(found: Ladder) -> list[str]:
    """What the table says, and how it was made, a sentence each."""
    return [nearest_words(found), *(effect_words(one) for one in found.effects), *_notes(found)]


def nearest_words(found: Ladder) -> str:
    """Which family is the smallest one near the teacher, with its interval."""
    near, points = found.near, "1 point" if found.near.margin == 1 else f"{found.near.margin:g} points"
    where = f"on the {found.split} split"
    if near.closest is None:
        return f"No student can be compared with the teacher {where}."
    if near.rung is None:
        name, gap = _named(found, near.closest), _gap_words(near.closest.scores[found.split])
        return f"No family is within {points} of the teacher {where}; the closest is {name}: {gap}."
    sure = {
        True: "the whole interval is within that",
        False: f"the interval reaches beyond {points}, so this is not certain",
        None: "without stored predictions of both there is no interval",
    }[near.certain]
    words = f"{_named(found, near.rung)}: {_gap_words(near.rung.scores[found.split])}"
    return f"The smallest family within {points} of the teacher {where} is {words}; {sure}."


def _named(found: Ladder, rung: Rung) -> str:
    size = rung.costs.get(found.size)
    size_words = "" if size is None else f", {found.size} {_cost(found.size, size)}"
    return f"{rung.family}, {KINDS[rung.kind]} (#{rung.numbers[0]}{size_words})"


def _gap_words(score: Score) -> str:
    gap = score.gap or 0.0
    words = f"{abs(gap):.2f} {'below' if gap < 0 else 'above'}" if round(gap, 2) else "equal to it"
    ends = "" if score.gap_interval is None else f", 95 % interval {interval_words(score.gap_interval)}"
    return f"{words}{ends}"


def interval_words(ends: Interval) -> str:
    """`-1.20 to +0.40`."""
    return " to ".join(fmt.signed(end) for end in ends)


def effect_words(one: Effect) -> str:
    """What distillation or a transfer set brought to a family, and whether it may as well be nothing."""
    ends = "" if one.interval is None else f" (95 % interval {interval_words(one.interval)})"
    verdict = {True: ": a tie", False: "", None: ""}[one.tie]
    other = "" if one.same_settings else "; other settings differ too"
    kinds = f"{KINDS[one.kind]} against {KINDS[one.against]}"
    return f"{one.family}, {kinds}: {fmt.signed(one.difference)}{ends}{verdict}{other}."


def _notes(found: Ladder) -> Iterator[str]:
    counted = {split: f" ({count:,} examples)" for split, count in found.examples.items()}
    chosen = f"Each row is the trial with the best {found.score} on the validation split{counted.get(VALIDATION, '')}"
    yield f"{chosen}; being the best of several flatters it there."
    if any(score.seeds > 1 for one in found.rungs for score in one.scores.values()):
        yield "± is the standard deviation over seeds, with their number in brackets; values are means."
    scored = [one for one in found.rungs if REPORT in one.scores]
    if len(scored) == len(found.rungs):
        yield f"Nothing was selected on the report split{counted.get(REPORT, '')}."
    else:
        some = f"{len(scored)} of {len(found.rungs)} rows are" if scored else "No row is"
        yield f"{some} scored on the report split, on which nothing is selected; `engine ladder --verify` scores them."


# -------------------------------------------------------------------------------------------------------------- formats


def ladder_text(found: Ladder, page: Page) -> str:
    """A table, then a sentence a line."""
    table = table_of(found)
    right = [column.title for column in table.columns if column.number]
    cells = [[safe_line(cell, 60) for cell in row] for row in table.rows]
    rows = text_table([column.title for column in table.columns], cells, right=right, indent="  ", width=page.width)
    lines = "\n".join(f"  {safe_line(line, 500)}" for line in conclusions(found))
    return f"ladder of {safe_line(found.study, 60)}\n{rows}\n\n{lines}"


def ladder_markdown(found: Ladder) -> str:
    """A Markdown table and a list."""
    table = table_of(found)
    rows = markdown_table([column.title for column in table.columns], table.rows)
    lines = "\n".join(f"- {safe_line(line, 500)}" for line in conclusions(found))
    return f"### {safe_line(found.study, 60)}\n\n{rows}\n\n{lines}"


def ladders_html(ladders: Sequence[Ladder]) -> str:
    """One page that needs nothing else: no script, no network. Names from a study are escaped."""
    body = "\n".join(_section(one) for one in ladders)
    title = escape(safe_line(", ".join(one.study for one in ladders), 200))
    head = f'<meta charset="utf-8"><title>Ladder: {title}</title><style>{STYLE}</style>'
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>'


def _section(found: Ladder) -> str:
    table = table_of(found)

    def line(cells: Sequence[str], tag: str, kind: str = "") -> str:
        classes = ['class="number"' if column.number else "" for column in table.columns]
        inner = "".join(
            f"<{tag} {mark}>{escape(safe_line(cell, 200))}</{tag}>" for mark, cell in zip(classes, cells, strict=True)
        )
        return f'<tr class="{escape(kind)}">{inner}</tr>'

    head = line([column.title for column in table.columns], "th")
    rows = "\n".join(line(row, "td", kind) for row, kind in zip(table.rows, table.kinds, strict=True))
    lines = "".join(f"<li>{escape(safe_line(text, 500))}</li>" for text in conclusions(found))
    name = escape(safe_line(found.study, 60))
    return f"<h2>{name}</h2>\n<figure><table>\n{head}\n{rows}\n</table></figure>\n<ul>{lines}</ul>"
