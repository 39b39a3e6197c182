"""What a training has used, over all of its attempts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bertdistill.engine.distill.training import meter
from bertdistill.engine.distill.training.checkpoints import Position
from bertdistill.engine.distill.training.meter import Meter

WH = 3_600_000_000


@dataclass
class Scripted:
    """A source that reads as told, and then fails."""

    values: list[int]
    limit: int = 10 * WH

    def read(self) -> int:
        if not self.values:
            raise OSError("gone")
        return self.values.pop(0)


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter, "READ_SECONDS", 0.0)


def test_energy_counts_on_over_attempts_and_rounds_of_the_counters() -> None:
    """Two sources, one of which starts again at 0."""
    before = Position(step=3, seconds=100.0, cpu_seconds=50.0, energy_wh=2.0)
    one = Meter(before, [Scripted([9 * WH, 1 * WH]), Scripted([0, 3 * WH])])
    found = one.at(Position(step=4))
    assert found.energy_wh == pytest.approx(2.0 + 2.0 + 3.0)
    assert (found.step, found.seconds >= 100.0, found.cpu_seconds >= 50.0) == (4, True, True)


def test_energy_that_was_not_counted_throughout_is_unknown() -> None:
    """No counter, one that ceases to answer, and an attempt before without one."""
    assert Meter(Position()).at(Position()).energy_wh is None
    failing = Meter(Position(), [Scripted([0, WH])])
    assert failing.at(Position()).energy_wh == 1.0
    assert failing.at(Position()).energy_wh is None
    assert Meter(Position(energy_wh=None), [Scripted([0, WH])]).at(Position()).energy_wh is None
