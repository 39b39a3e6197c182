"""workspace.toml, the settings of a workspace: reads and rewrites the file as a whole, whoever a key belongs to.

It checks the names of the keys only: `launch.machines` reads `id` and `[machines]`, `study.notify_section` `[notify]`,
`study.workspace_runner` `[runner]`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.sections import unknown_keys
from bertdistill.engine.study.study_text import read_toml, write_toml

FILE = "workspace.toml"
KEYS = ("id", "machines", "notify", "runner")


def read_workspace_file(workspace: Path) -> dict[str, Any]:
    """The tables of the file, none without one; ConfigError names the file and each unknown key."""
    path = workspace / FILE
    if not path.exists():
        return {}
    raw = read_toml(path)
    if problems := unknown_keys(raw, KEYS, ""):
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems), hint="Correct the file.")
    return raw


def change_workspace_file(workspace: Path, changes: Mapping[str, Any]) -> None:
    """Replace some keys and keep the others. Comments are lost."""
    text = write_toml({**read_workspace_file(workspace), **changes})
    temporary = workspace / f".{FILE}.{os.getpid()}"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(workspace / FILE)
