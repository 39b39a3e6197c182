"""Keys and pastes in order: each acts on what those before it have brought about, however fast they arrive.

Textual hands a key to the widget that has the focus at that moment, while what the key before it does may still wait
in the queue of another widget: a dialogue that opens, a field that gets the focus, a list that is read. Over a slow
line, in a paste or a macro, keys then act on the wrong thing. Here the next key waits until the last one has come to
rest. It knows no screen.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

from textual.app import App
from textual.events import Key, Paste
from textual.message_pump import MessagePump

PATIENCE_SECONDS = 2.0
"""Longest time for which keys wait for something slow: a screen that is read, a change that is written."""
WAITED_FOR = "keys wait"
"""Name of a worker of a screen that makes what the next key acts on, and is soon done."""
_LOOK_SECONDS = 0.005
"""Time between two looks whether it has come."""
_CALM, _ROUNDS = 2, 20
"""Rounds through the queues without a change that count as rest, and rounds after which nothing is waited for."""

KeyEvent = Key | Paste
Work = Callable[[], Coroutine[None, None, None]]
"""What a worker does, as a function: a coroutine that is cancelled before it began would complain."""


class KeyOrder:
    """Holds keys back. `deliver` gives one to the app as Textual would; `is_pending` says that something slow comes.

    `is_own` says that a key is the focused widget's own affair (a character typed, a step in a list): the widget keeps
    the order of such keys itself, so they need not wait for each other.
    """

    def __init__(
        self,
        app: App[Any],
        deliver: Callable[[KeyEvent], Awaitable[None]],
        *,
        is_own: Callable[[KeyEvent], bool],
        is_pending: Callable[[], bool],
    ) -> None:
        self._app, self._deliver, self._is_own, self._is_pending = app, deliver, is_own, is_pending
        self._held: deque[KeyEvent] = deque()
        self._is_delivering = False

    def take(self, event: KeyEvent) -> None:
        """The next key or paste from the terminal."""
        self._held.append(event)
        if not self._is_delivering:
            self._is_delivering = True
            self._app.run_worker(self._deliver_all(), group="keys")

    async def _deliver_all(self) -> None:
        try:
            while self._held:
                await self._come()
                event = self._held.popleft()
                await self._deliver(event)
                if not (self._held and self._is_own(event) and self._is_own(self._held[0])):
                    await self._rest()
        finally:
            self._is_delivering = False

    async def _come(self) -> None:
        """Wait for what is slow, as long as a person would."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self._is_pending() and time.monotonic() < end:
            await asyncio.sleep(_LOOK_SECONDS)

    async def _rest(self) -> None:
        """Until a word passed along the way of a key, twice, meets nothing and the same widget has the focus."""
        calm = 0
        for _ in range(_ROUNDS):
            seen = self._shape()
            for pump in self._way():
                await _passed(pump)
            is_calm = seen == self._shape() and not any(pump.message_queue_size for pump in self._way())
            calm = calm + 1 if is_calm else 0
            if calm == _CALM:
                return

    def _shape(self) -> tuple[Any, ...]:
        """What decides where the next key goes."""
        return (*self._app.screen_stack, self._app.focused) if self._app.screen_stack else ()

    def _way(self) -> Iterator[MessagePump]:
        """Whom a key visits: the focused widget, what it is in, the screen, the app."""
        if self._app.screen_stack:
            yield from (self._app.focused or self._app.screen).ancestors_with_self


async def _passed(pump: MessagePump) -> None:
    """Wait until a widget has handled all that is in its queue now; one that is being removed has no more to do."""
    handled = asyncio.Event()
    if pump.call_later(handled.set):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await handled.wait()
        except TimeoutError:
            return
