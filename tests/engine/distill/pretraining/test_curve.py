"""The kept curve of a pre-training."""

from __future__ import annotations

import json
from pathlib import Path

from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.distill.pretraining.curve import NAME, Curve, replay


def steps(events: Path) -> list[int]:
    return [json.loads(line)["step"] for line in events.read_text().splitlines()]


def test_a_kill_within_a_line_costs_only_that_line(tmp_path: Path) -> None:
    """The first point after it stands on a line of its own."""
    first = Curve(tmp_path, EventWriter(tmp_path / "first"))
    for step in (1, 2):
        first.metrics(step, {"train/loss": 0.5})
    kept = tmp_path / NAME
    kept.write_bytes(kept.read_bytes()[:-5])
    resumed = Curve(tmp_path, EventWriter(tmp_path / "second"))
    for step in (2, 3):
        resumed.metrics(step, {"train/loss": 0.25})
    replay(tmp_path, EventWriter(tmp_path / "later"))
    assert [1, 2, 3] == steps(tmp_path / "second") == steps(tmp_path / "later")
