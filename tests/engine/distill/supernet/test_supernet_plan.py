"""What a plan says about a supernet: sub-networks, steps, work, disk; what its teacher cannot have is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict
from tests.tiny import make_checkpoint

from bertdistill.app.views.plan import make_plan, plan_facts
from bertdistill.app.views.supernet_plan import supernet_cost
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.study_spec import StudySpec


def spec_of(folder: Path, layers: dict[str, Any], **supernet: Any) -> StudySpec:
    """A teacher of three layers with four heads; forty rows, a tenth held out."""
    make_checkpoint(folder / "teacher", "bert", layers=3, head="cls")
    raw = study_dict(
        folder,
        teacher={"model": str(folder / "teacher"), "fine_tune": None},
        student={"init": "supernet"},
        supernet={"epochs": 2.0, "batch_size": 8, **supernet},
        search={"layers": layers, "heads": {"choices": [2, 4]}},
        baseline={"layers": 3},
    )
    rows = [f"film number {n} {word};{label}" for n in range(20) for word, label in (("good", "yes"), ("bad", "no"))]
    (folder / "train.txt").write_text("\n".join(rows))
    (folder / "report.txt").write_text("a good play;yes\na bad play;no\n")
    return study_from_dict(raw, where="here")


def test_sub_networks_steps_work_and_disk(tmp_path: Path) -> None:
    """36 training texts in batches of 8, twice. Every depth of a width is three layers, of two heads less work."""
    spec = spec_of(tmp_path, {"low": 1, "high": 3})
    planned = make_plan(spec, say=lambda text: None)
    found = planned["supernet"]
    assert (6, 6, 10) == (found["nets"], found["screened"], found["steps"])
    narrow = (2 * 2 * 8 + 64) / (2 * 4 * 8 + 64)
    assert found["passes"] == pytest.approx(2.0 * (1 + narrow) / 2, abs=0.01)
    assert found["bytes"] == 4 * planned["sizes"]["largest"]
    words = plan_facts(spec, planned)["supernet"]
    assert words.startswith("6 sub-networks, about 10 steps, the work of 1.75 passes over the data")
    timed = plan_facts(
        spec, planned | {"time": {"trial_seconds": 60.0, "pass_seconds": 20.0, "seconds": None} | TRIALS}
    )
    assert ", about 35s or more; at most 6 screened" in timed["supernet"]
    one = make_plan(spec_of(tmp_path / "one", {"low": 1, "high": 3}, every_depth=False), say=lambda text: None)
    assert one["supernet"]["passes"] < found["passes"]


TRIALS = {"study": "demo", "trials": 3}


def test_more_layers_than_the_teacher_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"settings\.layers is 4, but .* only the 3 layers of the teacher"):
        make_plan(spec_of(tmp_path, {"low": 1, "high": 5}), say=lambda text: None)


def test_what_is_unknown_is_null(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, {"low": 1, "high": 3})
    found = supernet_cost(spec, None, None, None)
    assert found is not None
    assert set(found.values()) == {None}
