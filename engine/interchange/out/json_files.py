"""A study as JSON: a folder with `trials.json`, a list, and `points.jsonl`, an object a line."""

from __future__ import annotations

import json
from pathlib import Path

from bertdistill.engine.interchange.out.outgoing import Losses, Outgoing
from bertdistill.engine.interchange.out.tables import pieces, trial_rows, write_page


def write(out: Outgoing, folder: Path, losses: Losses) -> None:
    """Write the tables into a new folder; everything outside ASCII is escaped."""
    folder.mkdir()
    write_page(out, folder)
    with (folder / "trials.json").open("w", encoding="utf-8") as file:
        lines = (json.dumps(row, allow_nan=False) for row in trial_rows(out))
        file.write("[\n" + ",\n".join(lines) + "\n]\n")
    with (folder / "points.jsonl").open("w", encoding="utf-8") as file:
        for number, piece in pieces(out):
            start = f'{{"trial": {json.dumps(number)}, "series": {json.dumps(piece.name)}, "step": '
            file.writelines(
                f'{start}{step}, "value": {"null" if value is None else repr(value)}, "time": {time!r}}}\n'
                for step, value, time in zip(piece.steps, piece.values, piece.times, strict=True)
            )
