"""Run a program as the worker of a trial: `python -P -m bertdistill.engine.program.worker RUN_FOLDER`.

It starts the program in spec.json with the parameters, copies what it prints to the log, reports the JSON lines in it,
passes a stop on, and says how the trial ended. It judges no parameters and opens no database. Standard library only:
one of these runs beside every program.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from bertdistill.engine.contract.events import (
    CHECKPOINT,
    ENDED,
    EXIT_CRASHED,
    EXIT_REFUSED,
    NOTICE,
    RESULT,
    STARTED,
    EventWriter,
)
from bertdistill.engine.contract.folder import RunPaths, write_json
from bertdistill.engine.contract.program import PARAMS_FILE, ProgramOrder, arguments, environment
from bertdistill.engine.contract.versions import OWN, versions
from bertdistill.engine.program.ending import Ending, Heard, ending
from bertdistill.engine.program.output import SHOWN_LAST, Lines, Said, Saved, Streamed
from bertdistill.engine.program.reported import read_reported

_READ_BYTES = 1 << 16
_DRAIN_BYTES = 1 << 24
"""So much is read after the program has ended; more comes from something that it left behind."""
_MARGIN_SECONDS = 5.0
"""The shim kills first what ignores a stop; only without a shim it is killed here."""


@dataclass
class Supervised:
    """A program that runs, and what is known of its end."""

    process: subprocess.Popen[bytes]
    order: ProgramOrder
    stopped: bool = False
    late: bool = False
    _deadline: float = field(default=float("inf"))
    _killed: bool = False

    def __post_init__(self) -> None:
        if self.order.limit_seconds > 0:
            self._deadline = time.monotonic() + self.order.limit_seconds

    def stop(self) -> None:
        """Someone asked for it. The main process alone is told: its children must outlive its checkpoint."""
        if not self.stopped:
            self.stopped = True
            self._ask(_MARGIN_SECONDS)

    def seconds_left(self) -> float | None:
        """Until `tick` has something to do; None if it will not."""
        left = self._deadline - time.monotonic()
        return None if left == float("inf") else max(left, 0.0)

    def tick(self) -> None:
        """End what takes too long: first by asking, then by force."""
        if self._killed or time.monotonic() < self._deadline:
            return
        if self.stopped or self.late:
            self._killed = True
            self._deadline = float("inf")
            self.process.kill()
            return
        self.late = True
        self._ask(0.0)

    def _ask(self, margin: float) -> None:
        self._deadline = time.monotonic() + self.order.grace_seconds + margin
        self.process.terminate()


def main(argv: list[str]) -> int:
    """Run the program of the attempt in the folder given as the only argument; returns the exit code."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -P -m bertdistill.engine.program.worker RUN_FOLDER\n")
        return 2
    paths = RunPaths(Path(argv[0]).resolve())
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            asked.append(number)

    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, note)
    order = ProgramOrder.read(paths.spec)
    events = EventWriter(paths.events)
    events.moves = order.paths
    try:
        process = _start(order, paths)
    except OSError as error:
        return _refuse(events, order, error)
    events.emit(STARTED, pid=process.pid, params=len(order.params), versions=versions((OWN,)))
    supervised, said = Supervised(process, order), Said(order.objectives)
    _follow(supervised, said, asked, reading, events, paths)
    events.close()
    return _finish(paths, supervised, said)


