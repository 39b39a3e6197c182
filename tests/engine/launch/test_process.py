"""Locks and identities of processes."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from bertdistill.engine.launch import process


def test_a_lock_that_cannot_be_looked_at_is_not_free(tmp_path: Path) -> None:
    """A runner without a descriptor left would give up its live attempts and start others on their devices."""
    path = tmp_path / "lock"
    lock = process.try_lock(path)
    assert lock is not None
    assert process.held(path)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
        with pytest.raises(OSError) as refused:  # noqa: PT011 - its number is checked below
            process.held(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert errno.EMFILE == refused.value.errno
    os.close(lock)
    assert not process.held(path)
    assert not process.held(tmp_path / "none")


def test_a_process_that_is_not_ours_is_not_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker may have recorded any process as its own; whoever asks it to stop must not fail for that."""

    def refuse(descriptor: int, number: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(signal, "pidfd_send_signal", refuse)
    assert not process.send(process.me(), signal.SIGTERM, boot=process.boot_id())
