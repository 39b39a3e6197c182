"""A run that a training program logs itself: where its folder is, and what is known of it before its first metric.

The program that logs it (`engine.interchange.log`) and the process that stores it (`engine.runner.logged`) agree on
this. Standard library only; it reads and writes no events.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.names import name_problem

NAME = "_logged"
ROOT = f"runs/{NAME}"
"""Folder of all logged runs, relative to the workspace. No study can have that name."""
LOCK = ".lock"
"""In that folder: held by the process that stores logged runs."""
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
LONGEST_TEXT = 500
MOST_PARAMS = 1000
DIRECTIONS = ("maximize", "minimize")

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class LoggedRun:
    """The spec.json of a logged run, once for each process that logs it."""

    study: str
    run: str
    """Names the run in its study; a process that resumes it gives the same one."""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    objectives: tuple[Mapping[str, Any], ...] = ()
    """As in a study file: metric, direction and perhaps a threshold. Empty: keep those of the study."""
    note: str = ""
    tags: tuple[str, ...] = ()
    started_at: float = 0.0
    """Unix time."""

    @property
    def folder_name(self) -> str:
        """Name of the folder in ROOT: it sorts by the time of the start within one run."""
        return f"{prefix(self.study, self.run)}{int(self.started_at * 1000)}"


def prefix(study: str, run: str) -> str:
    """What the names of all folders of a run begin with. So may those of another: names of studies contain dots."""
    return f"{study}.{run}."


def is_of(folder_name: str, study: str, run: str) -> bool:
    """Whether that is the name of a folder of this run."""
    before = prefix(study, run)
    return folder_name.startswith(before) and folder_name[len(before) :].isdecimal()


def logged_root(workspace: Path) -> Path:
    """The folder of all logged runs."""
    return workspace / ROOT


def parse_logged(raw: Mapping[str, Any]) -> LoggedRun | None:
    """A spec.json that was read; None if it is not that of a logged run. What cannot be stored of it is left out."""
    study, run, started = raw.get("study"), raw.get("run"), raw.get("started_at", -1)
    if not isinstance(study, str) or name_problem(study) or not isinstance(run, str) or not RUN_ID.fullmatch(run):
        return None
    if not isinstance(started, (int, float)) or not 0 <= started < 2**40:
        return None
    params, objectives, tags, note = (raw.get(name) for name in ("params", "objectives", "tags", "note"))
    return LoggedRun(
        study,
        run,
        scalars(params) if isinstance(params, Mapping) else {},
        tuple(one for one in objectives if isinstance(one, dict)) if isinstance(objectives, list) else (),
        _text(note) if isinstance(note, str) else "",
        tuple(_text(one) for one in tags if isinstance(one, str)) if isinstance(tags, list) else (),
        float(started),
    )


def scalars(values: Mapping[Any, Any], above: str = "") -> dict[str, Scalar]:
    """Parameters as flat JSON values: a nested mapping becomes dotted names, anything else unknown becomes text."""
    found: dict[str, Scalar] = {}
    for key, value in values.items():
        name = _text(f"{above}{key}")
        value = value.value if isinstance(value, Enum) else value
        if isinstance(value, Mapping):
            found |= scalars(value, f"{name}.")
        elif value is None or type(value) in (bool, int):
            found[name] = value
        elif isinstance(value, float):
            found[name] = float(value) if value - value == 0 else str(value)
        else:
            found[name] = _text(str(value))
    return dict(list(found.items())[:MOST_PARAMS])


def _text(text: str) -> str:
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode("utf-8")
