"""The available launchers by name, and the only place where a launcher is created. It runs nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.launch.inline import InlineLauncher
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.protocol import Launcher
from bertdistill.engine.launch.slurm import SlurmLauncher

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
