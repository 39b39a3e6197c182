"""Questions to models from the app: one child process answers all of them, because only a child may load torch.

It knows no screen. The child ends when it is closed, and by itself when this process is gone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bertdistill.app.text.safe import safe, safe_line
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace

COMMAND = (sys.executable, "-P", "-m", "bertdistill.engine.distill.export.answer_loop")


@dataclass(frozen=True)
class Reply:
    """What a model said: `found` as `ask --json` prints it, or `error`."""

    found: Mapping[str, Any] = field(default_factory=dict)
    latency_cpu_ms: float | None = None
    error: str = ""


class AnswerProcess:
    """The child, started with the first question. Any thread may ask: questions wait for each other.

    A child that died is started again by the next question, until `close`.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = tuple(command)
        self._child: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._closed = False
        self._asked = 0

    @property
    def pid(self) -> int | None:
        """Of the child while it lives."""
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self) -> None:
        """Start the child before the first question, because it needs seconds to load what it answers with."""
        with self._turn:
            self._started()

    def ask(self, order: Mapping[str, Any]) -> Reply:
        """The answer to one order of `engine.distill.answers`. Blocks; WorkerFailed when the child dies over it."""
        with self._turn:
            child, complaints = self._started()
            self._asked += 1
            try:
                child.stdin.write(json.dumps({**order, "id": self._asked}).encode() + b"\n")  # type: ignore[union-attr]  # a pipe was asked for
                child.stdin.flush()  # type: ignore[union-attr]  # as above
                reply = json.loads(child.stdout.readline())  # type: ignore[union-attr]  # as above
            except (OSError, ValueError) as error:
                _end(child)
                raise WorkerFailed(f"the answering process ended: {_last_words(complaints)}") from error
        if "error" in reply:
            return Reply(error=str(reply["error"]))
        return Reply(reply["found"], float(reply["latency_cpu_ms"]))

    def _started(self) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        if self._closed:
            raise WorkerFailed("the screen that asked is closed")
        if self._child is None or self._child.poll() is not None:
            self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the child
            pipe = subprocess.PIPE
            self._child = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, stderr=self._complaints)
        return self._child, self._complaints

    def close(self) -> None:
        """End the child at once, also while it answers; it has nothing to lose. Nothing can be asked afterwards."""
        self._closed = True
        if self._child is not None:
            self._child.kill()
            self._child.wait()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill what said something wrong, and wait for it and its last words."""
    child.kill()
    child.wait()


def _last_words(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    lines = safe(complaints.read()[-4000:].decode("utf-8", "replace"), 4000).strip().splitlines()
    return safe_line(lines[-1], 300) if lines else "it said nothing"


@dataclass(frozen=True)
class Teacher:
    """The teacher of a study as something that can be asked. `problem` says why it cannot, empty when it can."""

    folder: Path | None = None
    null_threshold: float | None = None
    problem: str = ""


def teacher_of(ws: Workspace, facts: Prepared) -> Teacher:
    """Where the teacher lies; one in the caches of a workspace that was moved is found there."""
    if not facts.teacher_folder and facts.features:
        return Teacher(problem="the teacher of the study is a file (teacher.outputs), which knows no other texts")
    if not facts.teacher_folder:
        return Teacher(problem="the study is not prepared: it has no teacher yet")
    folder = ws.cached(facts.teacher_folder, "teachers")
    if folder is None:
        return Teacher(problem=f"the teacher's folder is gone: {facts.teacher_folder}")
    return Teacher(folder, facts.teacher_metrics.get("null_threshold"))


def order_for(folder: Path, request: Mapping[str, str], *, teacher: Teacher | None = None) -> dict[str, Any]:
    """The order for an exported model, or for the teacher of that model."""
    if teacher is None:
        return {"folder": str(folder), "request": dict(request)}
    return {
        "folder": str(teacher.folder),
        "teacher_of": str(folder),
        "null_threshold": teacher.null_threshold,
        "request": dict(request),
    }
