"""Files from and to a machine, a chunk at each step: every function is a generator that the caller may put off.

What was copied before a cut is not copied again. It decides nothing and starts nothing.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.launch.inputs import Input
from bertdistill.engine.launch.link import Unreachable
from bertdistill.engine.launch.mirror import Gate, Mirror, append_part, part_of
from bertdistill.engine.launch.protocol import Exit

log = logging.getLogger("bertdistill.runner")

SMALLEST_CHUNK, LARGEST_CHUNK = 64 << 10, 4 << 20
CHUNK_SECONDS = 1.0
"""About how long a chunk may take: a stop waits for it."""

Call = Callable[..., tuple[Any, list[bytes]]]


@dataclass
class Courier:
    """`call` asks the agent of that machine."""

    call: Call
    machine: str
    workspace: Path
    clock: Callable[[], float]
    _chunk: int = 256 << 10

    def push(self, item: Input) -> Iterator[int]:
        """Send a file or folder; yields bytes that have arrived. LaunchError if it changes meanwhile."""
        for name, size in item.files:
            path, part = (item.path / name, f"{item.name}/{name}") if name else (item.path, item.name)
            try:
                yield from self._push_file(path, part, size)
            except OSError as error:
                message = f"{path} cannot be sent to {self.machine}: {error.strerror or error}"
                raise LaunchError(message, hint="Restore it and resume the study.") from error
        self.call("seal", item.name)

    def _push_file(self, path: Path, part: str, size: int) -> Iterator[int]:
        with path.open("rb") as file:
            offset = self.call("put", part, -1)[0] if size else 0
            yield offset
            while offset <= size:
                file.seek(offset)
                data = file.read(min(self._chunk, size - offset))
                found = self._timed("put", part, offset, blob=data)[0]
                yield found - offset
                if found == size:
                    break
                offset = found if data and found == offset + len(data) else size + 1
            else:
                raise LaunchError(f"{path} changed while it was sent", hint="Restore it and resume the study.")

    def fetch(self, name: str, mirror: Mirror, gate: Gate) -> Iterator[None]:
        """Copy the files that a line names, then append it. What its worker has replaced meanwhile is left out."""
        if gate.checkpoint:
            pinned, _ = self.call("pin", name, gate.checkpoint, not gate.role)
            if pinned is not None:
                target = mirror.paths.folder / gate.checkpoint
                if not gate.role:  # what is there may be half of an earlier one
                    shutil.rmtree(part_of(target), ignore_errors=True)
                yield from self._pull(pinned[0], pinned[1], part_of(target))
                mirror.place(part_of(target), target, gate.role, replaces=not gate.role)
                self.call("drop", pinned[0])
        for cache in gate.caches:
            files, _ = self.call("manifest", cache)
            if files is not None:
                target = self.workspace / cache
                part = part_of(target, self.machine)  # another machine may have made the same, with other roundings
                yield from self._pull(cache, files, part)
                mirror.place(part, target)
        mirror.append(gate.line)

    def finish(self, name: str, mirror: Mirror, found: Exit, raw: bytes) -> Iterator[None]:
        """Copy what else an attempt left in its folder, then how it ended. What cannot be read is left out."""
        extra, _ = self.call("extra", name)
        for file, size in extra:
            if "/" in file or file.startswith("."):
                continue
            part = part_of(mirror.paths.folder / file)
            part.unlink(missing_ok=True)
            try:
                yield from self._file(f"{name}/{file}", size, part)
            except Unreachable:
                raise
            except LaunchError as error:  # not worth the end of an attempt that is complete
                log.warning("%s is left out: %s", f"{name}/{file}", error)
                part.unlink(missing_ok=True)
            else:
                part.replace(mirror.paths.folder / file)
        mirror.end(found, raw)

    def _pull(self, name: str, files: list[tuple[str, int]], part: Path) -> Iterator[None]:
        """The files of a folder there, below `part`."""
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
        for relative, size in files:
            path = part / relative
            if not path.resolve().is_relative_to(part.resolve()):
                raise LaunchError(f"{self.machine} named a file outside of its folder: {relative!r}")
            yield from self._file(f"{name}/{relative}", size, path)

    def _file(self, name: str, size: int, path: Path) -> Iterator[None]:
        offset = min(path.stat().st_size, size) if path.exists() else 0
        append_part(path, offset, b"")
        while offset < size:
            data = self._timed("read", name, offset, min(self._chunk, size - offset))[1][0]
            if not data:
                raise LaunchError(f"{name} on {self.machine} is shorter than it was")
            append_part(path, offset, data)
            offset += len(data)
            yield

    def _timed(self, verb: str, *args: Any, blob: bytes = b"") -> tuple[Any, list[bytes]]:
        """A call with a chunk; the next chunk is as large as this connection suits."""
        began = self.clock()
        answer = self.call(verb, *args, blob=blob)
        took, moved = self.clock() - began, len(blob) or sum(map(len, answer[1]))
        if took > CHUNK_SECONDS:
            self._chunk = max(SMALLEST_CHUNK, self._chunk // 2)
        elif moved >= self._chunk and took < CHUNK_SECONDS / 4:
            self._chunk = min(LARGEST_CHUNK, self._chunk * 2)
        return answer
