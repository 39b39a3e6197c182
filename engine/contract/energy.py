"""Counters of energy that Linux offers for the processors of a machine (RAPL). It reads files and estimates nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
MICROJOULES_PER_WH = 3.6e9


@dataclass(frozen=True)
class Counter:
    """Of one processor package, in microjoules; it starts again at 0 after `limit`."""

    file: Path
    limit: int

    def read(self) -> int:
        """OSError or ValueError if that is not possible."""
        return int(self.file.read_text(encoding="ascii"))


def counters(root: Path = POWERCAP) -> tuple[tuple[Counter, ...], str]:
    """Those that can be read, and why there are none."""
    found, reason = [], f"{root} has no processor packages"
    for folder in sorted(root.glob("intel-rapl:*")):
        if folder.name.count(":") != 1:  # a part of a package, which is in the package's count
            continue
        try:
            counter = Counter(folder / "energy_uj", int((folder / "max_energy_range_uj").read_text(encoding="ascii")))
            counter.read()
        except (OSError, ValueError) as error:
            reason = f"{folder / 'energy_uj'} cannot be read: {getattr(error, 'strerror', None) or error}"
            continue
        found.append(counter)
    return tuple(found), "" if found else reason
