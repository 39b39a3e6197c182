"""Commands and webhooks are real: a child process, and a server on this machine."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from bertdistill.engine.runner.messages import Messenger, post, run_command
from bertdistill.engine.study.notify_section import NotifySection

MESSAGE = {"event": "study-complete", "study": "toy", "trial": None, "text": "done\0", "at": 1.0}
COPY = "import os,sys; open('got','w').write(os.environ['BERTDISTILL_EVENT'] + ' ' + sys.stdin.read())"


class Hook(BaseHTTPRequestHandler):
    """Keeps what is posted; answers as the path says, or not at all."""

    got: list[tuple[str, dict[str, object]]]
    silent: threading.Event

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((self.path, json.loads(body)))
        if self.path == "/silent":
            self.silent.wait(30)
        status = int(self.path[1:]) if self.path[1:].isdigit() else 204
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[tuple[str, type[Hook]]]:
    """The address of a server, and what it got."""
    kind = type("Own", (Hook,), {"got": [], "silent": threading.Event()})
    server = HTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", kind
    kind.silent.set()
    server.shutdown()
    server.server_close()
    thread.join()


def command(code: str, **more: float) -> NotifySection:
    return NotifySection(command=[sys.executable, "-I", "-S", "-c", code], **more)  # type: ignore[arg-type]  # timeout


def test_a_command_gets_the_message(tmp_path: Path) -> None:
    """As JSON on its input; the event also in its environment."""
    assert "" == run_command(command(COPY), MESSAGE, tmp_path)
    event, _, text = (tmp_path / "got").read_text().partition(" ")
    assert ("study-complete", MESSAGE) == (event, json.loads(text))


@pytest.mark.parametrize(
    ("to", "problem"),
    [
        (command("raise SystemExit(3)"), "exit status 3"),
        (command("import time; time.sleep(60)", timeout=0.3), "killed after 0.3 s"),
        (NotifySection(command=["/nowhere/tell", "token-123"]), "cannot be started: No such file or directory"),
        (NotifySection(command=["a\0b"]), "cannot be started: ValueError"),
    ],
)
def test_a_command_that_fails_is_described_without_its_arguments(
    to: NotifySection, problem: str, tmp_path: Path
) -> None:
    """They may hold a secret."""
    assert problem == run_command(to, MESSAGE, tmp_path)


def test_a_webhook_gets_the_message(hook: tuple[str, type[Hook]]) -> None:
    """As JSON; a redirect is not followed."""
    address, kind = hook
    assert "" == post(NotifySection(webhook=f"{address}/x"), MESSAGE)
    assert [("/x", MESSAGE)] == kind.got
    assert "answered with status 500" == post(NotifySection(webhook=f"{address}/500"), MESSAGE)
    assert "answered with status 302" == post(NotifySection(webhook=f"{address}/302"), MESSAGE)
    assert "/elsewhere" not in {path for path, _ in kind.got}
    silent = post(NotifySection(webhook=f"{address}/silent", timeout=0.2), MESSAGE)
    assert silent.endswith(("TimeoutError", "timed out"))
    assert "not reached" in post(NotifySection(webhook="http://127.0.0.1:1/token-123"), MESSAGE)


def test_sending_never_waits_and_errors_are_logged_once(
    hook: tuple[str, type[Hook]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the host alone; after a success a new failure is said again."""
    address, kind = hook
    caplog.set_level(logging.WARNING)
    messenger = Messenger(tmp_path)
    for path in ("500?token-123", "500?token-123", "204", "500", "204"):
        messenger.send(NotifySection(webhook=f"{address}/{path.partition('?')[0]}"), MESSAGE)
    messenger.close()
    assert 5 == len(kind.got)
    said = "[notify] webhook at 127.0.0.1: answered with status 500; said once until it works again"
    assert [said, said] == caplog.messages


def test_leaving_does_not_wait_for_long(hook: tuple[str, type[Hook]], tmp_path: Path) -> None:
    """A message that hangs is given up by a runner that exits."""
    address, kind = hook
    messenger = Messenger(tmp_path)
    messenger.send(NotifySection(webhook=f"{address}/silent", timeout=30.0), MESSAGE)
    messenger.close(patience_s=0.01)
    kind.silent.set()
