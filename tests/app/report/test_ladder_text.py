"""The ladder as text, Markdown and HTML."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from typing import Any

from tests.app.hostile import HOSTILE

from bertdistill.app.report.ladder_text import (
    effect_words,
    ladder_markdown,
    ladder_text,
    ladders_html,
    nearest_words,
    table_of,
)
from bertdistill.app.report.summary import Page
from bertdistill.app.views.ladder import ladder_row, read_row, rung_rows
from bertdistill.engine.analysis.ladder import REPORT, VALIDATION, Effect, Ladder, Nearest, Rung
from bertdistill.engine.analysis.scored import Score

MLP = Rung(
    "mlp",
    "distilled",
    (7, 9),
    {VALIDATION: Score(88.25, 2, 0.354, (86.0, 90.5), -0.75, (-2.0, 0.25))},
    {"params": 80_306.0, "size_mb": 0.321, "latency_ratio": 0.002},
)
PLAIN = Rung("mlp", "plain", (3,), {VALIDATION: Score(87.0, gap=-2.0)}, {"params": 80_306.0})
TEACHER = Rung("teacher", "teacher", (), {VALIDATION: Score(89.0)}, {"params": 22e6})
PUBLISHED = Rung("DistilBERT", "reference", (), {REPORT: Score(91.5)}, {"params": 66e6})
FOUND = Ladder(
    "toy",
    "accuracy",
    "params",
    VALIDATION,
    (PLAIN, MLP),
    TEACHER,
    (PUBLISHED,),
    (Effect("mlp", "distilled", "plain", 1.25, (-0.5, 3.0), True),),
    Nearest(1.0, MLP, MLP, False),
    {VALIDATION: 692},
)


class Parsed(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [name for name, _ in attrs if name in ("src", "href", "onclick")]
        self._cell = tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])
        if self._cell:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._cell = False


def test_rows_and_columns() -> None:
    """Columns that nobody fills are left out; a reference stands where it was measured, on another split than ours."""
    table = table_of(FOUND)
    assert ["student", "training", "trial", "accuracy", "95 %", "to the teacher", "95 %"] == [
        column.title for column in table.columns[:7]
    ]
    assert ["report split", "params", "size", "latency_ratio"] == [column.title for column in table.columns[7:]]
    assert ("mlp", "distilled", "#7", "88.25 ± 0.35 (2)", "86.00 to 90.50", "-0.75", "-2.00 to +0.25") == table.rows[1][
        :7
    ]
    assert ("80.3k", "321 kB", "0.002") == table.rows[1][8:]
    assert ("plain", "distilled", "teacher", "reference") == table.kinds


def test_the_smallest_family_near_the_teacher_in_words() -> None:
    """Named with its size, and whether the interval allows to be sure."""
    start = "The smallest student within 1 point of the teacher on the validation split is"
    words = f"{start} mlp, distilled (#7, params 80.3k): 0.75 below, 95 % interval -2.00 to +0.25; "
    assert words + "the interval reaches beyond 1 point, so this is not certain." == nearest_words(FOUND)
    sure = dataclasses.replace(FOUND, near=Nearest(1.0, MLP, MLP, True))
    assert nearest_words(sure).endswith("the whole interval is within that.")


def test_the_row_of_the_smallest_student_says_why_it_is_there() -> None:
    small = dataclasses.replace(MLP, numbers=(11,), is_smallest=True)
    text = ladder_text(dataclasses.replace(FOUND, rungs=(PLAIN, small, MLP)), Page(200))
    assert "distilled, smallest" in text
    assert "the smallest of all trials within 1 of the teacher; a larger one" in text


def test_no_family_near_the_teacher_in_words() -> None:
    """The closest is named; without a teacher nothing can be compared."""
    none = dataclasses.replace(FOUND, near=Nearest(1.0, None, PLAIN))
    expected = (
        "No student is within 1 point of the teacher on the validation split; the closest is mlp, plain (#3, params "
    )
    assert f"{expected}80.3k): 2.00 below." == nearest_words(none)
    nothing = dataclasses.replace(FOUND, near=Nearest(1.0))
    assert "No student can be compared with the teacher on the validation split." == nearest_words(nothing)


def test_a_weak_teacher_in_words() -> None:
    """In every format, with what to do; JSON reads it back. A strong one is not mentioned."""
    rival = Rung("linear", "plain", (4,), {VALIDATION: Score(88.9, gap=-0.1, gap_interval=(-1.5, 1.25))})
    weak = dataclasses.replace(FOUND, rungs=(rival, *FOUND.rungs), rival=rival)
    words = "The teacher is weak: on the validation split it is not clearly better than linear, plain (#4)"
    for text in (ladder_text(weak, Page()), ladder_markdown(weak), ladders_html([weak])):
        assert words in text
        assert "0.10 below, 95 % interval -1.50 to +1.25" in text
    assert weak == read_row(ladder_row(weak))
    assert "weak" not in ladder_text(FOUND, Page())


def test_what_distillation_brought_in_words() -> None:
    """A tie is called a tie."""
    [effect] = FOUND.effects
    tie = "mlp, distilled against plain: +1.25 (95 % interval -0.50 to +3.00): a tie."
    assert tie == effect_words(effect)
    other = dataclasses.replace(effect, interval=None, same_settings=False)
    assert "mlp, distilled against plain: +1.25; other settings differ too." == effect_words(other)


def test_text_says_how_rows_were_chosen() -> None:
    """And that nothing is verified yet."""
    text = ladder_text(FOUND, Page())
    assert "the best accuracy on the validation split (692 examples)" in text
    assert "No row is scored on the report split" in text
    scores = {**MLP.scores, REPORT: Score(87.0)}
    verified = dataclasses.replace(FOUND, rungs=(dataclasses.replace(MLP, scores=scores),))
    assert "Nothing was selected on the report split." in ladder_text(verified, Page())


def test_markdown_is_one_table_and_a_list() -> None:
    """It can be pasted into a document."""
    lines = ladder_markdown(FOUND).splitlines()
    assert ["### toy", ""] == lines[:2]
    assert 6 == sum(line.startswith("|") for line in lines)
    assert all(line.startswith(("|", "- ", "#")) for line in lines if line)


def test_html_stands_alone_and_is_escaped() -> None:
    """No script, no link, no foreign markup; every ladder is a table."""
    evil = "<script>alert(1)</script>&amp;"
    found = dataclasses.replace(FOUND, study=evil, references=(dataclasses.replace(PUBLISHED, family=evil + HOSTILE),))
    text = ladders_html([found, FOUND])
    page = Parsed(text)
    assert {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "h2",
        "figure",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "ul",
        "li",
    } == set(page.tags)
    assert [] == page.links
    assert 2 == page.tags.count("table")
    assert ["mlp", "distilled", "#7"] == page.rows[2][:3]
    assert page.rows[4][0].startswith(evil)
    assert not any(sign in text for sign in ("\x1b", "\x07", "\x9b", "\u202e"))


def test_text_and_markdown_are_harmless() -> None:
    """Whatever a reference is called."""
    found = dataclasses.replace(FOUND, references=(dataclasses.replace(PUBLISHED, family=f"a|b{HOSTILE}"),))
    for text in (ladder_text(found, Page()), ladder_markdown(found)):
        assert not any(sign in text for sign in ("\x1b", "\x07", "\x9b", "\u202e"))
    assert r"a\|b" in ladder_markdown(found)


def test_json_reads_back() -> None:
    """The screen shows what the command printed."""
    raw: dict[str, Any] = ladder_row(FOUND)
    assert FOUND == read_row(raw)
    assert ["plain", "distilled", "teacher", "reference"] == [row["kind"] for row in rung_rows(FOUND)]
