"""The agent on a machine: does what the runner asks for on its stdin, answers on its stdout. It keeps no state.

`python -P -m bertdistill.engine.launch.agent FOLDER`. Standard library only, no daemon and no port; it ends with its
input and what it started continues. It touches nothing outside its folder: names from the other side are relative,
checked, and their links are not followed.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.events import LONGEST_LINE
from bertdistill.engine.contract.folder import RunPaths, open_regular, read_object, size_of, write_json
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.contract.versions import OWN, installed
from bertdistill.engine.launch import process
from bertdistill.engine.launch.devices import cores, gpu_busy, gpu_uuids
from bertdistill.engine.launch.frames import BrokenFrame, pack, unpack
from bertdistill.engine.launch.link import GREETING
from bertdistill.engine.launch.load import read_load, worker_memory
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.protocol import Exit, Handle
from bertdistill.engine.launch.storage import PARTS, changed, files_of, idle_copies, link_or_copy, read_part, touch

PROTOCOL = 2
POLL_BYTES = 2 * LONGEST_LINE
"""Bytes of the events of one attempt in one answer, and of all of them a multiple. Every line that counts fits."""
ALL_BYTES = 8 << 20
LOG_BYTES = 1 << 16
PINS = ".pins"
"""Folder in a run folder for checkpoints that are being copied: links to files that the worker may delete."""
_HANDLE = ".handle.json"
_OWN = frozenset({"events.jsonl", "log.txt", "exit.json", "spec.json", "state.json", "lock"})

Answer = tuple[Any, list[bytes]]


@dataclass(frozen=True)
class Agent:
    """Verbs are the public methods that `VERBS` lists. `root` exists and belongs to this user alone."""

    root: Path
    launcher: LocalLauncher = field(default_factory=LocalLauncher)

    # ----------------------------------------------------------------------------------------------------- the machine

    def hello(self) -> Answer:
        """What does not change while the agent runs."""
        gpus = gpu_uuids(self.launcher.environ)
        return {
            "protocol": PROTOCOL,
            "version": package_version(),
            "torch": installed("torch"),
            "python": platform.python_version(),
            "executable": sys.executable,
            "host": process.host(),
            "boot_id": process.boot_id(),
            "root": str(self.root),
            "cores": cores(),
            "gpus": gpus,
            "time": time.time(),
            "kill_user_processes": kills_user_processes(),
        }, []

    def look(self) -> Answer:
        """What changes: load, free disk, which GPUs others use, which attempts run with how much memory."""
        load = read_load()
        busy = {uuid: gpu_busy(Device("cuda", 1, uuid)) for uuid in gpu_uuids(self.launcher.environ)}
        running = {}
        for paths in self._runs():
            if self.launcher.alive(paths, _handle(paths)):
                running[paths.folder.relative_to(self.root).as_posix()] = worker_memory(paths, load.gpus)
        disk = os.statvfs(self.root)
        loads = {**asdict(load), "gpus": [{**asdict(gpu), "used_by": {}} for gpu in load.gpus]}
        return {
            "load": loads,
            "free": disk.f_bavail * disk.f_frsize,
            "busy": {uuid: why for uuid, why in busy.items() if why},
            "running": running,
            "time": time.time(),
        }, []

    # ------------------------------------------------------------------------------------------------------- attempts

    def start(self, name: str, spec: str, grace: float) -> Answer:
        """Start the attempt with that spec.json. A name that was used before, or made void, is refused."""
        paths = RunPaths(self._inside(name))
        paths.folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            paths.folder.mkdir(mode=0o700)
        except FileExistsError as error:
            raise LaunchError(f"{paths.folder}: this attempt runs or has ended") from error
        paths.spec.write_text(spec, encoding="utf-8")
        try:
            handle = self.launcher.start(paths, Device(**json.loads(spec)["device"]), grace=grace)
        except LaunchError as error:  # found by the next poll, also if this answer is lost
            write_json(paths.exit, asdict(Exit("launch_failed", log_tail=str(error), ended_at=time.time())))
        else:
            write_json(paths.folder / _HANDLE, handle.to_dict())
        return None, []

    def void(self, name: str) -> Answer:
        """Make sure that an attempt which is not here never starts here; False if it is here."""
        paths = RunPaths(self._inside(name))
        paths.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if paths.spec.exists():
            return False, []
        write_json(paths.exit, {})  # a start that is still on its way finds this and is refused
        return True, []

    def poll(self, seen: Mapping[str, Sequence[int]]) -> Answer:
        """What is new of these attempts, given the bytes of their events and log that the other side has.

        Per attempt: None if it is not here; else whether it is alive, the sizes of both files, its checkpoints, and how
        it ended. Its new events, new log and exit.json are three blobs.
        """
        found: dict[str, Any] = {}
        blobs: list[bytes] = []
        left = ALL_BYTES
        for name, (events, log) in seen.items():
            paths = RunPaths(self._inside(name))
            if not paths.spec.exists():
                found[name] = None
                continue
            alive = self.launcher.alive(paths, handle := _handle(paths))  # first: then all of a dead one is here
            checkpoints = _checkpoints(paths)  # before the events: what is gone now, its successor is in them
            size, news = read_part(paths.events, events, min(POLL_BYTES, left))
            log_size, lines = read_part(paths.log, log if log <= size_of(paths.log) else 0, LOG_BYTES)
            left = max(0, left - len(news))
            ended = None if alive else self.launcher.ended(paths, handle)
            found[name] = {
                "alive": alive or ended is None,
                "events": size,
                "log": log_size,
                "log_from": log if log <= log_size else 0,
                "checkpoints": checkpoints,
                "exit": asdict(ended) if ended else None,
            }
            blobs += [news, lines, b"" if alive else read_part(paths.exit, 0, POLL_BYTES)[1]]
        return found, blobs

    def stop(self, name: str) -> Answer:
        paths = RunPaths(self._inside(name))
        self.launcher.stop(paths, _handle(paths))
        return None, []

    def kill(self, name: str) -> Answer:
        """End every process of an attempt now; returns whether none is left."""
        paths = RunPaths(self._inside(name))
        self.launcher.kill(paths, _handle(paths))
        return not self.launcher.alive(paths, _handle(paths)), []

    def ended_runs(self) -> Answer:
        """Names of attempts that are here and run no more."""
        over = [paths.folder for paths in self._runs() if not self.launcher.alive(paths, _handle(paths))]
        return [folder.relative_to(self.root).as_posix() for folder in over], []

    def drop(self, name: str) -> Answer:
        """Remove the folder of an attempt that has ended, or anything else below our folder."""
        folder = self._inside(name)
        if not self.launcher.alive(RunPaths(folder), _handle(RunPaths(folder))):
            shutil.rmtree(folder, ignore_errors=True)
        return None, []

    # ----------------------------------------------------------------------------------------------------------- files

    def pin(self, name: str, checkpoint: str, changes: bool = False) -> Answer:
        """Keep a checkpoint until it is copied, although its worker may replace it; its files with sizes.

        None if its worker has replaced it already. One that `changes`, as its program writes into it again, is copied
        and not linked.
        """
        paths = RunPaths(self._inside(name))
        source = self._inside(f"{name}/{checkpoint}")
        target = paths.folder / PINS / checkpoint.replace("/", "+")
        if changes:
            shutil.rmtree(target, ignore_errors=True)
        if not target.is_dir():
            making = target.with_name(f".{target.name}.{os.getpid()}")
            try:
                before = files_of(source), changed(source)
                copy = shutil.copy2 if changes else link_or_copy
                shutil.copytree(source, making, copy_function=copy, symlinks=True)
                if files_of(making) != files_of(source) or (changes and before != (files_of(source), changed(source))):
                    return None, []  # its worker is removing it, or writes the next one into it
                making.rename(target)
            except (OSError, shutil.Error) as error:
                if not source.is_dir():
                    return None, []
                raise LaunchError(f"{source} cannot be kept until it is copied: {error}") from error
            finally:
                shutil.rmtree(making, ignore_errors=True)
        return [f"{name}/{PINS}/{target.name}", files_of(target)], []

    def extra(self, name: str) -> Answer:
        """Other regular files that an attempt left at the top of its folder, with their sizes."""
        folder = self._inside(name)
        files = [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]
        return [(one.name, one.stat().st_size) for one in files if one.name not in _OWN and one.name[0] != "."], []

    def manifest(self, name: str) -> Answer:
        """The files of a folder with their sizes; None if it is not here."""
        folder = self._inside(name)
        return (files_of(folder) if folder.is_dir() else None), []

    def read(self, name: str, offset: int, size: int) -> Answer:
        """Bytes of a file."""
        path = self._inside(name)
        try:
            with os.fdopen(open_regular(path), "rb") as file:
                file.seek(offset)
                return None, [file.read(min(size, ALL_BYTES))]
        except OSError as error:
            raise LaunchError(f"{path}: {error.strerror or error}") from error

    def put(self, name: str, offset: int, data: bytes = b"") -> Answer:
        """Append to a part of something that is being copied here, if it has that size; returns its size then."""
        path = self._inside(f"{PARTS}/{name}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size != offset:
                return size, []
            while data:
                written = os.pwrite(descriptor, data, size)
                size, data = size + written, data[written:]
            return size, []
        finally:
            os.close(descriptor)

    def seal(self, name: str) -> Answer:
        """What was copied is complete: give it its name."""
        part, target = self._inside(f"{PARTS}/{name}"), self._inside(name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.rename(target)
        return None, []

    def has(self, names: Sequence[str]) -> Answer:
        """Which of these exist here. Whoever asks is about to use them."""
        return [touch(self._inside(name)) for name in names], []

    def unused(self, seconds: float) -> Answer:
        """Names of copies that nothing has asked for since that long. Not to be dropped while an attempt runs."""
        return [path.relative_to(self.root).as_posix() for path in idle_copies(self.root, seconds)], []

    def _runs(self) -> list[RunPaths]:
        return [RunPaths(spec.parent) for spec in self.root.glob("runs/*/*/spec.json")]

    def _inside(self, name: str) -> Path:
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
            raise LaunchError(f"{name!r} is not inside the folder of the agent")
        path = self.root / name
        if not path.parent.resolve().is_relative_to(self.root):
            raise LaunchError(f"{name!r} leads out of the folder of the agent")
        return path


VERBS = (
    *("hello", "look", "start", "void", "poll", "stop", "kill", "ended_runs", "drop"),
    *("pin", "extra", "manifest", "read", "put", "seal", "has", "unused"),
)


def package_version() -> str:
    """Of this program as it is installed here."""
    return installed(OWN) or "unknown"


def kills_user_processes() -> bool | None:
    """Whether systemd ends what a user started when that user's last session ends; None if this is not known."""
    if not Path("/run/systemd/system").exists():
        return False
    found: bool | None = None
    files = [Path("/etc/systemd/logind.conf"), *sorted(Path("/etc/systemd/logind.conf.d").glob("*.conf"))]
    for file in files:
        with contextlib.suppress(OSError):
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
                key, _, value = line.partition("=")
                if key.strip() == "KillUserProcesses":
                    found = value.strip().lower() in ("yes", "true", "1", "on")
    lingering = Path("/var/lib/systemd/linger", _user()).exists()
    return False if lingering else found


