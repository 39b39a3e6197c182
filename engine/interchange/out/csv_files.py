"""A study as CSV: a folder with `trials.csv` and `points.csv`.

Missing values are empty. Text that a spreadsheet would run as a formula gets a leading apostrophe, as everywhere here.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from bertdistill.engine.interchange.out.outgoing import Losses, Outgoing
from bertdistill.engine.interchange.out.tables import POINT_COLUMNS, columns, pieces, write_page
from bertdistill.engine.interchange.readers.csv_rows import FORMULA


def write(out: Outgoing, folder: Path, losses: Losses) -> None:
    """Write the tables into a new folder."""
    folder.mkdir()
    write_page(out, folder)
    found = columns(out)
    with (folder / "trials.csv").open("w", encoding="utf-8", newline="") as file:
        trials = csv.writer(file, lineterminator="\n")
        trials.writerow([_cell(one.name) for one in found])
        trials.writerows([_cell(value) for value in row] for row in zip(*(one.values for one in found), strict=True))
    with (folder / "points.csv").open("w", encoding="utf-8", newline="") as file:
        points = csv.writer(file, lineterminator="\n")
        points.writerow(POINT_COLUMNS)
        for number, piece in pieces(out):
            series = _cell(piece.name)
            rows = zip(piece.steps, piece.values, piece.times, strict=True)
            points.writerows((number, series, step, value, time) for step, value, time in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return json.dumps(value) if isinstance(value, (bool, list)) else value
