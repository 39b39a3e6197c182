"""What is worth a bell or a desktop notification between two looks at the studies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RUNNING = "running"


@dataclass(frozen=True)
class Glance:
    """A study as far as alerts need it."""

    state: str
    failed: int = 0
    """Trials that failed for good."""


def alerts(before: Mapping[str, Glance], after: Mapping[str, Glance]) -> list[str]:
    """A sentence for each study that no longer runs and each that has more failed trials; by name.

    A study that was not there before says nothing: it may have ended long ago.
    """
    found = []
    for name, now in after.items():
        was = before.get(name)
        if was is None:
            continue
        if was.state == RUNNING != now.state:
            found.append(f"study {name} is {now.state}")
        if (more := now.failed - was.failed) > 0:
            found.append(f"{more} more trial{'s' * (more > 1)} of study {name} failed")
    return found
