"""The kinds `file` and `hub`: texts that already exist, without labels or with labels that are not read."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec, TransferSpec
from bertdistill.engine.data.columns import find_texts, text_cells
from bertdistill.engine.data.files import kind, read_text
from bertdistill.engine.data.tables import Table, table_of
from bertdistill.engine.distill.data.sources import load_hub
from bertdistill.engine.distill.transfer.material import Material, Text


def file_texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """The texts of a file; ConfigError if it is the file of the report split."""
    path, source = Path(spec.path), f"{spec.path} ({named}.path)"
    if not path.is_file():
        raise ConfigError(f"{source} is not a file. Correct the path.")
    report = Path(material.run.spec.data.report)
    if report.is_file() and path.samefile(report):
        raise _is_report(source, "data.report")
    if kind(path) == ".txt":
        if material.paired:
            raise ConfigError(
                f"{source} has one sentence per line, but the examples of this study are pairs",
                hint="use a table with a column for each sentence",
            )
        return _drawn([(line, None) for line in _lines(path, material.labels)], spec)
    table = table_of(path, source, _first_given(spec, material.run.spec.data))
    return _drawn(_texts(table, _columns(spec, material, table), material, source, named), spec)


def hub_texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """The texts of a Hub dataset; ConfigError if it is the report split."""
    source = f"{spec.hub} ({named}.hub), split {spec.split!r}"
    data = material.run.spec.data
    if (spec.hub, spec.hub_config, spec.split) == (data.hub, data.hub_config, data.report_split):
        raise _is_report(source, "data.report_split")
    found: Any = load_hub(spec.hub, spec.hub_config, spec.split, source, f"{named}.hub, {named}.split")
    names = tuple(found.column_names)
    table = Table(names, [tuple(row[name] for name in names) for row in found])
    return _drawn(_texts(table, _columns(spec, material, table), material, source, named), spec)


def _is_report(source: str, key: str) -> ConfigError:
    return ConfigError(
        f"{source} is the report split ({key}): students would be trained on what they are reported on",
        hint="use other texts",
    )


def _first_given(spec: TransferSpec, data: DataSpec) -> DataSpec:
    """The columns that the table names, else those of `[data]`: texts without labels often come from the same place."""
    return DataSpec(
        text_column=spec.text_column or data.text_column,
        text_pair_column=spec.text_pair_column or data.text_pair_column,
    )


def _columns(spec: TransferSpec, material: Material, table: Table) -> DataSpec:
    """The same, without columns of `[data]` that this table lacks."""
    names = {name.casefold() for name in table.names}
    given = _first_given(spec, material.run.spec.data)
    text, pair = (
        getattr(given, key) if getattr(spec, key) or getattr(given, key).strip().casefold() in names else ""
        for key in ("text_column", "text_pair_column")
    )
    return DataSpec(text_column=text, text_pair_column=pair)


def _texts(table: Table, keys: DataSpec, material: Material, source: str, named: str) -> list[Text]:
    if not table.rows:
        return []
    text, pair = find_texts(table, keys, source, named, paired=material.paired)
    first = text_cells(table, text, source, f"{named}.text_column")
    if pair is None:
        return [(one, None) for one in first]
    return [*zip(first, text_cells(table, pair, source, f"{named}.text_pair_column"), strict=True)]


def _drawn(rows: Sequence[Text], spec: TransferSpec) -> Iterator[Text]:
    """All rows, in a random order if only some are wanted."""
    return iter(random.Random(spec.seed).sample(rows, len(rows)) if spec.rows else rows)


def _lines(path: Path, labels: Sequence[str]) -> list[str]:
    """The lines of a file; without labels if it has lines of `text;label`, such as a training file."""
    lines = [line.strip() for line in read_text(path).split("\n") if line.strip()]
    parts = [line.rsplit(";", 1) for line in lines]
    known = set(labels)
    if all(len(part) == 2 and part[1].strip() in known for part in parts):
        return [part[0] for part in parts]
    return lines
