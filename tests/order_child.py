"""The child process of `engine difficulty`, in this process: to import torch takes longer than it works."""

from __future__ import annotations

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from tests.workers import undisturbed

from bertdistill.engine.analysis import difficulty
from bertdistill.engine.distill.export import word_order


def stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no process is started for it."""

    def run(command: list[str], *, input: str, **_: Any) -> subprocess.CompletedProcess[str]:
        assert difficulty.MODULE == word_order.__name__ == command[3]
        out, err = io.StringIO(), io.StringIO()
        with undisturbed(), redirect_stdout(out), redirect_stderr(err):
            monkeypatch.setattr("sys.stdin", io.StringIO(input))
            code = word_order.main(command[4:])
        return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())

    monkeypatch.setattr(difficulty.subprocess, "run", run)
