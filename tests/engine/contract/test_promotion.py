"""The JSON form of a promotion in spec.json, of this and of earlier versions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec

ORDER = Promotion(Path("/c/best"), "ab", Path("/m/v2"), "qa", 2, {"f1": 61.5}, alias="production", note="n")
SPEC = AttemptSpec(
    kind="promote",
    study="s",
    task="question-answering",
    data=DataSpec(),
    teacher=TeacherSpec(model="scratch"),
    student=StudentSpec(),
    settings=Settings(),
    device=Device(),
    caches="/caches",
)
EARLIER: dict[str, Any] = {
    "name": "qa",
    "version": 2,
    "trial": 7,
    "checkpoint": "/c/best",
    "sha256": "ab",
    "target": "/m/v2",
    "recorded": {"f1": 61.5, "ece": None},
    "force": False,
    "samples": 1000,
    "precision": "",
    "device": "",
    "alias": "production",
    "who": "ada",
    "note": "n",
}
"""As the first version wrote it."""


@pytest.mark.parametrize("order", [ORDER, None])
def test_a_spec_is_read_as_it_was_written(tmp_path: Path, order: Promotion | None) -> None:
    """With and without a promotion; without one the JSON form is empty, as it always was."""
    replace(SPEC, promote=order).write(tmp_path / "spec.json")
    assert AttemptSpec.read(tmp_path / "spec.json") == replace(SPEC, promote=order)
    written = json.loads((tmp_path / "spec.json").read_text())
    assert bool(written["promote"]) is (order is not None)


def test_an_earlier_spec_is_read(tmp_path: Path) -> None:
    """Keys that are no longer written are ignored, and so are metrics without a value."""
    SPEC.write(tmp_path / "spec.json")
    raw = json.loads((tmp_path / "spec.json").read_text()) | {"promote": EARLIER}
    (tmp_path / "spec.json").write_text(json.dumps(raw))
    assert AttemptSpec.read(tmp_path / "spec.json").promote == ORDER


@pytest.mark.parametrize(
    ("damage", "named"),
    [({}, "'sha256'"), ({"sha256": "", "version": "x"}, "'x'"), ({"sha256": "", "recorded": 1}, "int")],
)
def test_a_damaged_promotion_is_reported(damage: dict[str, Any], named: str) -> None:
    """Missing keys and wrong types are named, with a way out."""
    raw = {key: value for key, value in EARLIER.items() if key != "sha256"}
    with pytest.raises(ConfigError, match=named) as refusal:
        Promotion.from_dict(raw | damage)
    assert "again" in refusal.value.hint
