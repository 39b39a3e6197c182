"""The disk that a study will take: every cache counted, or said to be unknown."""

from __future__ import annotations

from typing import Any

from bertdistill.app.views.disk_plan import caches_words, disk_bytes

QA: dict[str, Any] = {
    "tokens": 1_000_000.0,
    "examples": 4000,
    "spans": True,
    "labels": 2,
    "teacher_params": 110_000_000,
    "student_params": 10_000_000,
    "trials": 40,
    "slots": 2,
}


def test_the_teacher_is_the_largest_part() -> None:
    """Its weights in fp32, its logits in fp16, and four times the weights while it is trained."""
    found = disk_bytes(**QA)
    assert (440_000_000, 4_000_000, 11_000_000) == (found["teacher"], found["outputs"], found["features"])
    assert (455_000_000, 1_760_000_000) == (found["caches"], found["preparing"])
    assert 4 * 10_000_000 * 46 == found["checkpoints"]
    words = "about 455 MB: teacher 440 MB, its outputs 4.0 MB, tokens 11.0 MB; 1.8 GB more while it is trained"
    assert words == caches_words(found, "unknown")


def test_what_pruning_keeps_beside_a_last_checkpoint_is_counted() -> None:
    """In every slot."""
    assert (4 * 46 + 17 * 2) * 10_000_000 == disk_bytes(**QA, pass_bytes=17)["checkpoints"]


def test_labels_take_a_logit_an_example() -> None:
    """Not one a token."""
    assert 2 * 3 * 4000 == disk_bytes(**QA | {"spans": False, "labels": 3})["outputs"]


def test_what_is_unknown_makes_the_sum_unknown() -> None:
    """A teacher that is taken as it is takes nothing."""
    assert "unknown" == caches_words(disk_bytes(**QA | {"teacher_params": None}), "unknown")
    assert None is disk_bytes(**QA | {"tokens": None})["caches"]
    assert "while it is trained" not in caches_words(disk_bytes(**QA | {"teacher_params": 0}), "unknown")


def test_the_states_of_the_teacher_are_counted() -> None:
    """Unknown ones make the sum unknown."""
    found = disk_bytes(**QA, states=2_000_000_000)
    assert 2_455_000_000 == found["caches"]
    assert "its outputs 4.0 MB, its states 2.0 GB, tokens" in caches_words(found, "unknown")
    assert "unknown" == caches_words(disk_bytes(**QA, states=None), "unknown")
