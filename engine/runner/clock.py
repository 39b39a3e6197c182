"""The runner's two clocks: Unix time that never goes backwards, and monotonic seconds. It does not sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_TICK = 1e-6
"""Seconds between one moment and the next; Unix time in a float resolves 2.4e-7."""


@dataclass
class Clock:
    """`steady` stops while the machine sleeps. `wall` is what the machine believes, and may jump."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    _last: tuple[float, float] | None = None
    """The newest moment given out, and when that was by `steady`."""

    def now(self) -> float:
        """Unix time for the record, later than any moment before it: what ends later is later in every list.

        After a jump back it continues from where it was, until the wall clock has caught up.
        """
        moment, steady = self.wall(), self.steady()
        if self._last is not None:
            before, at = self._last
            moment = max(moment, before + max(steady - at, _TICK))
        self._last = (moment, steady)
        return moment

    def not_before(self, moment: float) -> None:
        """Continue behind a moment of the record, which an earlier runner wrote."""
        if self._last is None or self._last[0] < moment:
            self._last = (moment, self.steady())
