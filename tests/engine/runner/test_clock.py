"""Time that never goes back, whatever people and network time do to the machine's clock."""

from __future__ import annotations

from bertdistill.engine.runner.clock import Clock


class Hands:
    """Two clocks that are set by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = 1000.0, 5.0
        self.clock = Clock(lambda: self.wall, lambda: self.steady)

    def after(self, seconds: float, *, jump: float = 0.0) -> float:
        self.steady += seconds
        self.wall += seconds + jump
        return self.clock.now()


def test_it_follows_the_wall_clock() -> None:
    """Also over a sleep of the machine, in which the steady one stands still."""
    hands = Hands()
    assert [1000.0, 1002.0, 5002.0] == [hands.clock.now(), hands.after(2), hands.after(0, jump=4000)]


def test_a_jump_back_is_not_followed() -> None:
    """Time continues from where it was, every moment later than the one before, until the wall clock catches up."""
    hands = Hands()
    seen = [hands.clock.now(), hands.after(1, jump=-500), hands.after(2), hands.after(0), hands.after(0, jump=+1000)]
    assert [1000.0, 1001.0, 1003.0] == seen[:3]
    assert seen[3] > 1003.0
    assert seen[4] == hands.wall


def test_it_continues_behind_the_record() -> None:
    """A runner that starts on a machine whose clock was set back orders its ends behind those before."""
    hands = Hands()
    hands.clock.not_before(9000.0)
    assert 9001.0 == hands.after(1)
    hands.clock.not_before(10.0)
    assert hands.after(1) > 9001.0
