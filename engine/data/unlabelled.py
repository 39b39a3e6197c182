"""Texts without labels, or with labels that are not read: what the files and tables of a transfer set hold.

It draws nothing and drops nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec, TransferSpec
from bertdistill.engine.data.columns import find_texts, text_cells
from bertdistill.engine.data.files import kind, read_text
from bertdistill.engine.data.tables import Table, table_of

WORD = re.compile(r"\w+(?:['\u2019]\w+)*|[^\w\s]")
"""A word, with its apostrophe, or one mark of punctuation."""

Text = tuple[str, str | None]
"""One or two sentences."""


def normal(text: Text) -> Text:
    """The form in which texts are compared: case and white space do not count."""
    first, second = text
    return " ".join(first.casefold().split()), None if second is None else " ".join(second.casefold().split())


def texts_of_file(spec: TransferSpec, data: DataSpec, labels: Sequence[str], named: str, *, paired: bool) -> list[Text]:
    """The texts of `spec.path`, in order; messages call the table of the study file `named`.

    `labels` are those of the study, known from a file with lines of `text;label`. ConfigError names key and remedy.
    """
    path, source = Path(spec.path), f"{spec.path} ({named}.path)"
    if not path.is_file():
        raise ConfigError(f"{source} is not a file. Correct the path.")
    if kind(path) == ".txt":
        if paired:
            raise ConfigError(
                f"{source} has one sentence per line, but the examples of this study are pairs",
                hint="use a table with a column for each sentence",
            )
        return [(line, None) for line in _lines(path, labels)]
    table = table_of(path, source, _first_given(spec, data))
    return texts_of_table(table, spec, data, source, named, paired=paired)


def texts_of_table(
    table: Table, spec: TransferSpec, data: DataSpec, source: str, named: str, *, paired: bool
) -> list[Text]:
    """The texts of its columns, by the names in `spec` and then in `[data]`."""
    if not table.rows:
        return []
    text, pair = find_texts(table, _columns(table, spec, data), source, named, paired=paired)
    first = text_cells(table, text, source, f"{named}.text_column")
    if pair is None:
        return [(one, None) for one in first]
    return [*zip(first, text_cells(table, pair, source, f"{named}.text_pair_column"), strict=True)]


def _first_given(spec: TransferSpec, data: DataSpec) -> DataSpec:
    """The columns that the table names, else those of `[data]`: texts without labels often come from the same place."""
    return DataSpec(
        text_column=spec.text_column or data.text_column,
        text_pair_column=spec.text_pair_column or data.text_pair_column,
    )


def _columns(table: Table, spec: TransferSpec, data: DataSpec) -> DataSpec:
    """The same, without columns of `[data]` that this table lacks."""
    names = {name.casefold() for name in table.names}
    given = _first_given(spec, data)
    text, pair = (
        getattr(given, key) if getattr(spec, key) or getattr(given, key).strip().casefold() in names else ""
        for key in ("text_column", "text_pair_column")
    )
    return DataSpec(text_column=text, text_pair_column=pair)


def _lines(path: Path, labels: Sequence[str]) -> list[str]:
    """The lines of a file; without labels if it has lines of `text;label`, such as a training file."""
    lines = [line.strip() for line in read_text(path).split("\n") if line.strip()]
    parts = [line.rsplit(";", 1) for line in lines]
    known = set(labels)
    if all(len(part) == 2 and part[1].strip() in known for part in parts):
        return [part[0] for part in parts]
    return lines
