"""The JSON form of a handle, of this and of earlier versions."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.protocol import Handle

GPU = {"kind": "cuda", "threads": 2, "uuid": "GPU-a", "memory_fraction": 0.475}


@pytest.mark.parametrize(
    ("stored", "handle"),
    [
        ({}, Handle()),
        (
            {"host": "h", "boot_id": "b", "shim": 7, "start": 9, "device": GPU},
            Handle("h", "b", 7, 9, device=Device("cuda", 2, "GPU-a", 0.475)),
        ),
        ({"host": "h", "inline": 7, "device": {"kind": "cpu"}}, Handle("h", device=Device())),
        ({"host": None, "shim": "7", "start": True, "device": None}, Handle()),
    ],
)
def test_an_earlier_handle_is_read(stored: dict[str, Any], handle: Handle) -> None:
    """Unknown keys are ignored; a process id that is not a number is none."""
    assert Handle.from_dict(stored) == handle
    assert Handle.from_dict(handle.to_dict()) == handle
