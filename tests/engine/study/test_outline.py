"""What is known of a study without a valid spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_spec

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.config import dump, load_study
from bertdistill.engine.study.outline import outline
from bertdistill.store.rows import Study

SAMPLES = Path(__file__).parents[3] / "sample_configs"


def study(spec: dict[str, Any], kind: str = "search") -> Study:
    return Study(name="toy", kind=kind, task="text-classification", spec=spec, created_at=1.0)


def test_a_valid_study_is_known_whole(tmp_path: Path) -> None:
    """Its spec, and nothing is wrong with it."""
    spec = study_spec(tmp_path)

    assert (spec, "") == (outline(study(dump(spec))).whole, outline(study(dump(spec))).problem)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_what_is_known_at_once_agrees_with_the_spec(path: Path) -> None:
    """Lists show the one and searches run the other."""
    spec = load_study(path, [])
    found = outline(study(dump(spec)))
    assert (spec.objectives, tuple(spec.metrics.stored)) == (found.objectives, found.stored)
    assert (spec.budget.trials, spec.runner.slots, spec.note) == (found.trials, found.slots, found.note)
    assert {one.name: one.choices for one in spec.search} == found.searched


def test_what_no_longer_validates_is_known_as_far_as_it_goes(tmp_path: Path) -> None:
    """Objectives, budget and note; whoever needs the rest is told what is wrong."""
    spec = study_spec(tmp_path, note="hm")
    found = outline(study(dump(spec) | {"sections": "of another version"}))
    assert (spec.objectives, 5, "hm", None) == (found.objectives, found.trials, found.note, found.spec)
    with pytest.raises(ConfigError, match=r"study toy: .*sections"):
        _ = found.whole


@pytest.mark.parametrize("spec", [{}, {"objectives": 3, "budget": "x", "metrics": [], "note": 1}, {"objectives": [3]}])
def test_nothing_at_all_is_an_outline_too(spec: dict[str, Any]) -> None:
    """It never fails."""
    assert ((), 0) == (outline(study(spec)).objectives, outline(study(spec)).trials)


def test_logged_runs_have_metrics_of_their_own() -> None:
    """With the direction that was given, each once."""
    raw = [{"metric": "cost", "direction": "minimize", "threshold": 3}, {"metric": "exact"}, {"metric": "cost"}]
    found = outline(study({"objectives": raw}, kind="log"))
    assert (Objective("cost", "minimize", 3.0), Objective("exact", "maximize")) == found.objectives
    with pytest.raises(ConfigError, match="a collection of logged runs"):
        _ = found.whole
