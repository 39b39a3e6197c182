"""Checks of `[[transfer]]` and of the settings that use it. Pure: it opens no files."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from bertdistill.engine.contract.spec import DataSpec, TransferSpec
from bertdistill.engine.study.sections import Problem, default_of, one_of, shown
from bertdistill.engine.tasks.table import TASKS

NEEDED = {"file": "path", "hub": "hub", "generate": "model"}
"""The key without which a kind has nothing to read."""
DRAWN = ("ngrams", "mask", "replace", "eda", "generate")
"""Kinds without an end, so that their number of rows must be given."""


def transfer_problems(tables: Sequence[TransferSpec], task: str | None, data: DataSpec | None) -> Iterator[Problem]:
    """What is wrong with the tables of a study."""
    if tables and task is not None and TASKS[task].spans:
        yield Problem(
            "transfer",
            "",
            f"is for text-classification only, because {task} needs the place of an answer; remove it, and use more "
            "training data instead",
        )
        return
    for index, table in enumerate(tables):
        name = f"transfer.{index}"
        yield from (dataclasses.replace(one, table=name, of=table.kind) for one in _table(table, data))


def _table(table: TransferSpec, data: DataSpec | None) -> Iterator[Problem]:
    for field in dataclasses.fields(TransferSpec):
        kinds = field.metadata.get("kinds", ())
        if kinds and table.kind not in kinds and getattr(table, field.name) != default_of(field):
            yield Problem("", field.name, f"has no effect there; it belongs to {one_of(kinds)}; remove it")
    needed = NEEDED.get(table.kind, "")
    if needed and not getattr(table, needed):
        yield Problem("", needed, "is missing")
    if table.kind in DRAWN and not table.rows:
        yield Problem("", "rows", "is missing: the number of rows to draw")
    if table.kind == "ngrams" and table.shortest > table.longest:
        yield Problem("", "shortest", f"= {shown(table.shortest)} is above longest = {table.longest}; lower it")
    if table.kind == "file" and data is not None and table.path and table.path == data.report:
        yield Problem("", "path", "is the report file: students would be trained on what they are reported on")
