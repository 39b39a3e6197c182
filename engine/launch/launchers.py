"""The available launchers by name, and the only place where a launcher is created. It runs nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError, LaunchError
from bertdistill.engine.launch import warm
from bertdistill.engine.launch.inline import InlineLauncher
from bertdistill.engine.launch.local import WORKER_MODULE, LocalLauncher
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.launch.slurm import SlurmLauncher
from bertdistill.engine.study.workspace_runner import WorkspaceRunner, read_workspace_runner

log = logging.getLogger("bertdistill.runner")

VARIABLE = "BERTDISTILL_LAUNCHER"
"""Name of the launcher to use instead of `local`."""

LAUNCHERS: dict[str, Callable[[Mapping[str, str]], Launcher]] = {
    "local": lambda environ: LocalLauncher(environ=environ),
    "inline": lambda environ: InlineLauncher(),
    "slurm": lambda environ: SlurmLauncher(environ),
}
"""From a name to a launcher for an environment."""


def make_launcher(environ: Mapping[str, str] | None = None) -> Launcher:
    """The launcher that the environment (default: of this process) selects; LaunchError if it does not exist."""
    chosen = dict(os.environ) if environ is None else environ
    name = chosen.get(VARIABLE) or "local"
    if name not in LAUNCHERS:
        raise LaunchError(f"{VARIABLE}={name}: no such launcher", hint=f"Use one of: {', '.join(LAUNCHERS)}.")
    return LAUNCHERS[name](chosen)


def runner_launcher(workspace: Path, environ: Mapping[str, str] | None = None) -> Launcher:
    """The same for the runner of a workspace, which starts so many workers that it keeps one loaded."""
    launcher = make_launcher(environ)
    if isinstance(launcher, LocalLauncher) and warm.supported() and _read(workspace).warm:
        return replace(launcher, warm=warm.Warm(WORKER_MODULE))
    return launcher


def _read(workspace: Path) -> WorkspaceRunner:
    try:
        return read_workspace_runner(workspace)
    except ConfigError as error:
        log.warning("%s %s", error, error.hint)
        return WorkspaceRunner()
