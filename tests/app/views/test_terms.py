"""Every word that a newcomer must look up is explained, and is found where it stands."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from bertdistill.app.text.glossary import TERMS
from bertdistill.app.views.terms import entries, explain, explained, nearest, occurrences
from bertdistill.app.views.trial_columns import FACTS
from bertdistill.engine.study.space import SETTING
from bertdistill.engine.tasks.table import METRICS

ROOT = Path(__file__).parents[3]
PLAIN = set(
    """
    esc n about against along and answered are article as at bar begin by change changed changes column cost count disk
    do each ended ends file first from full highest hint how id in is it land last left line lines load log lowest made
    measured median memory methods model name newest note notices now number of on order outcome over points progress
    question questions remark
    report right sample score size source starts text texts the they to value values want was welcome what when
    where which who why would you
    """.split()  # noqa: SIM905 - seventy words read better so
)
"""Words of heads and titles that mean what they mean everywhere."""
HEADS = {"Column": slice(0, 2), "Fact": slice(0, 1)}
"""Calls whose first arguments are titles."""


def literal(node: ast.expr) -> Iterator[str]:
    """The words in an expression that makes a title; what is inserted into them is not known here."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield " ".join(
                part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
        case ast.IfExp(body=body, orelse=other):
            yield from chain(literal(body), literal(other))
        case ast.Call(args=[first, *_]):
            yield from literal(first)


def titles_in(tree: ast.AST) -> Iterator[str]:
    """Heads of columns, names of facts, titles in borders."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=args) if name in HEADS:
                yield from (title for argument in args[HEADS[name]][-1:] for title in literal(argument))
            case ast.Call(func=ast.Name(id="entitle"), keywords=keywords):
                yield from (title for one in keywords if one.arg == "title" for title in literal(one.value))
            case ast.Assign(targets=[ast.Attribute(attr="border_title")], value=value):
                yield from literal(value)
            case ast.Assign(targets=[ast.Name(id="titles")], value=ast.List(elts=parts)):
                yield from (title for part in parts for title in literal(part))


def titles() -> list[str]:
    found = (titles_in(ast.parse(path.read_text(encoding="utf-8"))) for path in sorted((ROOT / "app").rglob("*.py")))
    return sorted(set(chain.from_iterable(found)))


def unexplained(title: str) -> list[str]:
    """What is left of a title without the words of the glossary, numbers and plain words."""
    if explain(title):
        return []
    for start, end, _ in reversed(list(occurrences(title))):
        title = f"{title[:start]} {title[end:]}"
    return [word for word in re.findall(r"[\w'-]+", title.lower()) if word not in PLAIN and not word.isdigit()]


def test_every_title_is_explained_or_plain() -> None:
    """Heads, facts, titles of panes and of plain tables."""
    assert len(titles()) > 100
    assert [] == sorted({word for title in titles() for word in unexplained(title)})


@pytest.mark.parametrize("name", [*METRICS, *SETTING, *(fact for fact in FACTS if fact not in ("note", "tags"))])
def test_every_column_of_the_list_is_explained(name: str) -> None:
    """Metrics and settings with what their tables say, the others by the glossary."""
    assert explain(name) is not None


def test_what_one_family_has_is_explained_too() -> None:
    assert explain("mlp.vocab_size") is explain("vocab_size")
    assert ["vocab_size", "linear"] == [entry.name for entry in explained("mlp.vocab_size of linear")]


@pytest.mark.parametrize("shown", ["accuracy ↑", "accuracy ▾", "Accuracy", " accuracy:"])
def test_a_word_is_found_as_it_is_shown(shown: str) -> None:
    found = explain(shown)
    assert found is not None
    assert "accuracy" == found.name


def test_words_are_whole_and_in_order() -> None:
    """A longer name wins over those in it, and a one-letter key is not taken for a setting."""
    found = explained("c compares search_loss; dominated by #2, hypervolume, at chance, rerunning, C")
    assert ["search_loss", "dominated", "hypervolume", "chance", "C"] == [entry.name for entry in found]


def test_common_words_are_explained_as_heads_only() -> None:
    assert [] == explained("the end of time at random")
    assert explain("end") is not None


def test_no_word_is_explained_twice() -> None:
    """Not under two entries of the glossary; metrics and settings give way to it."""
    names = [name for entry in TERMS for name in (entry.name, *entry.also)]
    assert len(names) == len({name.casefold() for name in names})
    assert not METRICS.keys() & set(names)


def test_explanations_are_short_sentences_with_a_page() -> None:
    """One or two for the terms; every page is there."""
    assert [] == [entry.name for entry in TERMS if not 1 <= len(re.findall(r"[.:!?](?: |$)", entry.words)) <= 4]
    assert [] == [entry.name for entry in entries().values() if not entry.words.endswith(".")]
    assert [] == [entry.name for entry in entries().values() if not (ROOT / "docs" / entry.page).is_file()]


@pytest.mark.parametrize(("typed", "meant"), [("volum", "hypervolume"), ("gian", "gain"), ("layer", "layers")])
def test_what_was_probably_meant(typed: str, meant: str) -> None:
    assert meant in nearest(typed)
    assert [] == nearest("xyzzyq")
