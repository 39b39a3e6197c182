"""What a study would cost, asked of a separate process: `engine plan` may contact a hub and must not block a screen.

It starts no study and reads nothing itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.app.text.safe import safe_line

SECONDS = 60.0
"""Timeout of a plan; a hub that does not answer takes about ten."""
MISUSE = 2
"""Exit status of `engine plan` when the study file or the data is not valid."""


@dataclass(frozen=True)
class Answer:
    """What `engine plan` reported. `planned` is its JSON, empty when it failed."""

    planned: dict[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """Errors, with their remedy, to fix before the study can run."""
    notes: tuple[str, ...] = ()
    """What is assumed or cannot be known now."""


async def ask(path: Path, changes: Sequence[str], program: Sequence[str] = (), workspace: Path | None = None) -> Answer:
    """Run `engine plan` on a study file with `--set` changes; a caller that is cancelled ends the process."""
    words = [word for change in changes for word in ("--set", change)]
    command = [*(program or (sys.executable, "-P", "-m", "bertdistill.engine")), "plan", str(path), "--json", *words]
    command += ["--workspace", str(workspace)] if workspace is not None else []
    environ = {name: value for name, value in os.environ.items() if name != "BERTDISTILL_DEBUG"}
    # Not a process of asyncio's: one that is cancelled while it starts outlives the loop, and then logs an error.
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        out, err = await asyncio.to_thread(process.communicate, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.communicate)
        return Answer(notes=(f"the plan did not finish within {SECONDS:.0f} s; sizes and steps are unknown",))
    finally:
        if process.poll() is None:
            process.kill()  # the thread that reads its streams sees their end and reaps it
    return read_answer(process.returncode, out, err)


def read_answer(status: int, out: str, err: str) -> Answer:
    """The answer in the exit status and the two streams of `engine plan`; pure."""
    errors, notes = [], []
    for line in err.splitlines():
        kind, colon, words = line.partition(": ")
        if colon and kind == "error":
            errors.append(safe_line(words, 400))
        elif colon and kind == "hint" and errors:
            errors[-1] = safe_line(f"{errors[-1]}. {words}", 600)
        elif colon and kind in ("note", "warning"):
            notes.append(safe_line(words, 400))
        elif errors and status == MISUSE and line.strip():  # an error with a line for every problem
            errors.append(safe_line(line, 400))
    if status == MISUSE:
        return Answer(
            problems=tuple(errors or ["the plan reported that the study file is not valid"]), notes=tuple(notes)
        )
    if status:
        last = errors[-1] if errors else safe_line(err.strip().splitlines()[-1] if err.strip() else f"status {status}")
        return Answer(notes=(*notes, f"sizes and steps are unknown: {last}"))
    try:
        planned = json.loads(out)
    except ValueError:
        return Answer(notes=(*notes, "sizes and steps are unknown: the output of the plan cannot be read"))
    return Answer(planned, notes=tuple(notes))
