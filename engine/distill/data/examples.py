"""The examples of a task: read from files or the Hub, validated, and split into training and validation split.

It knows no tokenizers and no models.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.columns import find_columns, half_read, text_cells
from bertdistill.engine.data.files import Part, source_name
from bertdistill.engine.data.labels import found_labels, label_indices, label_texts
from bertdistill.engine.data.questions import QAExample
from bertdistill.engine.data.tables import is_integer
from bertdistill.engine.distill.data.sources import source_of
from bertdistill.engine.tasks.table import TASKS

__all__ = [
    "Example",
    "Examples",
    "QAExample",
    "TextExample",
    "check_report",
    "cut",
    "digest",
    "load_examples",
    "split_examples",
    "texts_of",
]


NO_LABEL = -100
"""The label of a text of the transfer set."""


@dataclass(frozen=True, slots=True)
class TextExample:
    """One or two sentences with a class; `label` is an index into `Examples.labels`, `id` the row number from 0."""

    id: str
    text: str
    pair: str | None
    label: int


Example = QAExample | TextExample
E = TypeVar("E", QAExample, TextExample)


@dataclass(frozen=True)
class Examples:
    """The examples of one part, all of one kind, and the label names in order (empty for question answering)."""

    task: str
    rows: list[Any]
    labels: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    """What the user should know about how they were read and split."""
    order_given: bool = False
    """Whether the study file or the dataset defines the order of the labels; otherwise they are sorted."""

    def __len__(self) -> int:
        return len(self.rows)


def load_examples(data: DataSpec, task: str, part: Part, labels: Sequence[str] = ()) -> Examples:
    """Read the training or the report data; ConfigError names the file or dataset, the key and the remedy.

    `labels` are those found in the training data; an unknown label in the report data is then an error. The report
    data is limited to `max_report_examples`; the training data is returned whole, for `cut`.
    """
    if TASKS[task].spans:
        rows, notices = source_of(data).questions(data, part)
        examples = Examples(task, rows, notices=notices)
    else:
        examples = _text_examples(task, data, part, tuple(data.labels) or tuple(labels))
    if not examples.rows:
        raise ConfigError(f"{source_name(data, part)} contains no examples. Check the file and the key that names it.")
    return (
        replace(examples, rows=_subset(examples.rows, data.max_report_examples, data.split_seed))
        if (part == "report")
        else examples
    )


def check_report(data: DataSpec, train: Examples) -> tuple[str, ...]:
    """Read the report data once, so that its problems do not show only after the search; returns its notices.

    `train` are the training examples, split or not: the report data must have their labels, and pairs if they do.
    """
    report = load_examples(data, train.task, "report", train.labels)
    if train.labels and (report.rows[0].pair is None) != (train.rows[0].pair is None):
        halves = ["a second sentence" if part.rows[0].pair is not None else "one sentence" for part in (train, report)]
        raise ConfigError(
            f"{source_name(data, 'report')} has {halves[1]} per example, but the training data has {halves[0]}. Set "
            "data.text_column and data.text_pair_column to columns that both have."
        )
    return (*report.notices, *split_notices(report=report))


def digest(examples: Examples) -> str:
    """A content hash of the examples, their order and their label names."""
    state = hashlib.blake2b(digest_size=16)
    state.update(repr((examples.task, examples.labels)).encode())
    for row in examples.rows:
        state.update(repr(row).encode("utf-8", "backslashreplace"))
    return state.hexdigest()


def texts_of(examples: Examples) -> list[str]:
    """All texts, for training a tokenizer; a passage counts once."""
    rows: list[Any] = list(examples.rows)
    if TASKS[examples.task].spans:
        return [*dict.fromkeys(row.context for row in rows), *(row.question for row in rows)]
    return [text for row in rows for text in (row.text, row.pair) if text]


# ------------------------------------------------------------------------------------------------------------- the cut


def cut(examples: Examples, data: DataSpec) -> tuple[Examples, Examples]:
    """Split training data into (train, validation), then apply `max_train_examples` and `max_search_examples`.

    Question answering is split by whole articles, or if impossible by whole passages, so no passage is in both;
    classification is stratified by label. The order is a hash of seed and content: it depends neither on the order of
    the file nor on a library's random generator.
    """
    notices = examples.notices
    if TASKS[examples.task].spans:
        chosen, group, notice = _search_groups(examples.rows, data)
        search = [row for row in examples.rows if group(row) in chosen]
        train = [row for row in examples.rows if group(row) not in chosen]
        notices += notice
    else:
        taken = _search_rows(examples.rows, data)
        search = [row for row in examples.rows if row.id in taken]
        train = [row for row in examples.rows if row.id not in taken]
    if not train or not search:
        raise ConfigError(
            f"{source_name(data, 'train')}: data.search_fraction = {data.search_fraction} of {len(examples)} examples "
            f"leaves {len(train)} for training and {len(search)} for validation. Use more data or another fraction."
        )
    return (
        replace(examples, rows=_subset(train, data.max_train_examples, data.split_seed), notices=notices),
        replace(examples, rows=_subset(search, data.max_search_examples, data.split_seed)),
    )


def split_notices(**parts: Examples) -> tuple[str, ...]:
    """What splits of a classification lack, by name: labels without any example, texts without any character."""
    found: list[str] = []
    for name, part in parts.items():
        held = {row.label for row in part.rows} if part.labels else set()
        absent = [label for index, label in enumerate(part.labels) if index not in held]
        if absent:
            found.append(f"the {name} split has no example of {', '.join(map(repr, absent))}")
        empty = sum(not f"{row.text}{row.pair or ''}".strip() for row in part.rows) if part.labels else 0
        if empty:
            found.append(f"{empty:,} of the {len(part.rows):,} texts of the {name} split are empty")
    return tuple(found)


def split_examples(spec: AttemptSpec) -> tuple[Examples, Examples]:
    """The training and the validation split; the latter is verified to be the one that was prepared."""
    examples = load_examples(spec.data, spec.task, "train", labels=spec.prepared.labels)
    train, search = cut(examples, spec.data)
    if digest(search) != spec.prepared.search_digest:
        raise ConfigError(
            f"{spec.data.train or spec.data.hub}: the training data has changed since the study was prepared",
            hint="restore the file, or start a new study",
        )
    return train, search


def _order(seed: int, *texts: str) -> bytes:
    key = "\0".join((str(seed), *texts)).encode("utf-8", "backslashreplace")
    return hashlib.blake2b(key, digest_size=16).digest()


def _article(row: QAExample) -> str:
    return row.title or row.context


def _passage(row: QAExample) -> str:
    return row.context


def _search_groups(
    rows: Sequence[QAExample], data: DataSpec
) -> tuple[set[str], Callable[[QAExample], str], tuple[str, ...]]:
    """The groups (articles or passages) to validate on, the group of a row, and a notice if articles are divided."""
    source = source_name(data, "train")
    if chosen := _chosen(rows, _article, data):
        return chosen, _article, ()
    if chosen := _chosen(rows, _passage, data):
        articles = len(set(map(_article, rows)))
        notice = (
            f"{source}: its {len(rows)} questions are in {articles} article(s), too few to hold out whole ones, so the "
            "validation split is made by passage: both splits may have passages of the same article"
        )
        return chosen, _passage, (notice,)
    raise ConfigError(
        f"{source}: its {len(rows)} questions are on {len(set(map(_passage, rows)))} passage(s), and passages are "
        "never divided, so data.search_fraction cannot be held out. Use a file with more passages."
    )


def _chosen(rows: Sequence[QAExample], group: Callable[[QAExample], str], data: DataSpec) -> set[str]:
    """Groups with about `search_fraction` of the rows; empty if no set of whole groups comes close."""
    sizes = Counter(map(group, rows))
    target = data.search_fraction * len(rows)
    chosen: set[str] = set()
    taken = 0
    for name in sorted(sizes, key=lambda name: _order(data.split_seed, name)):
        if abs(taken + sizes[name] - target) < abs(taken - target):
            chosen.add(name)
            taken += sizes[name]
    if chosen:
        return chosen
    smallest = min(sizes, key=lambda name: (sizes[name], name))
    return {smallest} if len(sizes) > 1 and sizes[smallest] <= len(rows) / 2 else set()


def _search_rows(rows: Sequence[TextExample], data: DataSpec) -> set[str]:
    by_label: dict[int, list[TextExample]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    taken: set[str] = set()
    for members in by_label.values():
        # Equal texts sort next to each other, so that copies of a sentence do not end up in both splits.
        members.sort(key=lambda row: (_order(data.split_seed, row.text, row.pair or ""), int(row.id)))
        count = max(round(data.search_fraction * len(members)), 1) if len(members) > 1 else 0
        taken.update(row.id for row in members[:count])
    return taken


def _subset(rows: list[E], count: int, seed: int) -> list[E]:
    """At most `count` rows (0: all) in their original order, keeping the share of every label or of unanswerables."""
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
    """Divide `count` in proportion to `sizes` by largest remainders; the parts add up to `count`."""
    exact = [count * size / sum(sizes) for size in sizes]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda i: shares[i] - exact[i])
    for i in by_remainder[: count - sum(shares)]:
        shares[i] += 1
    return shares


# ------------------------------------------------------------------------------------------------- text classification


def _text_examples(task: str, data: DataSpec, part: Part, labels: tuple[str, ...]) -> Examples:
    source, table = source_name(data, part), source_of(data).table(data, part)
    if not table.rows:
        return Examples(task, [])
    at = find_columns(table, data, source)
    known = table.label_names
    values = label_texts([row[at.label] for row in table.rows], source, (*labels, *known))
    names = labels or known or found_labels(values, source)
    if names != known and sorted(names) == sorted(known):  # same names in our order: integers are positions in theirs
        values = [known[int(value)] if is_integer(value) and int(value) < len(known) else value for value in values]
    indices = label_indices(values, names, source, positions=bool(data.labels or known))
    texts: list[str] = text_cells(table, at.text, source, "data.text_column")
    pairs: Sequence[str | None] = [None] * len(texts)
    if at.pair is not None:
        pairs = text_cells(table, at.pair, source, "data.text_pair_column")
    rows = [TextExample(str(i), *one) for i, one in enumerate(zip(texts, pairs, indices, strict=True))]
    notices = (*table.notices, *half_read(table, at, source))
    return Examples(task, rows, names, notices, order_given=bool(data.labels or known))
