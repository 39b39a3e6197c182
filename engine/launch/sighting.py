"""What was last seen of a machine: `machines/NAME.json` in the workspace, written by the runner, read by everyone.

Whoever shows machines connects to none of them. It decides nothing.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.folder import read_object
from bertdistill.engine.launch.load import GpuLoad, Load


@dataclass(frozen=True)
class Sighting:
    """One machine. `hello` and `look` are the agent's answers of that name; empty before it answered."""

    name: str
    answered_at: float = 0.0
    """Unix seconds of the runner's clock."""
    problem: str = ""
    """Why it cannot be used; empty if it can."""
    hello: Mapping[str, Any] = field(default_factory=dict)
    look: Mapping[str, Any] = field(default_factory=dict)
    sending: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Bytes sent, and to be sent, by the attempt that waits for them."""

    @staticmethod
    def read(workspace: Path, name: str) -> Sighting:
        """The last one; an empty one if there is none."""
        raw = read_object(_path(workspace, name))
        known = {one.name for one in dataclasses.fields(Sighting)} - {"name"}
        types = {"answered_at": (int, float), "problem": str, "hello": dict, "look": dict, "sending": dict}
        values = {key: value for key, value in raw.items() if key in known and isinstance(value, types[key])}  # type: ignore[arg-type]  # a table of types
        return Sighting(name, **values)

    def updated(self, **news: Any) -> Sighting:
        """With these values."""
        return dataclasses.replace(self, **news)

    def write(self, workspace: Path) -> None:
        path = _path(workspace, self.name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        temporary.replace(path)  # not synced: it is out of date in seconds

    @property
    def cores(self) -> int:
        return int(self.hello.get("cores", 0))

    @property
    def gpus(self) -> list[str]:
        """UUIDs of its GPUs."""
        return [str(one) for one in self.hello.get("gpus", ())]

    @property
    def load(self) -> Load | None:
        """Its load; None before it answered."""
        raw = self.look.get("load")
        if not isinstance(raw, Mapping):
            return None
        gpus = tuple(GpuLoad(**{**one, "used_by": {}}) for one in raw["gpus"])
        return Load(raw["cpu_percent"], raw["cores"], raw["memory_used"], raw["memory_total"], gpus)


def _path(workspace: Path, name: str) -> Path:
    return workspace / "machines" / f"{name}.json"
