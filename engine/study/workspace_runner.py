"""`[runner]` of workspace.toml: how the runner of a workspace starts workers, whatever the study. It starts nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.sections import unknown_keys
from bertdistill.engine.study.workspace_file import FILE, read_workspace_file


@dataclass(frozen=True)
class WorkspaceRunner:
    """`[runner]` of workspace.toml."""

    warm: bool = True
    """Keep a process with everything loaded, and fork workers from it. Linux only."""


def read_workspace_runner(workspace: Path) -> WorkspaceRunner:
    """What the file says, or the defaults without it; ConfigError with a problem a line."""
    path, table = workspace / FILE, read_workspace_file(workspace).get("runner", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: runner must be a table [runner]", hint="Correct the file.")
    problems = [str(problem) for problem in unknown_keys(table, ("warm",), "runner")]
    if "warm" in table and type(table["warm"]) is not bool:
        problems.append(f"[runner] warm = {table['warm']!r} must be true or false")
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems), hint="Correct the file.")
    return WorkspaceRunner(**table)
