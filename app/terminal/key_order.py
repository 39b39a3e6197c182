"""Keys and pastes in order: each one acts on the result of those before it, however fast they arrive.

Textual hands a key to the widget that has the focus at that moment, although the effect of the previous key may still
be in the queue of another widget: a dialogue that opens, a field that gets the focus, a list that is being read. On a
slow connection, or in a paste or macro, keys would then act on the wrong thing. So the next key waits until the
previous one has settled. It knows no screen.
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
LOADING_SECONDS = 10.0
"""Longest time for which they wait while code or the rows of a new screen are loaded: a busy machine takes some."""
WAYS_OUT = frozenset({"escape", "ctrl+q", "ctrl+c"})
"""Keys that lead out of what does not come: what was typed before them waits no longer than for anything slow."""
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
    """Holds keys back. `deliver` passes one to the app as Textual would; `is_pending` says whether something slow is
    due, `is_loading` that it has not begun, because its code or what it acts on is being loaded.

    `is_own` says whether only the focused widget handles a key (a character typed, a step in a list): the widget keeps
    the order of such keys itself, so they need not wait for each other.
    """

    def __init__(
        self,
        app: App[Any],
        deliver: Callable[[KeyEvent], Awaitable[None]],
        *,
        is_own: Callable[[KeyEvent], bool],
        is_pending: Callable[[], bool],
        is_loading: Callable[[], bool],
    ) -> None:
        self._app, self._deliver, self._is_own = app, deliver, is_own
        self._is_pending, self._is_loading = is_pending, is_loading
        self._held: deque[KeyEvent] = deque()
        self._is_delivering = False

    def take(self, event: KeyEvent) -> None:
        """Accept the next key or paste from the terminal."""
        self._held.append(event)
        if not self._is_delivering:
            self._is_delivering = True
            self._app.run_worker(self._deliver_all(), group="keys")

    async def _deliver_all(self) -> None:
        try:
            while self._held:
                await self._wait_for_work()
                event = self._held.popleft()
                await self._deliver(event)
                if not (self._held and self._is_own(event) and self._is_own(self._held[0])):
                    await self._settle()
        finally:
            self._is_delivering = False

    async def _wait_for_work(self) -> None:
        """Wait for slow work, but no longer than a user would."""
        for is_due, patience in ((self._is_loading, LOADING_SECONDS), (self._is_pending, PATIENCE_SECONDS)):
            began = time.monotonic()
            while is_due() and time.monotonic() - began < (PATIENCE_SECONDS if self._wants_out() else patience):
                await asyncio.sleep(_LOOK_SECONDS)

    def _wants_out(self) -> bool:
        return any(isinstance(event, Key) and event.key in WAYS_OUT for event in self._held)

    async def _settle(self) -> None:
        """Wait until a probe sent twice along the path of a key finds empty queues and an unchanged focus."""
        calm = 0
        for _ in range(_ROUNDS):
            seen = self._route_state()
            for pump in self._route():
                await _drain(pump)
            is_calm = seen == self._route_state() and not any(pump.message_queue_size for pump in self._route())
            calm = calm + 1 if is_calm else 0
            if calm == _CALM:
                return

    def _route_state(self) -> tuple[Any, ...]:
        """What determines the path of the next key."""
        return (*self._app.screen_stack, self._app.focused) if self._app.screen_stack else ()

    def _route(self) -> Iterator[MessagePump]:
        """The path of a key: the focused widget, its ancestors, the screen, the app."""
        if self._app.screen_stack:
            yield from (self._app.focused or self._app.screen).ancestors_with_self


async def _drain(pump: MessagePump) -> None:
    """Wait until a widget has handled everything now in its queue, or is being removed."""
    handled = asyncio.Event()
    if pump.call_later(handled.set):
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await handled.wait()
        except TimeoutError:
            return
