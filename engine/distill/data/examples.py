"""The examples of a task: read from files or the hub, checked, and cut into a training and a search part.

It knows no tokenizer and no model.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import AttemptSpec, DataSpec
from bertdistill.engine.distill.data.sources import (
    Part,
    cell_text,
    find_columns,
    hub_table,
    is_integer,
    read_table,
    read_text,
    source_file,
    source_name,
)

MANY_LABELS = 100
"""More distinct labels than this, and more than half as many as rows, means that the column holds no labels."""


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


@dataclass(frozen=True, slots=True)
class TextExample:
    """One or two sentences with a class; `label` is an index into `Examples.labels`, `id` the row's number from 0."""

    id: str
    text: str
    pair: str | None
    label: int


Example = QAExample | TextExample
E = TypeVar("E", QAExample, TextExample)


@dataclass(frozen=True)
class Examples:
    """The examples of one part, of one kind, and the label names in order (empty for question answering)."""

    task: str
    rows: list[Any]
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)


def load_examples(data: DataSpec, task: str, part: Part, labels: Sequence[str] = ()) -> Examples:
    """Read the training or the report data; ConfigError names the file or data set, the key and the remedy.

    `labels` are those found in the training part; they make an unknown label of the report part an error. The report
    part is cut to `max_report_examples`; the training part is returned whole, for `cut`.
    """
    source = source_name(data, part)
    if task == "question-answering":
        examples = Examples(task, _checked_questions(_questions(data, part), source))
    else:
        examples = _text_examples(data, part, tuple(data.labels) or tuple(labels), source)
    if not examples.rows:
        raise ConfigError(f"{source} holds no examples. Check the file and the key that names it.")
    return (
        replace(examples, rows=_subset(examples.rows, data.max_report_examples, data.split_seed))
        if (part == "report")
        else examples
    )


def digest(examples: Examples) -> str:
    """A content hash of the examples, their order and their label names."""
    state = hashlib.blake2b(digest_size=16)
    state.update(repr((examples.task, examples.labels)).encode())
    for row in examples.rows:
        state.update(repr(row).encode("utf-8", "backslashreplace"))
    return state.hexdigest()


# ------------------------------------------------------------------------------------------------------------- the cut


def cut(examples: Examples, data: DataSpec) -> tuple[Examples, Examples]:
    """Cut training data into (train, search), then apply `max_train_examples` and `max_search_examples`.

    Question answering is cut by whole articles, so no passage is in both; classification label by label. The order is
    a hash of the seed and the content: it depends neither on the order of the file nor on any library's generator.
    """
    if examples.task == "question-answering":
        chosen = _search_articles(examples.rows, data)
        search = [row for row in examples.rows if _article(row) in chosen]
        train = [row for row in examples.rows if _article(row) not in chosen]
    else:
        taken = _search_rows(examples.rows, data)
        search = [row for row in examples.rows if row.id in taken]
        train = [row for row in examples.rows if row.id not in taken]
    if not train or not search:
        raise ConfigError(
            f"{source_name(data, 'train')}: data.search_fraction = {data.search_fraction} of {len(examples)} examples "
            f"leaves {len(train)} to train on and {len(search)} to search with. Use more data or another fraction."
        )
    return (
        replace(examples, rows=_subset(train, data.max_train_examples, data.split_seed)),
        replace(examples, rows=_subset(search, data.max_search_examples, data.split_seed)),
    )


def search_examples(spec: AttemptSpec) -> Examples:
    """The search split, checked to be the one that was prepared."""
    examples = load_examples(spec.data, spec.task, "train", labels=spec.prepared.labels)
    _, search = cut(examples, spec.data)
    if digest(search) != spec.prepared.search_digest:
        raise ConfigError(
            f"{spec.data.train or spec.data.hub}: the training data changed since the study was prepared",
            hint="restore the file, or start a new study",
        )
    return search


def _order(seed: int, *texts: str) -> bytes:
    key = "\0".join((str(seed), *texts)).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(key, digest_size=16).digest()


def _article(row: QAExample) -> str:
    return row.title or row.context


