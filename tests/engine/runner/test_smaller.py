"""What a trial that ran out of memory gets once."""

from __future__ import annotations

import dataclasses

import pytest

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.runner.smaller import can_halve, halved, since_halved, words


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([], None),
        (["crashed", "host_oom"], None),
        (["crashed", "host_oom", "host_oom"], 3),
        (["host_oom", "crashed", "host_oom"], None),  # the last one did not run alone
        (["cuda_oom"], 1),
        (["lost", "cuda_oom", "host_oom", ""], 2),
    ],
)
def test_a_full_gpu_or_main_memory_that_is_full_without_neighbours(ends: list[str], expected: int | None) -> None:
    assert since_halved(ends) == expected


def test_a_step_is_of_as_many_examples() -> None:
    settings = dataclasses.asdict(Settings(batch_size=16, accumulation=2))
    found = Settings(**halved(settings))
    assert (found.batch_size, found.accumulation) == (8, 4)
    assert words(settings) == "batch_size = 8 and accumulation = 4 instead of 16 and 2"


def test_what_has_no_batch_cannot_be_halved() -> None:
    """One example, a family that is fitted as a whole, the parameters of a program."""
    given = [Settings(batch_size=2), Settings(batch_size=1), Settings(family="linear")]
    assert [True, False, False] == [can_halve(dataclasses.asdict(one)) for one in given]
    assert not can_halve({"batch_size": 64})
