"""Rows of numbers as W&B writes them: every row is what a reading item by item finds, whatever rows came before it."""

import itertools

from bertdistill.engine.interchange.readers.wandb_rows import RowReader


def _item(name: str, value: str) -> bytes:
    inner = b"\x12" + bytes([len(name)]) + name.encode() + b"\x82\x01" + bytes([len(value)]) + value.encode()
    return b"\x0a" + bytes([len(inner)]) + inner


def _row(**values: str) -> bytes:
    return b"".join(_item(name, value) for name, value in values.items())


def _read(reader: RowReader, record: bytes) -> dict[str, str] | None:
    names, values, end = reader.read(record)
    if end != len(record):
        return None
    return {name[2:].decode(): value.decode() for name, value in zip(names, values, strict=True)}


RECORDS: tuple[tuple[bytes, dict[str, str] | None], ...] = (
    (_row(loss="0.25", lr="1e-05"), {"loss": "0.25", "lr": "1e-05"}),
    (_row(loss="1.5", lr="-3"), {"loss": "1.5", "lr": "-3"}),
    (_row(loss="0.25", lr="1e-05", acc="10"), {"loss": "0.25", "lr": "1e-05", "acc": "10"}),
    (_row(lr="2", loss="1"), {"lr": "2", "loss": "1"}),
    (_row(loss="0.25", lr="NaN"), None),
    (_row(loss="0.25", lr="1x"), None),
    (_row(loss="0.25", text='"a"', lr="1"), None),
    (b"", {}),
)


def test_a_row_is_read_alike_whatever_rows_came_before_it() -> None:
    for earlier, (record, expected) in itertools.product(itertools.product(RECORDS, repeat=2), RECORDS):
        reader = RowReader()
        for before, _ in (*earlier, earlier[1]):  # twice, as its names are then known
            reader.read(before)
        assert _read(reader, record) == expected, (earlier, record)
