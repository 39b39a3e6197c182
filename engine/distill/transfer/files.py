"""The kinds `file` and `hub`: texts that already exist, without labels or with labels that are not read."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.tables import Table
from bertdistill.engine.data.unlabelled import Text, texts_of_file, texts_of_table
from bertdistill.engine.distill.data.sources import load_hub
from bertdistill.engine.distill.transfer.material import Material


def file_texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """The texts of a file; ConfigError if it is the file of the report split."""
    path, data = Path(spec.path), material.run.spec.data
    report = Path(data.report)
    if report.is_file() and path.is_file() and path.samefile(report):
        raise _is_report(f"{spec.path} ({named}.path)", "data.report")
    return _drawn(texts_of_file(spec, data, material.labels, named, paired=material.paired), spec)


def hub_texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """The texts of a Hub dataset; ConfigError if it is the report split."""
    source = f"{spec.hub} ({named}.hub), split {spec.split!r}"
    data = material.run.spec.data
    if (spec.hub, spec.hub_config, spec.split) == (data.hub, data.hub_config, data.report_split):
        raise _is_report(source, "data.report_split")
    found: Any = load_hub(spec.hub, spec.hub_config, spec.split, source, f"{named}.hub, {named}.split")
    names = tuple(found.column_names)
    table = Table(names, [tuple(row[name] for name in names) for row in found])
    return _drawn(texts_of_table(table, spec, data, source, named, paired=material.paired), spec)


def _is_report(source: str, key: str) -> ConfigError:
    return ConfigError(
        f"{source} is the report split ({key}): students would be trained on what they are reported on",
        hint="use other texts",
    )


def _drawn(rows: Sequence[Text], spec: TransferSpec) -> Iterator[Text]:
    """All rows, in a random order if only some are wanted."""
    return iter(random.Random(spec.seed).sample(rows, len(rows)) if spec.rows else rows)