def _user() -> str:
    import pwd

    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return "-"


def _handle(paths: RunPaths) -> Handle:
    raw = read_object(paths.folder / _HANDLE)
    return Handle.from_dict(raw) if raw else Handle()


def _checkpoints(paths: RunPaths) -> list[str]:
    try:
        found = list(os.scandir(paths.checkpoints))
    except OSError:
        return []
    return sorted(one.name for one in found if one.is_dir(follow_symlinks=False) and not one.name.startswith("."))


def opened(folder: str, environ: Mapping[str, str] | None = None) -> Agent:
    """The agent of that folder, which is made if it is not here; LaunchError if others can write to it."""
    root = Path(folder).expanduser()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    if root.stat().st_mode & 0o022 or root.stat().st_uid != os.getuid():
        raise LaunchError(f"{root}: others can write to this folder; use one that only you can write to")
    return Agent(root.resolve(), LocalLauncher(environ=dict(os.environ if environ is None else environ)))


def answered(agent: Agent, head: Mapping[str, Any], blobs: Sequence[bytes]) -> bytes:
    """The answer to one message; whatever goes wrong is an answer, too."""
    try:
        if head["verb"] not in VERBS:
            raise LaunchError(f"this agent cannot {head['verb']}")
        verb: Callable[..., Answer] = getattr(agent, head["verb"])
        value, answers = verb(*head["args"], *blobs)
        return pack({"value": value}, answers)
    except Exception as error:  # noqa: BLE001 - the agent's edge: the other side gets the error and asks on
        return pack({"error": f"{error}" if isinstance(error, LaunchError) else f"{type(error).__name__}: {error}"})


def serve(agent: Agent, source: BinaryIO, sink: BinaryIO) -> None:
    """Answer until the input ends."""
    sink.write(GREETING)
    sink.flush()
    while (asked := unpack(source)) is not None:
        sink.write(answered(agent, *asked))
        sink.flush()


def main(argv: Sequence[str]) -> int:
    """`FOLDER` is the only argument."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -P -m bertdistill.engine.launch.agent FOLDER\n")
        return 2
    os.umask(0o077)
    try:
        with contextlib.suppress(BrokenFrame, BrokenPipeError):
            serve(opened(argv[0]), sys.stdin.buffer, sys.stdout.buffer)
    except (OSError, LaunchError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
