"""Classification files as rows and named columns: CSV, TSV, text;label lines, JSON and JSON Lines.

It does not interpret columns, except to decide whether the first row is a header.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.files import Part, kind, read_json, read_text, source_file, source_name

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
"""Common column names, in the order in which they are tried, ignoring case."""
USUAL = {name for pair in PAIRS for name in pair} | set(TEXTS) | set(LABELS)

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
FEW_ROWS = 4
"""With fewer rows below it, an unknown header cannot be detected."""
LONGEST_NAME = 40

Rows = list[Sequence[Any]]


@dataclass(frozen=True)
class Table:
    """Rows with equal numbers of cells."""

    names: tuple[str, ...]
    """Column names; empty if the file has no header."""
    rows: Rows
    label_names: tuple[str, ...] = ()
    """Names of integer labels, if the Hub dataset defines them."""
    notices: tuple[str, ...] = ()
    """What the user should know about how the file was read."""
    unsure: tuple[str, ...] = ()
    """The first row of the file, if it may be the header or an example; `names` say what it was taken for."""


def file_table(data: DataSpec, part: Part) -> Table:
    """The rows of a local file; ConfigError names file, key and remedy."""
    return table_of(source_file(data, part), source_name(data, part), data)


def table_of(path: Path, source: str, data: DataSpec) -> Table:
    """The rows of a file that messages call `source`; of `data`, the names of columns help to find the header."""
    readers: dict[str, Callable[[Path, str], Rows]] = {".csv": _csv_rows, ".tsv": _tsv_rows, ".txt": _txt_rows}
    if kind(path) in (".json", ".jsonl"):
        return _json_table(path, source)
    if kind(path) not in readers:
        raise ConfigError(f"{source}: classification reads .csv, .tsv, .jsonl, .json and .txt files, plain or .gz.")
    rows = readers[kind(path)](path, source)
    headed, sure = _header(rows, data)
    unsure = () if sure else tuple(cell.strip() for cell in rows[0])
    notices = () if sure else (_assumed(source, unsure, headed=headed),)
    if headed:
        return Table(tuple(cell.strip() for cell in rows[0]), rows[1:], notices=notices, unsure=unsure)
    return Table(("text", "label") if kind(path) == ".txt" and rows else (), rows, notices=notices, unsure=unsure)


def nothing_below(table: Table) -> str:
    """Why a table without rows has none, for the end of a sentence; empty if its file is."""
    return f": its only row is taken as the header, {', '.join(table.names)}" if table.names else ""


def cell_text(value: Any) -> str:
    """A cell as text; a missing value (null, or NaN as pandas writes it) is the empty text."""
    if isinstance(value, str):
        return value
    return "" if value is None or value != value else str(value)


def is_integer(text: str) -> bool:
    """Whether this is an integer in decimal digits."""
    return text.removeprefix("-").isdecimal()


def is_number(text: str) -> bool:
    """Whether this is a decimal number, optionally with a fraction or an exponent."""
    return NUMBER.fullmatch(text) is not None


def is_categorical(cells: Sequence[str]) -> bool:
    """Whether a column can hold classes: at least two values, each occurring at least twice on average."""
    return 2 <= len(set(cells)) <= len(cells) / 2


# ------------------------------------------------------------------------------------------------------------- headers


def _header(rows: Rows, data: DataSpec) -> tuple[bool, bool]:
    """Whether the first row names the columns, and whether that is certain."""
    if data.header != "auto" or not rows:
        return bool(rows) and data.header == "yes", True
    if _has_known_header(rows, data):
        return True, True
    alone = len(rows) == 1 and len(rows[0]) > 1 and _could_be_names(rows[0])  # a file that was never filled
    return alone or _has_unknown_header(rows), _is_example(rows)


def _is_example(rows: Rows) -> bool:
    """A first row with a cell that stands again in its column, or with a number above numbers."""
    return any(
        _recurs(rows, column) or (len(rows) > 1 and all(is_number(row[column].strip()) for row in rows))
        for column in range(len(rows[0]))
    )


def _assumed(source: str, first: Sequence[str], *, headed: bool) -> str:
    row = ", ".join(cell[:LONGEST_NAME] for cell in first)
    if headed:
        return f'{source}: its first row is taken as the header: {row}. If it is an example, set data.header = "no"'
    return f'{source}: its first row is read as an example: {row}. If it names the columns, set data.header = "yes"'


def _has_known_header(rows: Rows, data: DataSpec) -> bool:
    """A first row with a common or configured name that is not a value of its column."""
    first = [cell.strip().casefold() for cell in rows[0]]
    keys = (data.text_column, data.text_pair_column, data.label_column)
    named = {key.casefold() for key in keys if key and not key.isdecimal()}
    if any(cell in named for cell in first):
        return True
    if any(cell in USUAL and not _recurs(rows, column) for column, cell in enumerate(first)):
        return True
    if not data.label_column.isdecimal() or int(data.label_column) >= len(first):
        return False
    # If positions are given, a word above a column of numbers is a header.
    labels = [row[int(data.label_column)] for row in rows]
    return len(labels) > 1 and not is_integer(labels[0]) and all(map(is_integer, labels[1:]))


def _has_unknown_header(rows: Rows) -> bool:
    """A first row of short words that occur nowhere else, at least one above a column with repeated values."""
    if len(rows) <= FEW_ROWS:
        return False
    columns = range(len(rows[0]))
    if not _could_be_names(rows[0]) or any(_recurs(rows, column) for column in columns):
        return False
    return any(is_categorical([row[column] for row in rows[1:]]) for column in columns)


def _could_be_names(row: Sequence[str]) -> bool:
    """Short, different words."""
    first = [cell.strip() for cell in row]
    named = first[1:] if not first[0] else first  # pandas leaves the name of its index column empty
    if len(set(named)) < len(named) or not named:
        return False
    return all(name and not is_number(name) and len(name) <= LONGEST_NAME for name in named)


def _recurs(rows: Rows, column: int) -> bool:
    return any(row[column] == rows[0][column] for row in rows[1:])


# ------------------------------------------------------------------------------------------------------------- formats


def _csv_rows(path: Path, source: str) -> Rows:
    csv.field_size_limit(1 << 27)  # the default refuses cells larger than 128 kB
    text = read_text(path)
    head = text.split("\n", 1)[0]
    delimiter = next((mark for mark in ",;\t" if mark in head), ",")
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        return _even([(reader.line_num, row) for row in reader if row], source)
    except csv.Error as error:
        raise ConfigError(f"{source} is not a valid CSV file: {error}. Save it again as CSV in UTF-8.") from error


def _tsv_rows(path: Path, source: str) -> Rows:
    """Tab-separated lines. Quotation marks are literal, unless the whole file quotes its cells consistently."""
    text = read_text(path)
    quoted = _quoted_rows(text)
    if quoted is not None:
        return _even(quoted, source)
    lines = enumerate(text.split("\n"), 1)
    return _even([(n, line.rstrip("\r").split("\t")) for n, line in lines if line.strip()], source)


def _quoted_rows(text: str) -> list[tuple[int, list[str]]] | None:
    """The rows as quoted by R and pandas; None if quotation marks at the start of cells do not follow their rules.

    A cell with both a tab and a line break has swallowed lines between two stray marks.
    """
    if not re.search(r'(^|\t)"', text, re.MULTILINE):
        return None
    csv.field_size_limit(1 << 27)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t", strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(row)]
    except csv.Error:
        return None
    whole = all(len(row) == len(rows[0][1]) for _, row in rows)
    return rows if whole and not any("\t" in cell and "\n" in cell for _, row in rows for cell in row) else None


def _txt_rows(path: Path, source: str) -> Rows:
    """Lines of `text;label`."""
    rows = [(n, line.strip()) for n, line in enumerate(read_text(path).split("\n"), 1) if line.strip()]
    for number, line in rows:
        if ";" not in line:
            hint = "Name the file .csv or .tsv if commas or tabs separate its columns"
            raise ConfigError(f"{source}, line {number}: a .txt file holds text;label in each line", hint=hint)
    return [line.rsplit(";", 1) for _, line in rows]


def _even(numbered: list[tuple[int, list[str]]], source: str) -> Rows:
    width = len(numbered[0][1]) if numbered else 0
    for line, row in numbered:
        if len(row) != width:
            raise ConfigError(f"{source}, line {line}: {len(row)} column(s) where {width} are expected.")
    return [row for _, row in numbered]


def _json_table(path: Path, source: str) -> Table:
    """Objects, one per line, or a list of them (possibly under `data`)."""
    raw, notices = read_json(path, source, lines=True)
    if isinstance(raw, dict):
        raw = raw["data"] if isinstance(raw.get("data"), list) else [raw]
    if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
        raise ConfigError(f"{source}: expected one JSON object per example.")
    names = tuple(raw[0]) if raw else ()
    for index, row in enumerate(raw):
        if not set(names) <= set(row):
            lacking = sorted(set(names) - set(row))[0]
            raise ConfigError(f"{source}: example {index + 1} has no {lacking!r}, which the first one has.")
    return Table(names, [[row[name] for name in names] for row in raw], notices=notices)
