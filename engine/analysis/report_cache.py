"""Scores on the report split, kept in `caches/reports/<key>/`: where they are and what is in them.

The key covers the weights and everything that determines the report split, so a result is never shown for other data.
A worker writes them (`distill.export.report_scores`); this only reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.folder import file_sha256, read_object

if TYPE_CHECKING:
    from bertdistill.engine.contract.spec import DataSpec

FOLDER = "reports"
SCORES = "scores.json"
NOT_OF_REPORT = ("train", "train_split", "search_fraction", "max_train_examples", "max_search_examples")
"""Keys of `[data]` that do not affect the report split."""
NEWER = {"header": "auto"}
"""Keys that came later, with what was done before: scores from then are still found."""


@dataclass(frozen=True)
class ReportScores:
    """What one model scored on the report split."""

    digest: str
    """Of the examples: only results on the same ones can be compared."""
    examples: int
    scores: Mapping[str, float]
    judged: Mapping[str, Any]
    """What was right about every example; see `engine.tasks.intervals.statistic`."""


def report_key(data: DataSpec, weights: str, threshold: float | None = None) -> str:
    """The key of a model's scores. `weights` identifies the model by content; `threshold` is that of abstention."""
    every = dataclasses.asdict(data).items()
    described = {key: v for key, v in every if key not in NOT_OF_REPORT and (key not in NEWER or v != NEWER[key])}
    parts = {"data": described, "file": _file(data.report), "weights": weights, "threshold": threshold}
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=12).hexdigest()


def _file(report: str) -> str:
    """The content of a local report file; empty for a data set of the Hub."""
    try:
        facts = Path(report).stat() if report else None
        return _content(report, facts.st_size, facts.st_mtime_ns) if facts else ""
    except OSError:
        return "missing"


@lru_cache(maxsize=16)
def _content(path: str, size: int, changed_ns: int) -> str:
    return file_sha256(Path(path))


def read_scores(caches: Path, key: str) -> ReportScores | None:
    """The scores under a key; None if there are none, or if they cannot be read."""
    raw = read_object(caches / FOLDER / key / SCORES)
    try:
        return ReportScores(
            str(raw["digest"]),
            int(raw["examples"]),
            {str(name): float(value) for name, value in raw["scores"].items()},
            dict(raw["judged"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
