"""The error analysis of a trial as rows of tables: classes, articles, confusion, examples. It judges nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bertdistill.app.report.analysis_text import MARKS, PieceKind, passage_pieces
from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.analysis import listed_questions
from bertdistill.app.widgets.cells import Cell, Row, Tone
from bertdistill.app.widgets.columns import Column
from bertdistill.engine.analysis.error_analysis import (
    CLASSES,
    Classified,
    Confusion,
    ErrorClass,
    Judged,
    QuestionErrors,
    Tally,
)

WRONG = "wrong"
"""Key of the row for all wrong answers."""
EVERYWHERE = ""
"""Key of the row for all articles, or all classes."""
ABSTAINED = "(no answer)"
TONES: dict[ErrorClass, Tone] = {
    "right": "good",
    "mostly_correct": "warn",
    "mostly_wrong": "bad",
    "not_answered": "bad",
    "answered": "bad",
}
STYLES: dict[PieceKind, str] = {"": "", "mark": "bold", "right": "bold", "given": "bold underline"}
_SHORT: dict[ErrorClass, str] = {
    "right": "right",
    "mostly_correct": "mostly right",
    "mostly_wrong": "mostly wrong",
    "not_answered": "not answered",
    "answered": "answered",
}


def class_table(found: QuestionErrors, bar: int, *, ascii_only: bool) -> tuple[list[Column], list[Row]]:
    """One row per class with count, share and a bar of `bar` cells; the last one holds all that is wrong."""
    columns = [
        Column("class", "class", 24),
        Column("count", "count", 6, "right"),
        Column("share", "share", 6, "right"),
        Column("bar", "", bar, grow=True),
    ]
    tally = found.overall
    rows = [
        _class(kind, words, tally.counts[kind], tally.share(kind), bar, ascii_only=ascii_only)
        for kind, words in CLASSES.items()
    ]
    wrong = tally.total - tally.counts["right"]
    share = 100.0 * wrong / tally.total if tally.total else 0.0
    return columns, [*rows, _class(WRONG, "all that is wrong", wrong, share, bar, ascii_only=ascii_only)]


def _class(key: str, words: str, count: int, share: float, bar: int, *, ascii_only: bool) -> Row:
    drawn = fmt.bar(share / 100, bar, ascii_only=ascii_only)
    return Row(key, (Cell(words), Cell(f"{count:,}"), Cell(f"{share:.1f}%"), Cell(drawn)), dim=count == 0)


def article_table(found: QuestionErrors) -> tuple[list[Column], list[Row]]:
    """One row per article, the worst first, below one for all of them; shares in percent."""
    columns = [Column("article", "article", 22, grow=True), Column("total", "count", 6, "right")]
    columns += [Column(kind, words, len(words) + 1, "right") for kind, words in _SHORT.items()]
    return columns, [_article(EVERYWHERE, "all articles", found.overall)] + [
        _article(tally.article, safe_line(tally.article, 80) or fmt.NONE, tally) for tally in found.articles
    ]


def _article(key: str, words: str, tally: Tally) -> Row:
    shares = [Cell(f"{tally.share(kind):.1f}%") for kind in _SHORT]
    return Row((key,) if key else EVERYWHERE, (Cell(words), Cell(f"{tally.total:,}"), *shares))


def confusion_table(found: Confusion) -> tuple[list[Column], list[Row]]:
    """One row per class: how many of it were given which class, and its precision, recall and F1 in percent."""
    labels = [safe_line(label, 30) for label in found.labels]
    columns = [Column("label", "is \\ given", 14)]
    columns += [Column(f"given {i}", label, max(6, min(12, len(label))), "right") for i, label in enumerate(labels)]
    columns += [Column("total", "texts", 6, "right")]
    columns += [Column(name, name, 9, "right") for name in ("precision", "recall", "F1")]
    totals = [sum(row[i] for row in found.counts) for i in range(len(labels))]
    cells = [Cell("all classes"), *(Cell(f"{total:,}") for total in totals), Cell(f"{len(found.texts):,}")]
    rows = [Row(EVERYWHERE, tuple(cells))]
    for place, (label, counts, one) in enumerate(zip(labels, found.counts, found.classes, strict=True)):
        # Correct counts are in brackets: in a wide table it is easy to lose track of the columns.
        given = [Cell(f"[{n:,}]", "good") if i == place else Cell(f"{n:,}") for i, n in enumerate(counts)]
        scores = [Cell(_percent(value)) for value in (one.precision, one.recall, one.f1)]
        rows.append(Row((found.labels[place],), (Cell(label), *given, Cell(f"{one.total:,}"), *scores)))
    return columns, rows


def _percent(value: float | None) -> str:
    return fmt.NONE if value is None else f"{value:.2f}"


# ------------------------------------------------------------------------------------------------------------ examples


def chosen_questions(found: QuestionErrors, kind: str, article: str | None) -> list[Judged]:
    """The questions of a class (`wrong`: of all but the right ones), of one article or of all (None)."""
    return [one for one in listed_questions(found, kind) if article is None or one.question.article == article]


def chosen_texts(found: Confusion, label: str | None) -> list[Classified]:
    """The texts of a class (None: of all) that were given another one."""
    return [one for one in found.texts if one.label != one.prediction and label in (None, one.label)]


def question_table(judged: Sequence[Judged]) -> tuple[list[Column], list[Row]]:
    """One row per question, keyed by its place in the list."""
    columns = [
        Column("f1", "F1", 4, "right"),
        Column("question", "question", 22, grow=True),
        Column("given", "given", 18),
        Column("right", "right", 18),
    ]
    return columns, [
        Row(
            place,
            (
                Cell(f"{one.f1:.2f}"),
                Cell(safe_line(one.question.question, 200)),
                Cell(safe_line(one.question.prediction, 80) or ABSTAINED, TONES[one.kind]),
                Cell(safe_line(_golds(one), 80)),
            ),
        )
        for place, one in enumerate(judged)
    ]


def text_table(texts: Sequence[Classified]) -> tuple[list[Column], list[Row]]:
    """One row per text, keyed by its place in the list."""
    columns = [Column("is", "is", 10), Column("given", "given", 10), Column("text", "text", 30, grow=True)]
    return columns, [
        Row(
            place,
            (Cell(safe_line(one.label, 30)), Cell(safe_line(one.prediction, 30), "bad"), Cell(safe_line(one.text))),
        )
        for place, one in enumerate(texts)
    ]


def question_words(one: Judged, *, ascii_only: bool) -> Text:
    """One question in full; the answers in its passage are in brackets."""
    asked = one.question
    opening, closing = MARKS[ascii_only]
    text = Text(f"{safe_line(asked.question, 1000)}\n")
    text.append(f"{opening}given{closing}: {safe_line(asked.prediction, 1000) or ABSTAINED}\n")
    text.append(f"[right]: {safe_line(_golds(one), 1000)}\n")
    for piece, kind in passage_pieces(asked.passage, ascii_only=ascii_only):
        text.append(piece, STYLES[kind])
    about = f"{CLASSES[one.kind]}, F1 {one.f1:.2f}; {safe_line(asked.article, 100)}; {safe_line(asked.id, 60)}"
    return text.append(f"\n{about}", "dim")


def text_words(one: Classified) -> str:
    """One text in full."""
    label, given = safe_line(one.label, 60), safe_line(one.prediction, 60)
    return f"{safe_line(one.text, 2000)}\nlabel {label}, answer {given}, example {safe_line(one.id, 60)}"


def _golds(one: Judged) -> str:
    return " | ".join(dict.fromkeys(one.question.golds)) or ABSTAINED
