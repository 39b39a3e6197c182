"""A study as Parquet: a folder with `trials.parquet` and `points.parquet`, for DuckDB, pandas and the like.

Points are written a row group at a time, so memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bertdistill.engine.interchange.out.outgoing import Losses, Outgoing
from bertdistill.engine.interchange.out.tables import POINT_COLUMNS, columns, pieces, write_page
from bertdistill.engine.interchange.records import Curve

ROWS = 122_880
"""Rows of a row group: as many as DuckDB gives to one thread."""


def write(out: Outgoing, folder: Path, losses: Losses) -> None:
    """Write the tables into a new folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    write_page(out, folder)
    types = {
        "whole": pa.int64(),
        "number": pa.float64(),
        "truth": pa.bool_(),
        "words": pa.list_(pa.string()),
        "text": pa.string(),
        "json": pa.string(),
    }
    trials = {one.name: pa.array(one.values, types[one.kind]) for one in columns(out)}
    pq.write_table(pa.table(trials), folder / "trials.parquet", compression="zstd")
    kinds = (pa.int64(), pa.string(), pa.int64(), pa.float64(), pa.float64())
    schema = pa.schema(list(zip(POINT_COLUMNS, kinds, strict=True)))
    with pq.ParquetWriter(folder / "points.parquet", schema, compression="zstd") as writer:
        for group in _groups(pieces(out)):
            writer.write_table(pa.concat_tables([_table(number, piece, schema) for number, piece in group]), ROWS)


def _groups(found: Iterator[tuple[int | None, Curve]]) -> Iterator[list[tuple[int | None, Curve]]]:
    """Pieces of at least ROWS points together, so that many short curves share a row group."""
    group: list[tuple[int | None, Curve]] = []
    count = 0
    for number, piece in found:
        group.append((number, piece))
        count += len(piece.steps)
        if count >= ROWS:
            yield group
            group, count = [], 0
    if group:
        yield group


def _table(number: int | None, piece: Curve, schema: Any) -> Any:
    import pyarrow as pa

    same = [
        pa.repeat(pa.scalar(one, kind), len(piece.steps))
        for one, kind in ((number, pa.int64()), (piece.name, pa.string()))
    ]
    own = [pa.array(piece.steps, pa.int64()), pa.array(piece.values, pa.float64()), pa.array(piece.times, pa.float64())]
    return pa.table([*same, *own], schema=schema)
