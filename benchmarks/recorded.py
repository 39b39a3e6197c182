"""Studies that were really run, as small tables in `data/`: settings, scores, sizes, seconds and curves of trials.

    python benchmarks/recorded.py WORKSPACE STUDY benchmarks/data/NAME.json

stores one: its search space, what its preparation found (without folders), and its complete trials.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.study import config
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import TrialState

DATA = Path(__file__).parent / "data"
LEFT_OUT = ("search_digest", "note")
"""What changes no size."""


@dataclass(frozen=True)
class Row:
    """One complete trial."""

    params: Mapping[str, Any]
    score: float
    known: Mapping[str, float]
    """The other objectives."""
    seconds: float
    curve: list[tuple[float, float]]
    """(share of the training, score on the validation split)."""


@dataclass(frozen=True)
class Recorded:
    """One study."""

    name: str
    spec: StudySpec
    facts: Prepared
    rows: list[Row]


def recorded(name: str) -> Recorded:
    """A study of `data/`."""
    raw = json.loads((DATA / f"{name}.json").read_text())
    rows = [Row(p, s, k, t, [(a, b) for a, b in c]) for p, s, k, t, c in raw["trials"]]
    spec = config.study_from_dict(raw["study"], where=name)
    return Recorded(name, spec, Prepared.from_dict(raw["prepared"]), rows)


def export(workspace: Path, study_name: str) -> dict[str, Any]:
    """The table of a study in a workspace."""
    with Database(workspace / "tracker.db", read_only=True).read() as session:
        study = next(one for one in reads.studies(session) if one.name == study_name)
        spec = config.study_from_dict(study.spec, where=study_name)
        score, *others = [objective.metric for objective in spec.objectives]
        rows = []
        for trial in reads.trials_by_id(session, reads.trial_ids(session, study.id, TrialState.COMPLETE)):
            series = {one.name: one.id for one in reads.series(session, study.id, trial.id)}
            points = reads.points_after(session, series[f"search/{score}"], -1, 1000)
            curve = [[round((i + 1) / len(points), 3), round(v or 0, 2)] for i, (_, v, _) in enumerate(points)]
            known = {metric: trial.metrics[metric] for metric in others}
            rows.append([trial.params, round(trial.metrics[score], 2), known, round(trial.busy_seconds, 1), curve])
    return {"study": _slim(study.spec), "prepared": _slim(study.prepared or {}), "trials": rows}


def _slim(raw: Any) -> Any:
    """Without folders and what is long."""
    if isinstance(raw, dict):
        return {key: _slim(value) for key, value in raw.items() if key not in LEFT_OUT}
    if isinstance(raw, list):
        return [_slim(value) for value in raw]
    if isinstance(raw, float):
        return float(f"{raw:.6g}")
    return Path(raw).name if isinstance(raw, str) and raw.startswith("/") else raw


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("study")
    parser.add_argument("file", type=Path)
    options = parser.parse_args()
    table = export(options.workspace, options.study)
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in table.pop("trials"))
    head = json.dumps(table, separators=(",", ":"))[:-1]
    options.file.write_text(f'{head},"trials":[\n{lines}\n]}}\n')
    sys.stdout.write(f"{options.file}: {options.file.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
