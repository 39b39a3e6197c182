"""Questions on passages, read and validated from the JSON formats of SQuAD, the Hugging Face Hub and MRQA.

It splits nothing and tokenises nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.files import Part, read_json, source_file, source_name

FLAGS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False, "": False, "none": False}
FIRST = 3
"""Number of faulty questions named in a message."""


@dataclass(frozen=True, slots=True)
class QAExample:
    """A question on a passage. `starts` are character offsets of `answers` in `context`; both empty if impossible."""

    id: str
    title: str
    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]
    impossible: bool


def file_questions(data: DataSpec, part: Part) -> tuple[list[QAExample], tuple[str, ...]]:
    """The validated questions of a local file, and notices; ConfigError names the file, the key and the position."""
    source = source_name(data, part)
    raw, notices = read_json(source_file(data, part), source, lines=True)
    rows, more = checked(questions(raw, source), source)
    return rows, (*notices, *more)


def questions(raw: Any, source: str) -> Iterator[QAExample]:
    """Extract the questions from JSON. The strings of titles and passages are shared between questions."""
    where = ["the top level"]
    try:
        yield from _walk(raw, where)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{source} is not SQuAD JSON: {where[0]} has a missing or invalid entry: {error}. "
            "Expected data -> paragraphs -> qas with id, question and answers."
        ) from error


def checked(found: Iterable[QAExample], source: str) -> tuple[list[QAExample], tuple[str, ...]]:
    """Refuse duplicate ids and answers that are not in their passage; correct offsets and white space of the others."""
    rows: list[QAExample] = []
    seen: set[str] = set()
    lost: list[tuple[str, str]] = []
    spelled = 0
    for row in found:
        if row.id in seen:
            raise ConfigError(f"{source}: the question id {row.id!r} occurs twice; give every question its own id.")
        seen.add(row.id)
        if all(row.context.startswith(t, s) for t, s in zip(row.answers, row.starts, strict=True)):
            rows.append(row)
            continue
        placed = [_place(row.context, text, start) for text, start in zip(row.answers, row.starts, strict=True)]
        lost += [(row.id, text) for text, at in zip(row.answers, placed, strict=True) if at is None]
        spans = [at for at in placed if at is not None]
        texts = tuple(row.context[begin:end] for begin, end in spans)
        spelled += texts != row.answers
        rows.append(replace(row, answers=texts, starts=tuple(begin for begin, _ in spans)))
    if lost:
        raise ConfigError(_lost_text(lost, source))
    notice = f"{source}: the answers of {spelled} question(s) were found only after ignoring differences in white space"
    return rows, (notice,) if spelled else ()


def _lost_text(lost: Sequence[tuple[str, str]], source: str) -> str:
    named = ", ".join(f"{text[:60]!r} of question {key!r}" for key, text in lost[:FIRST])
    count = f"{len(lost)} answers are" if len(lost) > 1 else "1 answer is"
    more = ", …" if len(lost) > FIRST else ""
    return f"{source}: {count} not in the passage: {named}{more}. Correct or remove them."


def _place(context: str, text: str, start: int) -> tuple[int, int] | None:
    """(begin, end) of the occurrence of `text` nearest to `start`; white space matches any white space."""
    places = [match.span() for match in re.finditer(f"(?={re.escape(text)})", context)]
    spans = [(begin, begin + len(text)) for begin, _ in places]
    if not spans and text.split():
        pattern = r"\s+".join(map(re.escape, text.split()))
        spans = [match.span() for match in re.finditer(pattern, context)]
    return min(spans, key=lambda span: abs(span[0] - start), default=None)


# --------------------------------------------------------------------------------------------------------- three forms


def _walk(raw: Any, where: list[str]) -> Iterator[QAExample]:
    alone = isinstance(raw, dict) and "data" not in raw and ("question" in raw or "qas" in raw)  # one JSON Lines row
    articles = [raw] if alone else raw if isinstance(raw, list) else raw["data"]
    for a, article in enumerate(articles):
        where[0] = f"data[{a}]"
        if "paragraphs" in article:
            yield from _article(article, where)
        elif "question" in article:  # one row per question, as exported from Hub datasets
            yield question(article, str(article.get("title") or ""), article["context"])
        elif "qas" in article:
            yield from _mrqa(article, where)
        elif "header" not in article:
            raise KeyError("paragraphs")


def _article(article: Mapping[str, Any], where: list[str]) -> Iterator[QAExample]:
    above, title = where[0], str(article.get("title") or "")
    for p, paragraph in enumerate(article["paragraphs"]):
        where[0] = f"{above}.paragraphs[{p}]"
        context = paragraph["context"]
        for q, qa in enumerate(paragraph["qas"]):
            where[0] = f"{above}.paragraphs[{p}].qas[{q}]"
            yield question(qa, title, context)


def _mrqa(paragraph: Mapping[str, Any], where: list[str]) -> Iterator[QAExample]:
    """A line of MRQA: a passage with questions, whose answer offsets are in `detected_answers`."""
    above = where[0]
    for q, qa in enumerate(paragraph["qas"]):
        where[0] = f"{above}.qas[{q}]"
        golds = [{"text": d["text"], "answer_start": d["char_spans"][0][0]} for d in qa["detected_answers"]]
        yield question({"id": qa["qid"], "question": qa["question"], "answers": golds}, "", paragraph["context"])


def question(qa: Mapping[str, Any], title: str, context: Any) -> QAExample:
    """One question; without answer text it is impossible, whatever offset goes with the empty text."""
    if not isinstance(context, str) or not isinstance(qa["question"], str):
        raise TypeError("context or question, which must be text")
    golds = [] if _flag(qa) else list(_golds(qa["answers"]))
    return QAExample(
        id=sys.intern(str(qa["id"])),
        title=title,
        question=qa["question"],
        context=context,
        answers=tuple(text for text, _ in golds),
        starts=tuple(start for _, start in golds),
        impossible=not golds,
    )


def _flag(qa: Mapping[str, Any]) -> bool:
    """`is_impossible`, which some tools write as a string: "false" must not count as true."""
    value = qa.get("is_impossible")
    flag = FLAGS.get("" if value is None else str(value).strip().lower())
    if flag is None:
        raise ValueError(f"is_impossible = {value!r} of question {qa.get('id')!r}, which must be true or false")
    return flag


def _golds(answers: Any) -> Iterator[tuple[str, int]]:
    """(text, offset) of every non-empty answer: a list of objects, or an object of lists."""
    if isinstance(answers, Mapping):
        pairs = list(zip(answers["text"], answers["answer_start"], strict=True))
    else:
        pairs = [(answer["text"], answer["answer_start"]) for answer in answers]
    for text, start in pairs:
        if text is not None and not isinstance(text, str):
            raise TypeError(f"the answer {text!r}, which must be text")
        if text and text.strip():
            yield text, int(start)
