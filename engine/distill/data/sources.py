"""Sources of examples: local files (`engine.data`) and Hub datasets, both as tables and questions.

It never runs code from a dataset. A new source is one row of SOURCES.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.files import Part, source_name
from bertdistill.engine.data.questions import QAExample, checked, file_questions, question
from bertdistill.engine.data.tables import LABELS, Table, file_table

Questions = tuple[list[QAExample], tuple[str, ...]]
"""Validated questions, and notices about them."""


class Source(NamedTuple):
    """One kind of source. Both readers raise ConfigError naming file or dataset, key and remedy."""

    takes: Callable[[DataSpec], bool]
    """Whether `[data]` names a source of this kind."""
    table: Callable[[DataSpec, Part], Table]
    """The rows of one part."""
    questions: Callable[[DataSpec, Part], Questions]
    """The questions of one part."""


def source_of(data: DataSpec) -> Source:
    """The source that `[data]` names: the first of SOURCES that accepts it."""
    return next(source for source in SOURCES if source.takes(data))


def _hub_rows(data: DataSpec, part: Part) -> Table:
    table = hub_table(data, part)
    names = tuple(table.column_names)
    folded = {name.casefold(): name for name in names}
    label = data.label_column or next((folded[name] for name in LABELS if name in folded), "")
    known = tuple(getattr(table.features.get(label), "names", None) or ())
    if known and (missing := sum(value == -1 for value in table[label])):
        raise ConfigError(
            f"{source_name(data, part)} has no labels for {missing} of its {len(table)} rows (they are -1). "
            f"Choose another data.{part}_split, or use local files without these rows."
        )
    return Table(names, [tuple(row[name] for name in names) for row in table], known)


def _hub_questions(data: DataSpec, part: Part) -> Questions:
    table, source = hub_table(data, part), source_name(data, part)
    missing = [name for name in ("id", "question", "context", "answers") if name not in table.column_names]
    if missing:
        raise ConfigError(
            f"{source} has no column {missing[0]!r} (only {', '.join(table.column_names)}): it is not a question "
            "answering dataset in SQuAD format. Choose another data.hub."
        )
    return checked((question(row, str(row.get("title") or ""), row["context"]) for row in table), source)


def hub_table(data: DataSpec, part: Part) -> Any:
    split = data.train_split if part == "train" else data.report_split
    return load_hub(data.hub, data.hub_config, split, source_name(data, part), "data.hub, data.hub_config, the split")


def load_hub(hub: str, config: str, split: str, source: str, keys: str) -> Any:
    """One split of a Hub dataset; ConfigError names it as `source`, and the keys to check."""
    import datasets  # half a second and pyarrow, which local files do not need

    try:
        return datasets.load_dataset(hub, config or None, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise ConfigError(
            f"{source} cannot be loaded: {error}. Check {keys} and the network, or use local files."
        ) from error


SOURCES: list[Source] = [
    Source(lambda data: bool(data.hub), _hub_rows, _hub_questions),
    Source(lambda data: True, file_table, file_questions),
]
"""In the order in which they are tried."""
