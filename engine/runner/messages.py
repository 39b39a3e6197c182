"""Tells a command or a webhook about events, in a thread of its own: no round of the runner waits for it.

A message is sent once or not at all: who queues it has filed that it is sent, and nothing is tried again. Addresses and
arguments may hold secrets, so the log names only the program or the host, and of an error only its kind.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bertdistill.engine.study.notify_section import NotifySection

log = logging.getLogger("bertdistill.runner")
WAITING = 1_000
"""Messages that are queued at most; more are dropped, and the log says so."""
PATIENCE_SECONDS = 15.0
"""How long a runner that exits waits for messages that are being sent."""

Payload = Mapping[str, Any]


@dataclass
class Messenger:
    """Sends messages one after the other. The thread starts with the first one."""

    folder: Path
    """Where commands run."""
    _queue: queue.Queue[tuple[NotifySection, Payload] | None] = field(default_factory=lambda: queue.Queue(WAITING))
    _thread: threading.Thread | None = None
    _troubled: set[str] = field(default_factory=set)
    """What failed the last time, so that it is logged once."""

    def send(self, to: NotifySection, payload: Payload) -> None:
        """Queue a message; never blocks."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="messages", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait((to, payload))
        except queue.Full:
            self._trouble("messages", f"more than {WAITING} are waiting; new ones are dropped")

    def close(self, patience_s: float = PATIENCE_SECONDS) -> None:
        """Wait for what is queued, but not for long."""
        if self._thread is not None:
            with suppress(queue.Full):
                self._queue.put_nowait(None)
            self._thread.join(patience_s)
            self._thread = None

    def _work(self) -> None:
        while (message := self._queue.get()) is not None:
            to, payload = message
            if to.command:
                self._report(f"command {Path(to.command[0]).name}", run_command(to, payload, self.folder))
            if to.webhook:
                self._report(f"webhook at {urlsplit(to.webhook).hostname}", post(to, payload))

    def _report(self, what: str, problem: str) -> None:
        if problem:
            self._trouble(what, problem)
        else:
            self._troubled.discard(what)

    def _trouble(self, what: str, problem: str) -> None:
        if what not in self._troubled:
            self._troubled.add(what)
            log.warning("[notify] %s: %s; said once until it works again", what, problem)


def run_command(to: NotifySection, payload: Payload, folder: Path) -> str:
    """Run the command with the message as its input; what went wrong, else empty. It is killed after the timeout, with
    what it started."""
    trial = payload.get("trial")
    said = {"event": payload["event"], "study": payload["study"], "text": payload["text"]}
    said["trial"] = "" if trial is None else str(trial)
    variables = {f"BERTDISTILL_{name.upper()}": text.replace("\0", "") for name, text in said.items()}
    try:
        child = subprocess.Popen(
            to.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=os.environ | variables,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"cannot be started: {_kind(error)}"
    try:
        child.communicate(json.dumps(payload).encode(), timeout=to.timeout)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return f"killed after {to.timeout:g} s"
    except OSError as error:  # it did not read its input and was gone
        child.wait()
        return f"did not read its input: {_kind(error)}"
    return f"exit status {child.returncode}" if child.returncode else ""


def post(to: NotifySection, payload: Payload) -> str:
    """Post the message as JSON; what went wrong, else empty. Redirects are not followed: they may lead anywhere."""
    request = urllib.request.Request(
        to.webhook,
        data=json.dumps(payload).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "bertdistill-tui"},
        method="POST",
    )
    began = time.monotonic()
    try:
        with _OPENER.open(request, timeout=to.timeout) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        error.close()
        return f"answered with status {error.code}"
    except (OSError, ValueError) as error:
        waited = time.monotonic() - began
        return f"not reached after {waited:.0f} s: {_kind(getattr(error, 'reason', error))}"
    except Exception as error:  # noqa: BLE001 - http.client has errors of its own, and a thread must not end with one
        return f"not a proper answer: {type(error).__name__}"
    return ""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect())


def _kind(error: object) -> str:
    """The kind of an error, without what it says: that may repeat an address or an argument."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__
