"""The examples of a task: read from files or the hub, checked, and cut into a training and a search part.

It knows no tokenizer and no model, and it never runs code that came with a data set.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from bertdistill.engine.contract import DataSpec
from bertdistill.engine.errors import ConfigError

Part = Literal["train", "report"]

PAIRS = (
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text1", "text2"),
    ("text", "text_pair"),
)
TEXTS = ("text", "sentence", "content", "review", "utterance", "document", "comment", "tweet")
LABELS = ("label", "labels", "class", "category", "target", "sentiment", "emotion", "intent", "is_duplicate")
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
    source = _source(data, part)
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
            f"{_source(data, 'train')}: data.search_fraction = {data.search_fraction} of {len(examples)} examples leaves "
            f"{len(train)} to train on and {len(search)} to search with. Use more data or another fraction."
        )
    return (
        replace(examples, rows=_subset(train, data.max_train_examples, data.split_seed)),
        replace(examples, rows=_subset(search, data.max_search_examples, data.split_seed)),
    )


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
            f"{_source(data, 'train')}: its {len(rows)} questions are in {len(sizes)} article(s), and articles are never "
            "cut apart, so data.search_fraction cannot be cut off. Use a file with more articles."
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
    path = _file(data, part)
    try:
        raw = json.loads(_read(path))
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
    table = _hub_table(data, part)
    missing = [name for name in ("id", "question", "context", "answers") if name not in table.column_names]
    if missing:
        raise ConfigError(
            f"{_source(data, part)} has no column {missing[0]!r} (it has {', '.join(table.column_names)}), so it is not "
            "a question answering set in SQuAD form. Choose another data.hub."
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


@dataclass(frozen=True)
class _Table:
    """Rows of cells, the names of the columns (empty when the file has no header) and, from the hub, the label names."""

    names: tuple[str, ...]
    rows: list[Sequence[Any]]
    label_names: tuple[str, ...] = ()


def _text_examples(data: DataSpec, part: Part, labels: tuple[str, ...], source: str) -> Examples:
    table = _hub_rows(data, part) if data.hub else _file_rows(data, part)
    if not table.rows:
        return Examples("text-classification", [])
    text, pair, label = _columns(table, data, source)
    values = [_label_text(row[label]) for row in table.rows]
    names = labels or table.label_names or _found_labels(values, source)
    indices = _indices(values, names, source)
    rows = [
        TextExample(str(i), _cell(row[text]), None if pair is None else _cell(row[pair]), index)
        for i, (row, index) in enumerate(zip(table.rows, indices, strict=True))
    ]
    return Examples("text-classification", rows, names)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _label_text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else _cell(value).strip()


def _found_labels(values: Sequence[str], source: str) -> tuple[str, ...]:
    found = set(values)
    if len(found) > MANY_LABELS and len(found) > len(values) / 2:
        raise ConfigError(
            f"{source}: the label column holds {len(found)} different values in {len(values)} rows, for example "
            f"{values[0][:60]!r}. Set data.label_column to the column of the classes."
        )
    if len(found) < 2:
        raise ConfigError(f"{source}: the only label is {values[0]!r}; a classifier needs two or more.")
    return tuple(sorted(found, key=lambda name: (not _is_int(name), int(name) if _is_int(name) else 0, name)))


def _is_int(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _indices(values: Sequence[str], names: tuple[str, ...], source: str) -> list[int]:
    """Labels to indices. Integers that are no names themselves count as positions in `names`."""
    index = {name: i for i, name in enumerate(names)}
    if not any(value in index for value in values):
        index = {str(i): i for i in range(len(names))}
    for row, value in enumerate(values):
        if value not in index:
            raise ConfigError(
                f"{source}: example {row + 1} has the label {value!r}, which is none of {', '.join(names)}. "
                "Mend the file, set data.label_column, or list every name in data.labels."
            )
    return [index[value] for value in values]


def _columns(table: _Table, data: DataSpec, source: str) -> tuple[int, int | None, int]:
    """Positions of the text, of the second text if there is one, and of the label."""
    width = len(table.names) or len(table.rows[0])

    def position(key: str) -> int | None:
        wanted = str(getattr(data, key))
        if not wanted:
            return None
        if wanted in table.names:
            return table.names.index(wanted)
        if wanted.isdecimal() and int(wanted) < width:
            return int(wanted)
        has = ", ".join(table.names) if table.names else f"no header, and positions 0 to {width - 1}"
        raise ConfigError(f"{source}: no column {wanted!r} for data.{key}. It has: {has}.")

    text, pair, label = position("text_column"), position("text_pair_column"), position("label_column")
    if text is None and table.names:
        text, pair = _usual_texts(table.names, pair)
    if label is None and table.names:
        label = next((table.names.index(name) for name in LABELS if name in table.names), None)
    if not table.names and (text is None or label is None):
        text, label = _guess(table.rows, text, pair, label, source)
    if text is None or label is None:
        key = "text_column" if text is None else "label_column"
        raise ConfigError(f"{source}: set data.{key}; the columns are {', '.join(table.names)}.")
    return text, pair, label


def _usual_texts(names: Sequence[str], pair: int | None) -> tuple[int | None, int | None]:
    for first, second in PAIRS:
        if pair is None and first in names and second in names:
            return names.index(first), names.index(second)
    return next((names.index(name) for name in TEXTS if name in names), None), pair


def _guess(
    rows: Sequence[Sequence[Any]], text: int | None, pair: int | None, label: int | None, source: str
) -> tuple[int, int]:
    """Without header: the longest column is the text; the label is a column of integers, else the least varied."""
    columns = [[_cell(row[i]) for row in rows[:2000]] for i in range(len(rows[0]))]
    free = [i for i in range(len(columns)) if i not in (text, pair, label)]
    if text is None:
        text = max(free, key=lambda i: sum(map(len, columns[i])), default=None)
        free = [i for i in free if i != text]
    if label is None:
        varied = [i for i in free if len(set(columns[i])) > 1] or free
        whole = [i for i in varied if all(map(_is_int, columns[i]))]
        label = min(whole or varied, key=lambda i: len(set(columns[i])), default=None)
        free = [i for i in free if i != label]
    sentences = [i for i in free if pair is None and sum(map(len, columns[i])) > 15 * len(columns[i])]
    if text is None or label is None or sentences:
        raise ConfigError(
            f"{source} has {len(columns)} column(s) and no known header. Set data.text_column, data.label_column and, "
            "for sentence pairs, data.text_pair_column to names or to positions from 0."
        )
    return text, label


def _file_rows(data: DataSpec, part: Part) -> _Table:
    path = _file(data, part)
    readers: dict[str, Callable[[Path, Part], list[Sequence[Any]]]] = {
        ".csv": _csv_rows,
        ".tsv": _tsv_rows,
        ".txt": _txt_rows,
    }
    if path.suffix in (".json", ".jsonl"):
        return _json_rows(path, part)
    if path.suffix not in readers:
        raise ConfigError(f"{path} (data.{part}): classification reads .csv, .tsv, .jsonl, .json and .txt files.")
    rows = readers[path.suffix](path, part)
    return _Table(tuple(map(str, rows[0])), rows[1:]) if rows and _is_header(rows, data) else _Table((), rows)


def _is_header(rows: Sequence[Sequence[str]], data: DataSpec) -> bool:
    first = [cell.strip() for cell in rows[0]]
    named = {data.text_column, data.text_pair_column, data.label_column} - {""}
    usual = {name for pair in PAIRS for name in pair} | set(TEXTS) | set(LABELS)
    if any(name in first and not name.isdecimal() for name in named) or any(cell in usual for cell in first):
        return True
    # With positions given, a word above a column of numbers is a heading.
    at = int(data.label_column) if data.label_column.isdecimal() else len(first)
    return at < len(first) and not _is_int(first[at]) and len(rows) > 1 and all(_is_int(row[at]) for row in rows[1:])


def _csv_rows(path: Path, part: Part) -> list[Sequence[Any]]:
    csv.field_size_limit(1 << 27)  # the default refuses a cell of more than 128 kB
    text = _read(path)
    head = text.split("\n", 1)[0]
    delimiter = next((mark for mark in ",;\t" if mark in head), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return _even([(reader.line_num, row) for row in reader if row], path, part)


def _tsv_rows(path: Path, part: Part) -> list[Sequence[Any]]:
    """Tab-separated lines in which a quotation mark is nothing but a quotation mark."""
    lines = enumerate(_read(path).split("\n"), 1)
    return _even([(n, line.rstrip("\r").split("\t")) for n, line in lines if line.strip()], path, part)


def _txt_rows(path: Path, part: Part) -> list[Sequence[Any]]:
    lines = enumerate(_read(path).split("\n"), 1)
    return _even([(n, line.strip().rsplit(";", 1)) for n, line in lines if line.strip()], path, part, width=2)


def _even(numbered: list[tuple[int, list[str]]], path: Path, part: Part, width: int = 0) -> list[Sequence[Any]]:
    width = width or (len(numbered[0][1]) if numbered else 0)
    for line, row in numbered:
        if len(row) != width:
            raise ConfigError(f"{path} (data.{part}), line {line}: {len(row)} column(s) where {width} are expected.")
    return [row for _, row in numbered]


def _json_rows(path: Path, part: Part) -> _Table:
    """Objects, one a line, or one list of them (also under `data`)."""
    text = _read(path)
    try:
        raw = json.loads(text)
    except ValueError:
        raw = _json_lines(text, path, part)
    if isinstance(raw, dict):
        raw = raw["data"] if isinstance(raw.get("data"), list) else [raw]
    if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
        raise ConfigError(f"{path} (data.{part}): expected one JSON object for each example.")
    names = tuple(raw[0]) if raw else ()
    for index, row in enumerate(raw):
        if not set(names) <= set(row):
            lacking = sorted(set(names) - set(row))[0]
            raise ConfigError(f"{path} (data.{part}): example {index + 1} has no {lacking!r}, which the first one has.")
    return _Table(names, [[row[name] for name in names] for row in raw])


def _json_lines(text: str, path: Path, part: Part) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise ConfigError(f"{path} (data.{part}), line {number} is not JSON: {error}") from error
    return rows


def _hub_rows(data: DataSpec, part: Part) -> _Table:
    table = _hub_table(data, part)
    names = tuple(table.column_names)
    label = data.label_column or next((name for name in LABELS if name in names), "")
    known = tuple(getattr(table.features.get(label), "names", None) or ())
    if known and -1 in table.unique(label):
        raise ConfigError(f"{_source(data, part)} has no labels (they are all -1). Choose another data.{part}_split.")
    return _Table(names, [tuple(row[name] for name in names) for row in table], known)


# ------------------------------------------------------------------------------------------------------------- sources


def _source(data: DataSpec, part: Part) -> str:
    """The data as an error message names it."""
    if data.hub:
        split = data.train_split if part == "train" else data.report_split
        return f"{data.hub} (data.hub), split {split!r} (data.{part}_split)"
    return f"{getattr(data, part)} (data.{part})"


def _file(data: DataSpec, part: Part) -> Path:
    named: str = getattr(data, part)
    if not named:
        raise ConfigError(f"data.{part} is empty. Name a local file there, or a data set in data.hub.")
    path = Path(named)
    if not path.is_file():
        raise ConfigError(f"{path} (data.{part}) is not a file. Correct the path.")
    return path


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error


def _hub_table(data: DataSpec, part: Part) -> Any:
    import datasets  # half a second and pyarrow, which file readers never need

    split = data.train_split if part == "train" else data.report_split
    try:
        return datasets.load_dataset(data.hub, data.hub_config or None, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise ConfigError(
            f"{_source(data, part)} cannot be loaded: {error}. Check data.hub, data.hub_config, the split and the "
            "network, or use local files."
        ) from error
