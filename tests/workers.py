"""A real worker without a process of its own: importing torch takes longer than most workers of the tests work."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.distill import worker


def work(folder: Path, spec: AttemptSpec) -> int:
    """The exit code of a worker that runs in this process, in a new folder."""
    folder.mkdir(parents=True)
    spec.write(RunPaths(folder).spec)
    with undisturbed():
        return worker.main([str(folder)])


@contextmanager
def undisturbed() -> Iterator[None]:
    """Give back what a worker or another program takes as its own: the handler of SIGTERM, threads, the umask."""
    handler, threads, mask = signal.getsignal(signal.SIGTERM), torch.get_num_threads(), os.umask(0o077)
    os.umask(mask)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        torch.set_num_threads(threads)
        os.umask(mask)
