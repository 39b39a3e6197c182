"""Where examples are read from: local files, and data sets of the hub, as rows and named columns.

It finds the columns of a classification table but gives labels no meaning, and it never runs code from a data set.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec

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
"""Usual names of columns, in the order in which they are looked for."""


@dataclass(frozen=True)
class Table:
    """Rows of cells of equal number."""

    names: tuple[str, ...]
    """Of the columns; empty when the file has no header."""
    rows: list[Sequence[Any]]
    label_names: tuple[str, ...] = ()
    """Names of integer labels, when the hub's data set says them."""


def read_table(data: DataSpec, part: Part) -> Table:
    """The rows of one part; ConfigError names file or data set, key and remedy."""
    return _hub_rows(data, part) if data.hub else _file_rows(data, part)


def cell_text(value: Any) -> str:
    """A cell as text; nothing is the empty text."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def is_integer(text: str) -> bool:
    """Whether this is an integer in decimal digits."""
    return text.removeprefix("-").isdecimal()


def find_columns(table: Table, data: DataSpec, source: str) -> tuple[int, int | None, int]:
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
    columns = [[cell_text(row[i]) for row in rows[:2000]] for i in range(len(rows[0]))]
    free = [i for i in range(len(columns)) if i not in (text, pair, label)]
    if text is None:
        text = max(free, key=lambda i: sum(map(len, columns[i])), default=None)
        free = [i for i in free if i != text]
    if label is None:
        varied = [i for i in free if len(set(columns[i])) > 1] or free
        whole = [i for i in varied if all(map(is_integer, columns[i]))]
        label = min(whole or varied, key=lambda i: len(set(columns[i])), default=None)
        free = [i for i in free if i != label]
    sentences = [i for i in free if pair is None and sum(map(len, columns[i])) > 15 * len(columns[i])]
    if text is None or label is None or sentences:
        raise ConfigError(
            f"{source} has {len(columns)} column(s) and no known header. Set data.text_column, data.label_column and, "
            "for sentence pairs, data.text_pair_column to names or to positions from 0."
        )
    return text, label


def _file_rows(data: DataSpec, part: Part) -> Table:
    path = source_file(data, part)
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
    if rows and _is_header(rows, data):
        return Table(tuple(map(str, rows[0])), rows[1:])
    return Table(("text", "label") if path.suffix == ".txt" else (), rows)


def _is_header(rows: Sequence[Sequence[str]], data: DataSpec) -> bool:
    first = [cell.strip() for cell in rows[0]]
    named = {data.text_column, data.text_pair_column, data.label_column} - {""}
    usual = {name for pair in PAIRS for name in pair} | set(TEXTS) | set(LABELS)
    if any(name in first and not name.isdecimal() for name in named) or any(cell in usual for cell in first):
        return True
    if not data.label_column.isdecimal() or int(data.label_column) >= len(first):
        return False
    # With positions given, a word above a column of numbers is a heading.
    labels = [row[int(data.label_column)] for row in rows]
    return len(labels) > 1 and not is_integer(labels[0]) and all(map(is_integer, labels[1:]))


def _csv_rows(path: Path, part: Part) -> list[Sequence[Any]]:
    csv.field_size_limit(1 << 27)  # the default refuses a cell of more than 128 kB
    text = read_text(path)
    head = text.split("\n", 1)[0]
    delimiter = next((mark for mark in ",;\t" if mark in head), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return _even([(reader.line_num, row) for row in reader if row], path, part)


def _tsv_rows(path: Path, part: Part) -> list[Sequence[Any]]:
    """Tab-separated lines in which a quotation mark is nothing but a quotation mark."""
    lines = enumerate(read_text(path).split("\n"), 1)
    return _even([(n, line.rstrip("\r").split("\t")) for n, line in lines if line.strip()], path, part)


def _txt_rows(path: Path, part: Part) -> list[Sequence[Any]]:
    lines = enumerate(read_text(path).split("\n"), 1)
    return _even([(n, line.strip().rsplit(";", 1)) for n, line in lines if line.strip()], path, part, width=2)


def _even(numbered: list[tuple[int, list[str]]], path: Path, part: Part, width: int = 0) -> list[Sequence[Any]]:
    width = width or (len(numbered[0][1]) if numbered else 0)
    for line, row in numbered:
        if len(row) != width:
            raise ConfigError(f"{path} (data.{part}), line {line}: {len(row)} column(s) where {width} are expected.")
    return [row for _, row in numbered]


def _json_rows(path: Path, part: Part) -> Table:
    """Objects, one a line, or one list of them (also under `data`)."""
    text = read_text(path)
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
    return Table(names, [[row[name] for name in names] for row in raw])


def _json_lines(text: str, path: Path, part: Part) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        try:
            rows += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise ConfigError(f"{path} (data.{part}), line {number} is not JSON: {error}") from error
    return rows


def _hub_rows(data: DataSpec, part: Part) -> Table:
    table = hub_table(data, part)
    names = tuple(table.column_names)
    label = data.label_column or next((name for name in LABELS if name in names), "")
    known = tuple(getattr(table.features.get(label), "names", None) or ())
    if known and -1 in table.unique(label):
        raise ConfigError(
            f"{source_name(data, part)} has no labels (they are all -1). Choose another data.{part}_split."
        )
    return Table(names, [tuple(row[name] for name in names) for row in table], known)


# ------------------------------------------------------------------------------------------------------------- sources


def source_name(data: DataSpec, part: Part) -> str:
    """The data as an error message names it."""
    if data.hub:
        split = data.train_split if part == "train" else data.report_split
        return f"{data.hub} (data.hub), split {split!r} (data.{part}_split)"
    return f"{getattr(data, part)} (data.{part})"


def source_file(data: DataSpec, part: Part) -> Path:
    named: str = getattr(data, part)
    if not named:
        raise ConfigError(f"data.{part} is empty. Name a local file there, or a data set in data.hub.")
    path = Path(named)
    if not path.is_file():
        raise ConfigError(f"{path} (data.{part}) is not a file. Correct the path.")
    return path


def read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}. Save it as UTF-8.") from error


def hub_table(data: DataSpec, part: Part) -> Any:
    import datasets  # half a second and pyarrow, which file readers never need

    split = data.train_split if part == "train" else data.report_split
    try:
        return datasets.load_dataset(data.hub, data.hub_config or None, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise ConfigError(
            f"{source_name(data, part)} cannot be loaded: {error}. Check data.hub, data.hub_config, the split and the "
            "network, or use local files."
        ) from error
