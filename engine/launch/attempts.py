"""The run folder for launchers on this machine: they claim its lock and read how the attempt ended from exit.json.

It starts and signals nothing. A worker may have written anything into its folder, so every type is checked before use.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.folder import RunPaths, read_object
from bertdistill.engine.launch import process, shim
from bertdistill.engine.launch.protocol import Exit, Handle

_KIND = re.compile(r"[a-z0-9_]{1,64}")
_LARGEST = 2**31


def claim(paths: RunPaths) -> int:
    """Take the lock of an attempt that has never run; LaunchError otherwise."""
    try:
        lock = process.try_lock(paths.lock)
    except OSError as error:
        raise LaunchError(
            f"cannot lock {paths.lock}: {error.strerror}", hint="Check the folder and the free disk space."
        ) from error
    if lock is None or paths.exit.exists():
        if lock is not None:
            os.close(lock)
        raise LaunchError(f"{paths.folder}: this attempt runs or has ended", hint="Start a new attempt instead.")
    return lock


def read_exit(paths: RunPaths, handle: Handle) -> Exit:
    """How an attempt without running processes ended: as in its exit.json, else lost, with the reason if known.

    An attempt without handle and state.json never had a worker: the runner died while starting it.
    """
    if found := _recorded(read_object(paths.exit)):
        return found
    state = read_object(paths.state)
    kind = "lost"
    if handle == Handle() and not state:
        kind = "never_started"
    elif state.get("host") == process.host() and state.get("boot_id") != process.boot_id():
        kind = "machine_restarted"
    return Exit(kind, log_tail=shim.log_tail(str(paths.log)), ended_at=_last_sign(paths))


def _recorded(raw: Mapping[str, Any]) -> Exit | None:
    """The content of exit.json; None if it is missing or cannot have been written by a shim."""
    kind, tail, at = raw.get("kind"), raw.get("log_tail", ""), _number(raw.get("ended_at"))
    if not isinstance(kind, str) or not _KIND.fullmatch(kind) or not isinstance(tail, str) or at is None:
        return None
    code, number, seconds = (_number(raw.get(name)) for name in ("code", "signal", "seconds"))
    return Exit(
        kind,
        code=None if code is None else int(code),
        signal=None if number is None else int(number),
        max_rss_mb=_number(raw.get("max_rss_mb")),
        log_tail=tail[-shim.TAIL_BYTES :].encode("utf-8", "replace").decode(),
        ended_at=at,
        seconds=None if seconds is None else max(0.0, seconds),
    )


def _number(value: Any) -> float | None:
    """A finite number that fits a column; None for anything else."""
    fit = type(value) in (int, float) and -_LARGEST * _LARGEST < value < _LARGEST * _LARGEST and math.isfinite(value)
    return value if fit else None


def _last_sign(paths: RunPaths) -> float:
    times = [path.lstat().st_mtime for path in (paths.events, paths.log, paths.state, paths.spec) if path.exists()]
    return max(times, default=time.time())
