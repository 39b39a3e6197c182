"""The copy of one attempt's folder on the runner's machine: append, and never twice.

The size of events.jsonl here is the offset at the other machine, so nothing else has to be remembered, whoever dies
when. A line that names files is appended after them, exit.json is written last. It talks to no one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.events import CHECKPOINT, LONGEST_LINE, RESULT, parse_event
from bertdistill.engine.contract.folder import RunPaths, open_to_append, size_of, sync_files, sync_folder, write_json
from bertdistill.engine.launch.protocol import Exit

_SIGNS = (CHECKPOINT.encode(), RESULT.encode())


@dataclass(frozen=True)
class Gate:
    """A line that must not be here before the files that it names."""

    line: bytes
    checkpoint: str = ""
    """The folder of a checkpoint, relative to the run folder."""
    role: str = ""
    """Empty for one that a program has saved: where it likes, perhaps into the same folder each time."""
    caches: tuple[str, ...] = ()
    """Folders of the caches that a preparation reports, relative to the workspace."""


@dataclass
class Mirror:
    """One attempt. Only one thread appends; any may end it, and after that nothing is appended."""

    paths: RunPaths
    workspace: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def over(self) -> bool:
        """Whether exit.json is here: it is written once, and last."""
        return os.path.lexists(self.paths.exit)

    def sizes(self) -> tuple[int, int]:
        """Bytes of the events and of the log that are here."""
        return size_of(self.paths.events), size_of(self.paths.log)

    def take(self, data: bytes, *, all_of_it: bool) -> Gate | None:
        """Append new events up to the first line that waits for files; that line, or None.

        Only whole lines, unless this is `all_of_it`: then also what a worker left unfinished. A line that is too long
        to be read comes in parts, as it would never fit into one answer.
        """
        all_of_it = all_of_it or (len(data) > LONGEST_LINE and b"\n" not in data)
        end = 0
        while end < len(data):
            stop = data.find(b"\n", end) + 1
            if not stop:
                end = len(data) if all_of_it else end
                break
            if (gate := self._gate(data[end:stop])) is not None:
                self.append(data[:end])
                return gate
            end = stop
        self.append(data[:end])
        return None

    def append(self, data: bytes) -> None:
        """To the events; OSError if the disk is full, and what was written counts."""
        if data:
            with self.lock:
                if not self.over:
                    _append(self.paths.events, data)

    def log(self, data: bytes, start: int) -> None:
        """To the log; the other one may have been cut to its end, and then it starts again."""
        if not data:
            return
        with self.lock:
            if self.over:
                return
            if start == 0 and size_of(self.paths.log):
                os.truncate(self.paths.log, 0)
            _append(self.paths.log, data)

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove the checkpoints that its worker has replaced."""
        kept = set(names)
        for folder in _folders(self.paths.checkpoints):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def place(self, part: Path, target: Path, role: str = "", *, replaces: bool = False) -> None:
        """Give a folder that is complete its name, and let `role` point to it.

        One that has the name stays, or makes room (`replaces`).
        """
        if replaces:
            shutil.rmtree(target, ignore_errors=True)
        if target.exists():
            shutil.rmtree(part, ignore_errors=True)
            return
        sync_files(part)
        part.rename(target)
        if role:
            link = target.with_name(f".{role}.link")
            link.unlink(missing_ok=True)
            link.symlink_to(target.name)
            link.replace(target.with_name(role))
        sync_folder(target.parent)

    def end(self, found: Exit, raw: bytes = b"") -> None:
        """Write exit.json, as it is there or, if none was written, as it is known."""
        with self.lock:
            if self.over:
                return
            if raw:
                temporary = self.paths.folder / ".exit.json.new"
                temporary.write_bytes(raw)
                temporary.replace(self.paths.exit)
                sync_folder(self.paths.folder)
            else:
                write_json(self.paths.exit, asdict(found))

    def _gate(self, line: bytes) -> Gate | None:
        if not any(sign in line for sign in _SIGNS):
            return None
        event = parse_event(line) or {}
        if event.get("k") == CHECKPOINT and event["role"] in ("best", "last"):
            own = f"{self.paths.folder}/"
            name = event["folder"].removeprefix(own)
            if _plain(*name.split("/")):
                role = event["role"] if name.startswith(f"checkpoints/{event['role']}-") else ""
                if not role or not (self.paths.folder / name).is_dir():
                    return Gate(line, checkpoint=name, role=role)
        if event.get("k") == RESULT and event.get("facts"):
            named = dict.fromkeys(_inside(event["facts"], f"{self.workspace}/"))
            missing = tuple(name for name in named if _plain(*name.split("/")) and not (self.workspace / name).exists())
            return Gate(line, caches=missing) if missing else None
        return None


def part_of(target: Path, machine: str = "") -> Path:
    """Where a folder is while it is being copied, from that machine if several may have it."""
    return target.with_name(f".{'.'.join(filter(None, (target.name, machine)))}.part")


def append_part(path: Path, offset: int, data: bytes) -> None:
    """Write the next bytes of a file that is being copied."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while data:
            written = os.pwrite(descriptor, data, offset)
            offset, data = offset + written, data[written:]
    finally:
        os.close(descriptor)


def _append(path: Path, data: bytes) -> None:
    descriptor = open_to_append(path)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    finally:
        os.close(descriptor)


def _plain(*names: str) -> bool:
    return all(name and name[0] != "." and "/" not in name and "\0" not in name for name in names)


def _folders(path: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return [one for one in path.iterdir() if one.is_dir() and not one.is_symlink() and one.name[0] != "."]
    return []


def _inside(raw: Any, prefix: str) -> Iterable[str]:
    """Every path below `prefix` that the JSON value names, relative to it."""
    if isinstance(raw, str) and raw.startswith(prefix):
        yield raw[len(prefix) :]
    elif isinstance(raw, dict):
        for value in raw.values():
            yield from _inside(value, prefix)
    elif isinstance(raw, list):
        for value in raw:
            yield from _inside(value, prefix)


def dumped(value: Any) -> str:
    """As it is written to spec.json."""
    return json.dumps(value, ensure_ascii=False, indent=1)