def _search_articles(rows: Sequence[QAExample], data: DataSpec) -> set[str]:
    sizes = Counter(map(_article, rows))
    target = data.search_fraction * len(rows)
    chosen: set[str] = set()
    taken = 0
    for title in sorted(sizes, key=lambda title: _order(data.split_seed, title)):
        if abs(taken + sizes[title] - target) < abs(taken - target):
            chosen.add(title)
            taken += sizes[title]
    if chosen:
        return chosen
    smallest = min(sizes, key=lambda title: (sizes[title], title))
    if len(sizes) < 2 or sizes[smallest] > len(rows) / 2:
        raise ConfigError(
            f"{source_name(data, 'train')}: its {len(rows)} questions are in {len(sizes)} article(s), and articles are "
            "never cut apart, so data.search_fraction cannot be cut off. Use a file with more articles."
        )
    return {smallest}


def _search_rows(rows: Sequence[TextExample], data: DataSpec) -> set[str]:
    by_label: dict[int, list[TextExample]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    taken: set[str] = set()
    for members in by_label.values():
        # Equal texts sort side by side, so that copies of one sentence do not land on both sides of the cut.
        members.sort(key=lambda row: (_order(data.split_seed, row.text, row.pair or ""), int(row.id)))
        count = max(round(data.search_fraction * len(members)), 1) if len(members) > 1 else 0
        taken.update(row.id for row in members[:count])
    return taken


def _subset(rows: list[E], count: int, seed: int) -> list[E]:
    """At most `count` rows (0: all) in their old order; the share of every label, or of unanswerable ones, is kept."""
    if not count or count >= len(rows):
        return rows
    classes: dict[int, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        classes[row.impossible if isinstance(row, QAExample) else row.label].append(index)
    kept: list[int] = []
    for quota, members in zip(_shares([len(m) for m in classes.values()], count), classes.values(), strict=True):
        members.sort(key=lambda index: _order(seed, "subset", rows[index].id))
        kept += members[:quota]
    return [rows[index] for index in sorted(kept)]


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """Split `count` in proportion to `sizes` by largest remainders; the parts add up to `count`."""
    exact = [count * size / sum(sizes) for size in sizes]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[: count - sum(shares)]:
        shares[i] += 1
    return shares


# -------------------------------------------------------------------------------------------------- question answering


def _questions(data: DataSpec, part: Part) -> Iterator[QAExample]:
    if data.hub:
        return _hub_questions(data, part)
    path = source_file(data, part)
    try:
        raw = json.loads(read_text(path))
    except ValueError as error:
        raise ConfigError(f"{path} (data.{part}) is not JSON: {error}. Question answering takes SQuAD JSON.") from error
    return _squad_questions(raw, path, part)


def _squad_questions(raw: Any, path: Path, part: Part) -> Iterator[QAExample]:
    """Walk SQuAD 1.1 or 2.0 JSON. Strings of titles and passages are shared between the questions."""
    where = "the top level"
    try:
        for a, article in enumerate(raw["data"]):
            where = f"data[{a}]"
            title = str(article.get("title", ""))
            for p, paragraph in enumerate(article["paragraphs"]):
                where = f"data[{a}].paragraphs[{p}]"
                context = paragraph["context"]
                for q, qa in enumerate(paragraph["qas"]):
                    where = f"data[{a}].paragraphs[{p}].qas[{q}]"
                    yield _question(qa, title, context)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} (data.{part}) is not SQuAD JSON: {where} lacks or misuses {error}. "
            "Expected data -> paragraphs -> qas with id, question and answers."
        ) from error


def _question(qa: Mapping[str, Any], title: str, context: str) -> QAExample:
    answers = [] if qa.get("is_impossible") else qa["answers"]
    if not isinstance(context, str) or not isinstance(qa["question"], str):
        raise TypeError("context or question, which must be text")
    return QAExample(
        id=sys.intern(str(qa["id"])),
        title=title,
        question=qa["question"],
        context=context,
        answers=tuple(answer["text"] for answer in answers),
        starts=tuple(int(answer["answer_start"]) for answer in answers),
        impossible=not answers,
    )


