"""What a transfer set brought."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.engine.analysis.outcomes import Outcome
from bertdistill.engine.analysis.transfer import TransferGain, transfer_gain


def trial(share: float, accuracy: float | None, *, complete: bool = True, **settings: Any) -> Outcome:
    return Outcome(
        0,
        {},
        {"accuracy": accuracy},
        {"alpha": 0.5, "transfer_share": share, "layer_list": [1], **settings},
        complete=complete,
    )


def test_equal_students_are_compared_first() -> None:
    """Trials without a partner do not count; several partners are averaged."""
    trials = [
        *(trial(0.0, 80.0, seed=1), trial(0.5, 81.0, seed=1), trial(0.7, 83.0, seed=1)),
        *(trial(0.0, 79.0, seed=2), trial(0.5, 80.0, seed=2)),
        *(trial(0.5, 99.0, seed=3), trial(0.0, None, seed=3), trial(0.0, 10.0, seed=3, complete=False)),
    ]
    found = transfer_gain(trials, "accuracy")
    assert found is not None
    assert (2, 3, 2) == (found.pairs, found.trials_with, found.trials_without)
    assert (pytest.approx(1.5), pytest.approx(0.7071, abs=1e-4)) == (found.difference, found.spread)


def test_without_equal_students_the_means_are_compared() -> None:
    found = transfer_gain([trial(0.0, 80.0, seed=1), trial(0.5, 82.0, seed=2), trial(0.5, 83.0, seed=3)], "accuracy")
    assert TransferGain("accuracy", 82.5, 80.0, 2, 1, 0, 2.5, None) == found


def test_trials_that_ignore_the_teacher_do_not_count() -> None:
    """Nothing else labels the transfer set, so with alpha 0 the share changes nothing."""
    plain = [trial(share, 50.0 + 20 * share, alpha=0.0) for share in (0.0, 0.5)]
    assert transfer_gain(plain, "accuracy") is None
    found = transfer_gain([*plain, trial(0.0, 80.0), trial(0.5, 81.0)], "accuracy")
    assert found is not None
    assert (1, 1.0) == (found.pairs, found.difference)


@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.5, 0.5), ()])
def test_one_kind_of_trials_says_nothing(shares: tuple[float, ...]) -> None:
    assert transfer_gain([trial(share, 80.0) for share in shares], "accuracy") is None
