"""The worker in this very process, for a debugger. It starts no process, so there is nothing to stop."""

from __future__ import annotations

import importlib
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bertdistill.engine.contract.folder import RunPaths, write_json
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch import process, shim
from bertdistill.engine.launch.attempts import claim, read_exit
from bertdistill.engine.launch.local import worker_module
from bertdistill.engine.launch.protocol import Exit, Handle, Slot


@dataclass(frozen=True)
class InlineLauncher:
    """`start` returns when the worker has ended. One slot."""

    main: Callable[[list[str]], int | None] | None = None
    device: Device = field(default_factory=Device)

    def slots(self, wanted: int = 0, per_gpu: int = 1) -> list[Slot]:
        return [Slot("inline", self.device)]

    def among(self, machines: Sequence[str]) -> InlineLauncher:
        return self

    def whole(self, slot: Slot) -> Slot:
        return slot

    def busy(self, slot: Slot) -> str:
        return ""

    def start(self, paths: RunPaths, device: Device, *, grace: float) -> Handle:
        """Run the worker to its end and write exit.json as the shim would."""
        lock = claim(paths)
        began = time.monotonic()
        try:
            code = self._run(paths)
            tail = shim.log_tail(str(paths.log))
            cuda = device.kind == "cuda"
            kind = shim.classify(code, None, tail, asked=False, timed_out=False, oom_killed=False, cuda=cuda)
            result = Exit(kind, code, None, None, tail, time.time(), time.monotonic() - began)
            write_json(paths.exit, vars(result))
        finally:
            os.close(lock)
        return Handle(host=process.host())

    def alive(self, paths: RunPaths, handle: Handle) -> bool:
        return process.held(paths.lock)

    def ended(self, paths: RunPaths, handle: Handle) -> Exit | None:
        return None if self.alive(paths, handle) else read_exit(paths, handle)

    def stop(self, paths: RunPaths, handle: Handle) -> None:
        """Nothing: an attempt has ended before anyone can ask."""

    def kill(self, paths: RunPaths, handle: Handle) -> None:
        """Nothing, as above."""

    def _run(self, paths: RunPaths) -> int:
        main = self.main or importlib.import_module(worker_module(paths)).main
        with _folder(paths.folder), paths.log.open("a", encoding="utf-8") as log:
            try:
                return int(main([str(paths.folder)]) or 0)
            except SystemExit as end:
                return end.code if isinstance(end.code, int) else int(end.code is not None)
            except Exception:  # noqa: BLE001 - the edge of the worker: what it did not handle is its crash
                log.write(traceback.format_exc())
                return 1


@contextmanager
def _folder(path: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)
