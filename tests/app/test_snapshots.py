"""Pictures of the main screens, compared to the letter. Opt-in (`pytest -m snapshot`): they change with textual.

Made on Python 3.11; after a change that is meant: `pytest -m snapshot --snapshot-update`, and look at each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.app.screens.driving import SIZES
from textual.pilot import Pilot

from bertdistill.app.preferences import Options
from bertdistill.app.screens import studies, study
from bertdistill.app.screens.studies import StudiesScreen
from bertdistill.app.ui import BertDistill
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.load import Load

pytestmark = pytest.mark.snapshot

KEYS: dict[str, tuple[str, ...]] = {
    "studies": ("escape",),
    "study": ("down",),
    "trial": ("enter",),
    "compare": ("space", "down", "space", "c"),
    "help": ("question_mark",),
}


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """What moves by itself stands still: the load of the machine, the clock, the place of the workspace."""
    load = Load(12.0, 8, 10_000_000_000, 64_000_000_000)
    for module in (studies, study):
        monkeypatch.setattr(module, "read_load", lambda: load)
    monkeypatch.setattr(StudiesScreen, "header", lambda self, text: None)
    monkeypatch.setattr("time.time", lambda: 1_700_003_600.0)
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", KEYS)
def test_screen(ws: Workspace, snap_compare: Callable[..., bool], name: str, size: tuple[int, int]) -> None:
    """As it was when somebody looked at it last."""

    async def before(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, BertDistill)
        await _settled(pilot)
        for key in KEYS[name]:
            await pilot.press(key)
            await _settled(pilot)

    app = BertDistill(Options(ws.path, open_study="demo"))
    assert snap_compare(app, terminal_size=size, run_before=before)


async def _settled(pilot: Pilot[Any]) -> None:
    """Until the screen on top has its news, and two looks later shows the same."""
    app = pilot.app
    before, same = "", 0
    for _ in range(600):
        await pilot.pause(0.05)
        text = app.export_screenshot() if getattr(app.screen, "news", True) is not None else ""
        same = same + 1 if text and text == before else 0
        before = text
        if same == 3:
            return
    raise AssertionError("the screen never came to rest")