def _start(order: ProgramOrder, paths: RunPaths) -> subprocess.Popen[bytes]:
    parameters = paths.folder / PARAMS_FILE
    write_json(parameters, dict(order.params))
    return subprocess.Popen(
        arguments(order.command, order.params, str(parameters)),
        cwd=order.directory,
        env={**os.environ, **environment(order, paths.folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        close_fds=False,  # it must hold the lock of the folder: free means that nothing of the attempt runs
        bufsize=0,
    )


def _refuse(events: EventWriter, order: ProgramOrder, error: OSError) -> int:
    """No trial can start it: the runner does not retry."""
    name = order.directory if error.filename == order.directory else order.command[0]
    detail = f"{name} cannot be started in {order.directory}: {error.strerror}; correct [program] of the study file"
    events.emit(NOTICE, level="error", text=detail)
    events.emit(ENDED, status="refused", reason="refused", detail=detail)
    events.close()
    return EXIT_REFUSED


def _follow(
    supervised: Supervised, said: Said, asked: list[int], wake: int, events: EventWriter, paths: RunPaths
) -> None:
    """Until the main process has ended: copy, report, pass on. What it left behind does not keep it."""
    output, lines = supervised.process.stdout, Lines()
    assert output is not None
    os.set_blocking(output.fileno(), False)

    def hear(data: bytes) -> None:
        for line in lines.feed(data):
            _take(line, said, events, paths, supervised.order)

    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while supervised.process.poll() is None:
            if asked:
                supervised.stop()
            supervised.tick()
            for key, _ in selector.select(supervised.seconds_left()):
                if key.fd == wake:
                    os.read(wake, 512)
                elif data := _read(output):
                    hear(data)
                else:
                    selector.unregister(output)  # it closed its output and works on
    drained = 0
    while drained < _DRAIN_BYTES and (data := _read(output)):
        drained += len(data)
        hear(data)
    for line in lines.end():
        _take(line, said, events, paths, supervised.order)


def _read(output: IO[bytes]) -> bytes:
    try:
        return os.read(output.fileno(), _READ_BYTES)
    except BlockingIOError:
        return b""


def _take(line: bytes, said: Said, events: EventWriter, paths: RunPaths, order: ProgramOrder) -> None:
    """One line to the log, and what it says to the events. A full disk must not end the program."""
    try:
        os.write(1, line)
        for one in said.hear(line):
            if isinstance(one, Streamed):
                events.metrics(one.step, dict(one.values))
            else:
                _save(one, events, paths, order)
    except OSError:
        pass  # the next line is tried again


def _save(saved: Saved, events: EventWriter, paths: RunPaths, order: ProgramOrder) -> None:
    """Inside the run folder it is a checkpoint of the trial; elsewhere only its place is noted."""
    try:
        place = Path(order.directory, saved.folder).resolve()
        inside = place.is_relative_to(paths.folder) and place.is_dir()
        size = sum(one.stat().st_size for one in place.rglob("*") if one.is_file()) if inside else 0
    except (OSError, ValueError, RuntimeError):  # a null byte, a lone surrogate, a loop of links
        named = json.dumps({"checkpoint": saved.folder[:SHOWN_LAST], "step": saved.step})
        events.emit(NOTICE, level="warning", text=f"The line {named} does not name a folder that can be read")
        return
    if not inside:
        events.emit(NOTICE, level="info", text=f"Checkpoint of step {saved.step}: {place}")
        return
    role = "best" if saved.best else "last"
    found = {"step": saved.step, "folder": str(place), "sha256": "", "size_bytes": size, "metrics": {}}
    events.emit(CHECKPOINT, role=role, **found)


def _finish(paths: RunPaths, supervised: Supervised, said: Said) -> int:
    """Say how it ended, and exit as the program did, so that the shim classifies its end and not ours."""
    code, order = supervised.process.returncode, supervised.order
    reported = read_reported(paths.events, order.objectives)
    word = {name: str(reported.ended.get(name, "")) for name in ("status", "reason", "detail")}
    if said.infeasible is not None:
        word = {"status": "infeasible", "reason": "", "detail": said.infeasible}
    heard = Heard(
        code=code if code >= 0 else None,
        final={**said.final, **reported.result},
        logged=reported.logged,
        stopped=supervised.stopped,
        late=supervised.late,
        printed=said.last,
        **word,
    )
    found = ending(heard, order.objectives, limit=f"{order.limit_seconds / 60:g} minutes")
    _say(EventWriter(paths.events), found, reported.last)
    if found.code is None:
        _die_of(-code)
    return EXIT_CRASHED if found.code is None else found.code


def _say(events: EventWriter, found: Ending, last: object) -> None:
    """A new writer, because the program may have been killed within a line."""
    if found.status == "complete" and isinstance(last, dict):
        kept = {name: last[name] for name in ("step", "folder", "sha256", "size_bytes", "metrics")}
        events.emit(CHECKPOINT, role="best", **kept)  # otherwise a finished trial would keep none
    if found.metrics:
        events.emit(RESULT, metrics=dict(found.metrics))
    if found.status:
        events.emit(ENDED, status=found.status, reason=found.reason, detail=found.detail[:2000])
    events.close()


def _die_of(number: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program has left its own
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
