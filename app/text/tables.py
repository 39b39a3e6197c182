"""Rows to plain text tables, JSON and CSV. It knows nothing about studies and prints nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.text.safe import safe, safe_line
from bertdistill.engine.contract.events import finite

GAP = "  "


def text_table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[str] = (),
    width: int = 0,
    indent: str = "",
) -> str:
    """Aligned columns under their titles; those named in `right` are flush right. `width` above 0 cuts each line."""
    if not rows:
        return ""
    cells = [[safe_line(cell, 500) for cell in row] for row in rows]
    widths = [max(cell_width(title), *(cell_width(row[i]) for row in cells)) for i, title in enumerate(titles)]
    flush = [title in right for title in titles]
    lines = [indent + _line(row, widths, flush) for row in [list(titles), *cells]]
    return "\n".join(cut(line, width) if width else line for line in lines)


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a document; whatever a cell holds, it stays one cell."""
    cells = [[safe_line(cell, 500).replace("|", r"\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [titles, ["---"] * len(titles), *cells])


def _line(cells: Sequence[str], widths: Sequence[int], flush: Sequence[bool]) -> str:
    padded = []
    for cell, width, right in zip(cells, widths, flush, strict=True):
        space = " " * (width - cell_width(cell))
        padded.append(space + cell if right else cell + space)
    return GAP.join(padded).rstrip()


def cut(line: str, width: int) -> str:
    """`line` in at most `width` cells, an ellipsis where something was taken off."""
    if cell_width(line) <= width:
        return line
    kept = line[:width]
    while kept and cell_width(kept) > width - 1:
        kept = kept[:-1]
    return kept + "…"


def cell_width(text: str) -> int:
    """Cells that a terminal takes for `text`; wide characters take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # only foreign names and glyphs need it

    return cell_len(text)


def pairs(rows: Mapping[str, str], *, indent: str = "  ") -> str:
    """`name  value` lines with the names padded to one width; a value is one line."""
    rows = {safe_line(name): safe_line(value, 4000) for name, value in rows.items()}
    width = max((cell_width(name) for name in rows), default=0)
    return "\n".join(
        f"{indent}{name}{' ' * (width - cell_width(name))}{GAP}{value}".rstrip() for name, value in rows.items()
    )


def json_text(value: Any) -> str:
    """JSON with NaN and infinities as null and everything outside ASCII escaped, so no terminal can be driven by it."""
    return json.dumps(finite(value), indent=2, allow_nan=False)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV with one column a key, nested keys joined by a dot; missing values are empty, lists are JSON."""
    flat = [_flat(row) for row in rows]
    titles = list(dict.fromkeys(name for row in flat for name in row))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_cell(title) for title in titles])
    writer.writerows([[_cell(row.get(title)) for title in titles] for row in flat])
    return file.getvalue().rstrip("\n")


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value
    return result


def _cell(value: Any) -> str:
    """Text that a spreadsheet would run as a formula gets a leading apostrophe; numbers are left as they are."""
    value = finite(value)
    if value is None:
        return ""
    if isinstance(value, (bool, list)):
        return json.dumps(value)
    if isinstance(value, (int, float)):
        return repr(value)
    text = safe(value)
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
