"""A study as two tables, trials and points, and a page about the study: what Parquet, CSV and JSON files hold.

`docs/export.md` describes the columns. Values only; it writes no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from bertdistill.engine.contract.events import finite
from bertdistill.engine.interchange.out.outgoing import PREPARATION, Outgoing, all_metrics, study_file
from bertdistill.engine.interchange.records import Curve
from bertdistill.store.rows import Trial

Kind = Literal["whole", "number", "truth", "text", "words", "json"]

WRITTEN_BY = "bertdistill-tui"
STUDY_FILE = "study.json"
"""The page about the study. It also marks a folder as an export, which `--force` may replace."""
BEFORE: dict[str, Kind] = {
    "trial": "whole",
    "state": "text",
    "origin": "text",
    "parent": "whole",
    "rank": "whole",
    "frontier": "truth",
    "feasible": "truth",
}
AFTER: dict[str, Kind] = {
    "reason": "text",
    "detail": "text",
    "failures": "whole",
    "seed": "whole",
    "proposal_seed": "whole",
    "sampler": "text",
    "created_at": "number",
    "started_at": "number",
    "finished_at": "number",
    "seconds": "number",
    "tags": "words",
    "note": "text",
    "archived": "truth",
    "settings": "json",
}
"""Columns before and after the parameters and metrics."""
_HUGE = 2**63
"""Tables have integers of 64 bits."""
_EXACT = 2**53
"""Floats hold each smaller integer."""
POINT_COLUMNS = ("trial", "series", "step", "value", "time")


def study_page(out: Outgoing) -> dict[str, Any]:
    """The study itself: what it aims at, its search space, its study file."""
    spec = out.outline.spec
    return {
        "written_by": f"{WRITTEN_BY} {version(WRITTEN_BY)}",
        "study": out.study.name,
        "kind": out.study.kind,
        "state": out.study.state.value,
        "task": out.study.task,
        "note": out.outline.note,
        "created_at": out.study.created_at,
        "finished_at": out.study.finished_at,
        "seconds": out.study.busy_seconds,
        "objectives": [asdict(one) for one in out.outline.objectives],
        "study_file": study_file(spec) if spec is not None else None,
        "trials": len(out.trials),
    }


def write_page(out: Outgoing, folder: Path) -> None:
    """Write the page about the study into the folder of an export."""
    (folder / STUDY_FILE).write_text(json.dumps(study_page(out), indent=2) + "\n", encoding="utf-8")


def trial_rows(out: Outgoing) -> Iterator[dict[str, Any]]:
    """One row for each trial, by number; `params`, `metrics` and `settings` are tables in it."""
    places = {number: place for place, number in enumerate(out.ranked, 1)}
    for trial in out.trials:
        yield _row(out, trial, places.get(trial.number))


def _row(out: Outgoing, trial: Trial, rank: int | None) -> dict[str, Any]:
    standing = out.ranked.get(trial.number)
    found: dict[str, Any] = {
        "trial": trial.number,
        "parent": out.parents.get(trial.number),
        "rank": rank,
        "frontier": standing is not None and standing.on_frontier,
        "feasible": standing.feasible if standing else None,
        "params": finite(trial.params),
        "metrics": all_metrics(trial),
        "seed": finite(trial.settings.get("seed")),
        "seconds": trial.busy_seconds,
    }
    for name in (*BEFORE, *AFTER):
        if name not in found:
            found[name] = finite(getattr(trial, name))
    found["state"] = trial.state.value
    return {name: found[name] for name in (*BEFORE, "params", "metrics", *AFTER)}


@dataclass(frozen=True)
class Column:
    """One column of the flat table, with a value (or None) for each trial."""

    name: str
    kind: Kind
    values: list[Any]


def columns(out: Outgoing) -> list[Column]:
    """The trials as one flat table: `params.layers` and `metrics.accuracy` are columns.

    A parameter with values of several kinds, or of none that a table has, is JSON.
    """
    rows = list(trial_rows(out))
    params = dict.fromkeys(name for row in rows for name in row["params"])
    metrics = dict.fromkeys(name for row in rows for name in row["metrics"])
    found = [Column(name, kind, [row[name] for row in rows]) for name, kind in BEFORE.items()]
    for name in params:
        values = [row["params"].get(name) for row in rows]
        found.append(_encoded(Column(f"params.{name}", _kind(values), values)))
    found += [Column(f"metrics.{name}", "number", [row["metrics"].get(name) for row in rows]) for name in metrics]
    for name, kind in AFTER.items():
        values = [row[name] for row in rows]
        if name == "seed" and any(value is not None for value in values):
            kind = _kind(values)  # of a logged run it may be anything
        found.append(_encoded(Column(name, kind, values)))
    return found


def _encoded(column: Column) -> Column:
    if column.kind != "json":
        return column
    return replace(column, values=[None if value is None else json.dumps(value) for value in column.values])


def _kind(values: Iterable[Any]) -> Kind:
    """The narrowest kind that holds all values."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        kind: Kind = "number" if float in kinds else "whole"
        most = _EXACT if float in kinds else _HUGE
        return kind if all(abs(value) < most for value in values if type(value) is int) else "json"
    names: dict[type, Kind] = {bool: "truth", str: "text"}
    return names.get(kinds.pop(), "json") if len(kinds) == 1 else "json"


def pieces(out: Outgoing) -> Iterator[tuple[int | None, Curve]]:
    """All points, with the number of the trial, None for the preparation of the study."""
    sources: Sequence[tuple[int | None, int]] = [(None, PREPARATION), *((one.number, one.id) for one in out.trials)]
    for number, trial_id in sources:
        for piece in out.curves(trial_id):
            yield number, piece
