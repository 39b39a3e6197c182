"""The ladder for people: a table and its conclusions as plain text, Markdown and HTML. It reads no store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

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
from bertdistill.engine.analysis.ladder import COSTS, REPORT, VALIDATION, Effect, Ladder, Rung
from bertdistill.engine.analysis.rungs import KINDS
from bertdistill.engine.analysis.scored import Interval, Score


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
    learnt += ", smallest" if one.is_smallest else ""
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
    effects = [effect_words(one) for one in found.effects]
    return [nearest_words(found), *([rival_words(found)] if found.rival else []), *effects, *_notes(found)]


def nearest_words(found: Ladder) -> str:
    """Which student is the smallest one near the teacher, with its interval."""
    near, points = found.near, "1 point" if found.near.margin == 1 else f"{found.near.margin:g} points"
    where = f"on the {found.split} split"
    if near.closest is None:
        return f"No student can be compared with the teacher {where}."
    if near.rung is None:
        name, gap = _named(found, near.closest), _gap_words(near.closest.scores[found.split])
        return f"No student is within {points} of the teacher {where}; the closest is {name}: {gap}."
    sure = {
        True: "the whole interval is within that",
        False: f"the interval reaches beyond {points}, so this is not certain",
        None: "without stored predictions of both there is no interval",
    }[near.certain]
    words = f"{_named(found, near.rung)}: {_gap_words(near.rung.scores[found.split])}"
    return f"The smallest student within {points} of the teacher {where} is {words}; {sure}."


def rival_words(found: Ladder) -> str:
    """That the teacher is weak, and what follows; empty if it is not."""
    if found.rival is None:
        return ""
    gap = _gap_words(found.rival.scores[found.split])
    return (
        f"The teacher is weak: on the {found.split} split it is not clearly better than {_named(found, found.rival)}, "
        f"which has learnt from labels only ({gap}). Distillation can bring little; fine-tune the teacher longer, or "
        "take a larger one."
    )


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
    if any(one.is_smallest for one in found.rungs):
        near = f"within {found.near.margin:g} of the teacher"
        yield f"`smallest` is the smallest of all trials {near}; a larger one of its family is better."
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
    rows, lines = table_text(table_of(found), page), lines_text(conclusions(found))
    return f"ladder of {safe_line(found.study, 60)}\n{rows}\n\n{lines}"


def ladder_markdown(found: Ladder) -> str:
    """A Markdown table and a list."""
    rows, lines = table_markdown(table_of(found)), lines_markdown(conclusions(found))
    return f"### {safe_line(found.study, 60)}\n\n{rows}\n\n{lines}"


def ladders_html(ladders: Sequence[Ladder]) -> str:
    """One page for all of them."""
    body = "\n".join(
        f"<h2>{escape(safe_line(one.study, 60))}</h2>\n{table_html(table_of(one))}\n{lines_html(conclusions(one))}"
        for one in ladders
    )
    return page_html(f"Ladder: {', '.join(one.study for one in ladders)}", body)
