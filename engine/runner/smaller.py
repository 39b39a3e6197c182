"""What a trial that ran out of memory gets once: half the batch and twice the accumulation, so about equal steps.

Pure. That it is so follows from how the trial's attempts ended, so a restarted runner decides the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.runner.rules import CUDA_OOM, HOST_OOM

BATCH, ACCUMULATION = "batch_size", "accumulation"


def since_halved(ends: Sequence[str]) -> int | None:
    """Of the classes of a trial's ends, oldest first, the number of those before its batch was halved; None if it has
    its own batch: a GPU's memory was not enough once, or main memory twice in a row, the second time with nothing
    beside it.
    """
    for number, (before, end) in enumerate(zip(["", *ends], ends, strict=False), start=1):
        if end == CUDA_OOM or before == end == HOST_OOM:
            return number
    return None


def can_halve(settings: Mapping[str, Any]) -> bool:
    """Whether these settings of a distillation have a batch to halve."""
    family = FAMILIES.get(str(settings.get("family")))
    return family is not None and BATCH in family.settings and int(settings.get(BATCH, 1)) >= 2


def halved(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same with half the batch and twice the accumulation."""
    return {**settings, BATCH: int(settings[BATCH]) // 2, ACCUMULATION: 2 * int(settings.get(ACCUMULATION, 1))}


def words(settings: Mapping[str, Any]) -> str:
    """`batch_size = 8 and accumulation = 4 instead of 16 and 2`."""
    now = halved(settings)
    before = f"{settings[BATCH]} and {settings.get(ACCUMULATION, 1)}"
    return f"{BATCH} = {now[BATCH]} and {ACCUMULATION} = {now[ACCUMULATION]} instead of {before}"
