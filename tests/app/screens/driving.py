"""Driving the app in tests: open a screen on a workspace, wait for what it shows, read the words that are on it.

It waits on conditions with a deadline and never sleeps for a fixed time.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from bertdistill.app.preferences import Options
from bertdistill.app.ui import BertDistill
from bertdistill.engine.contract.workspace import Workspace

DEADLINE = 30.0
"""Seconds after which a wait has failed; reached only by a defect."""
SIZES = ((120, 40), (80, 24), (40, 12))
"""Every screen must be usable at these."""
HOSTILE = "\x1b]52;c;AAAA\x07\x1b[31m[red]markup[/] [/nothing] 漢字 \x9b2J"
"""Text from outside that would write the clipboard, colour, end a tag that never began, and clear the screen."""
HARMLESS = "[red]markup[/] [/nothing] 漢字"
"""What of it may be seen."""


@asynccontextmanager
async def playing(
    ws: Workspace, screen: Screen[Any] | None = None, size: tuple[int, int] = SIZES[0], **options: Any
) -> AsyncIterator[Pilot[None]]:
    """The app on a workspace, with `screen` over the studies; entered when the screen has read its first news."""
    app = BertDistill(Options(ws.path, **options))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: getattr(app.screen, "news", None) is not None, "the list of studies")
        if screen is not None:
            app.push_screen(screen)
            await until(pilot, lambda: getattr(screen, "news", None) is not None, "the news of the screen")
            await pilot.pause()
        yield pilot


async def until(pilot: Pilot[None], condition: Callable[[], Any], what: str) -> Any:
    """Wait until `condition` is true and return its value."""
    end = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {DEADLINE:g} s for {what}; the screen shows\n{words_on(pilot)}"
        await pilot.pause(0.01)
    return found


async def shown(pilot: Pilot[None], words: str) -> None:
    """Wait until these words stand on the screen on top."""
    await until(pilot, lambda: words in words_on(pilot), f"{words!r} to be shown")


async def told(pilot: Pilot[None], words: str) -> None:
    """Wait until a toast, or the line of the screen, says these words."""
    await until(pilot, lambda: any(words in told for told in toasts(pilot)), f"{words!r} to be told")


def words_on(pilot: Pilot[None]) -> str:
    """The screen on top as lines of text, as a person sees it."""
    strips = pilot.app.screen._compositor.render_strips()  # textual has no public way to the text of a screen
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def toasts(pilot: Pilot[None]) -> list[str]:
    """What the app told since it began, and what the line of the screen says."""
    line = getattr(pilot.app.screen, "outcome", "")
    return [str(toast.message) for toast in pilot.app._notifications] + [line] * bool(line)  # no public way either


def control_codes(pilot: Pilot[None]) -> set[str]:
    """Characters on the screen that would drive a terminal; there must be none."""
    return {char for char in words_on(pilot) if unicodedata.category(char) in ("Cc", "Cf") and char != "\n"}