def _hub_questions(data: DataSpec, part: Part) -> Iterator[QAExample]:
    table = hub_table(data, part)
    missing = [name for name in ("id", "question", "context", "answers") if name not in table.column_names]
    if missing:
        raise ConfigError(
            f"{source_name(data, part)} has no column {missing[0]!r} (only {', '.join(table.column_names)}): it is no "
            "question answering set in SQuAD form. Choose another data.hub."
        )
    for row in table:
        golds = row["answers"]
        yield QAExample(
            id=str(row["id"]),
            title=str(row.get("title") or ""),
            question=row["question"],
            context=row["context"],
            answers=tuple(golds["text"]),
            starts=tuple(golds["answer_start"]),
            impossible=not golds["text"],
        )


def _checked_questions(questions: Iterable[QAExample], source: str) -> list[QAExample]:
    """Refuse repeated ids, and mend or refuse answers that do not stand where their offset says."""
    rows: list[QAExample] = []
    seen: set[str] = set()
    for row in questions:
        if row.id in seen:
            raise ConfigError(f"{source}: the question id {row.id!r} occurs twice; give every question its own id.")
        seen.add(row.id)
        misplaced = any(not row.context.startswith(t, s) for t, s in zip(row.answers, row.starts, strict=True))
        rows.append(_replaced(row, source) if misplaced else row)
    return rows


def _replaced(row: QAExample, source: str) -> QAExample:
    """Move each answer to its occurrence nearest to the stated offset."""
    starts = []
    for text, start in zip(row.answers, row.starts, strict=True):
        places = [i for i in range(len(row.context)) if row.context.startswith(text, i)]
        if not places:
            raise ConfigError(
                f"{source}: question {row.id!r}: the answer {text[:60]!r} is not in its passage. Mend or remove it."
            )
        starts.append(min(places, key=lambda place: abs(place - start)))
    return replace(row, starts=tuple(starts))


# ------------------------------------------------------------------------------------------------- text classification


def _text_examples(data: DataSpec, part: Part, labels: tuple[str, ...], source: str) -> Examples:
    table = read_table(data, part)
    if not table.rows:
        return Examples("text-classification", [])
    text, pair, label = find_columns(table, data, source)
    values = [_label_text(row[label]) for row in table.rows]
    known = table.label_names
    names = labels or known or _found_labels(values, source)
    if names != known and sorted(names) == sorted(known):  # the same in our order: integers are positions in theirs
        values = [known[int(value)] if is_integer(value) and int(value) < len(known) else value for value in values]
    indices = _indices(values, names, source, positions=bool(data.labels or known))
    rows = [
        TextExample(str(i), cell_text(row[text]), None if pair is None else cell_text(row[pair]), index)
        for i, (row, index) in enumerate(zip(table.rows, indices, strict=True))
    ]
    return Examples("text-classification", rows, names)


def _label_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else cell_text(value).strip()


def _found_labels(values: Sequence[str], source: str) -> tuple[str, ...]:
    found = set(values)
    if len(found) > MANY_LABELS and len(found) > len(values) / 2:
        raise ConfigError(
            f"{source}: the label column holds {len(found)} different values in {len(values)} rows, for example "
            f"{values[0][:60]!r}. Set data.label_column to the column of the classes."
        )
    if len(found) < 2:
        raise ConfigError(f"{source}: the only label is {values[0]!r}; a classifier needs two or more.")
    return tuple(sorted(found, key=lambda name: (not is_integer(name), int(name) if is_integer(name) else 0, name)))


def _indices(values: Sequence[str], names: tuple[str, ...], source: str, *, positions: bool) -> list[int]:
    """Labels to indices. With `positions`, integers stand for the names in order when no label is a name itself."""
    index = {name: i for i, name in enumerate(names)}
    if positions and not any(value in index for value in values):
        index = {str(i): i for i in range(len(names))}
    for row, value in enumerate(values):
        if value not in index:
            raise ConfigError(
                f"{source}: example {row + 1} has the label {value!r}, which is none of {', '.join(names)}. "
                "Mend the file, set data.label_column, or list every name in data.labels."
            )
    return [index[value] for value in values]
