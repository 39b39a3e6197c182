"""Where a study is prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_spec

from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.protocol import Slot
from bertdistill.engine.runner.rules import by_fit, preparation_slots

CPU = Slot("cpu0", Device())
FAR_CPU = Slot("b/cpu0", Device(node="b"))
FAR_GPU = Slot("c/gpu0", Device(kind="cuda", node="c"))


@pytest.mark.parametrize(
    ("told", "machines"),
    [
        ({}, ()),
        ({"machines": ["b"]}, ()),
        ({"prepare_on": "b"}, ("b",)),
        ({"prepare_on": "auto"}, ()),
        ({"prepare_on": "auto", "machines": ["b", "local", "c"]}, ("local", "b", "c")),
    ],
)
def test_machines_of_a_preparation(tmp_path: Path, told: dict[str, Any], machines: tuple[str, ...]) -> None:
    assert machines == preparation_slots(study_spec(tmp_path, runner=told)).machines


def test_a_gpu_fits_best_and_otherwise_this_machine() -> None:
    assert [FAR_GPU, CPU, FAR_CPU] == by_fit([CPU, FAR_CPU, FAR_GPU])
    assert [CPU, FAR_CPU] == by_fit([CPU, FAR_CPU])
