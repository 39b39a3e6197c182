"""Whether the disk has room for a study."""

from __future__ import annotations

import pytest

from bertdistill.app.views.disk_plan import room_words, shortage

DISK = {"caches": 1_000_000_000, "preparing": None, "checkpoints": 4_000_000_000}


@pytest.mark.parametrize(
    ("free", "limit", "words"),
    [
        (None, 2.0, ""),
        (8e9, 2.0, ""),
        (6e9, 2.0, "the disk may get too full: it needs up to 5.0 GB, and 4.0 GB can be used"),
        (
            1e9,
            2.0,
            "only 1.0 GB of the disk are free and runner.min_free_gb keeps 2.0 GB free, so it would pause at once",
        ),
    ],
)
def test_a_study_that_needs_more_than_there_is(free: float | None, limit: float, words: str) -> None:
    """Before it starts, and not when it pauses."""
    assert words == shortage(DISK, None if free is None else int(free), limit)


def test_what_is_free_stands_beside_what_is_needed() -> None:
    assert "; 8.0 GB are free, 2.0 GB of them stay free (runner.min_free_gb)" == room_words(8_000_000_000, 2.0)
    assert "; 8.0 GB are free" == room_words(8_000_000_000, 0.0)
    assert not room_words(None, 2.0)
