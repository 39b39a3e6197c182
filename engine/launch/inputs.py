"""What an attempt reads that a machine may not have: which files, and under which names there.

It copies nothing. Caches and checkpoints keep their names, under which nothing else is ever written; files of the user
are named by a digest of their names, sizes and times, so that a changed file is another one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.program import ProgramOrder, is_program
from bertdistill.engine.families.supernet import start_of

WEIGHTS = (".safetensors", ".bin", ".onnx", ".pt", ".h5", ".msgpack")
"""Files of a model folder that its tokenizer does not need."""
_OUTSIDE = ("teacher_folder", "init_folder", "tokenizer")
"""Facts that may name a folder outside of the workspace: a model of the user, or of the hub's cache."""
_LIGHT = ("tokenizer",)
_UNREAD = ("search_outputs", "teacher_folder", "init_folder", "supernet")
"""Facts that a trial does not read as they are: the teacher of some, and the model that it starts from."""
_WRITTEN_ONCE = ("caches", "runs")
"""Folders of the workspace in which a name always means the same content."""
_DATABASE = "tracker.db"


@dataclass(frozen=True)
class Input:
    """A file or folder here, and its name below the folder of the agent."""

    path: Path
    name: str
    files: tuple[tuple[str, int], ...]
    """Relative names and sizes; the name of a single file is empty."""

    @property
    def size(self) -> int:
        return sum(size for _, size in self.files)


def read_order(path: Path) -> AttemptSpec | ProgramOrder:
    """What an attempt is to do; ValueError if it is neither."""
    return ProgramOrder.read(path) if is_program(path) else AttemptSpec.read(path)


def inputs_of(spec: AttemptSpec | ProgramOrder, workspace: Path) -> list[Input]:
    """Everything that the attempt reads. LaunchError if something of it is gone."""
    if isinstance(spec, ProgramOrder):
        resumed = [_input(Path(spec.resume_from), workspace, light=False)] if spec.resume_from else []
        return [program_input(Path(spec.directory), spec.files), *resumed]
    asked = (spec.data.train, spec.resume_from)
    wanted: dict[str, bool] = {}  # by path: whether only its light files are read
    for path, light in _prepare(spec) if spec.kind == "prepare" else _trial(spec, f"{workspace}/"):
        if not path.startswith("/"):
            continue  # a name on the hub, or nothing
        if path in asked or Path(path).exists():  # a trial says itself which fact it misses
            wanted[path] = wanted.get(path, True) and light
    return [_input(Path(path), workspace, light=light) for path, light in wanted.items()]


def moves_for(inputs: Sequence[Input], workspace: Path, root: str) -> dict[str, str]:
    """From paths here to paths at an agent with that root. The workspace itself becomes the root."""
    return {str(workspace): root} | {str(one.path): f"{root}/{one.name}" for one in inputs}


def _prepare(spec: AttemptSpec) -> Iterator[tuple[str, bool]]:
    """What the study file names, with whether only light files of it are read."""
    teacher = spec.teacher
    named = [spec.data.train, spec.data.report, teacher.model, teacher.outputs, spec.student.init]
    named += [path for one in teacher.ensemble for path in (one.model, one.outputs)]
    named += [path for one in spec.transfer for path in (one.path, one.model)]
    named += [one.path for one in spec.pretrain]
    yield from ((path, False) for path in named)


def _trial(spec: AttemptSpec, inside: str) -> Iterator[tuple[str, bool]]:
    named = [spec.data.train, spec.resume_from, *spec.earlier]
    facts = spec.prepared.to_dict()
    if spec.reads_teacher:
        named.append(spec.prepared.teacher_folder)
    named.append(start_of(spec.prepared, spec.settings))
    yield from ((path, False) for path in named)
    yield from _facts({key: value for key, value in facts.items() if key not in _UNREAD}, inside)


def _facts(raw: Any, inside: str, key: str = "") -> Iterator[tuple[str, bool]]:
    if isinstance(raw, Mapping):
        for name, value in raw.items():
            yield from _facts(value, inside, name)
    elif isinstance(raw, (list, tuple)):
        for value in raw:
            yield from _facts(value, inside, key)
    elif isinstance(raw, str) and (key in _OUTSIDE or raw.startswith(inside)):
        yield raw, key in _LIGHT


def program_input(directory: Path, files: Sequence[str]) -> Input:
    """The folder of a program with those files of it, as one input; LaunchError if one cannot be sent.

    Of a folder that is sent as a whole, workspaces are left out, as are hidden files and what Python compiles.
    """
    found: dict[str, os.stat_result] = {}
    for name in files:
        place = directory / name
        inside = _files(place)
        workspaces = tuple(one.removesuffix(_DATABASE) for one, _ in inside if f"/{one}".endswith(f"/{_DATABASE}"))
        if "" in workspaces:
            hint = "Name the files of the program one by one in program.files, or move the workspace."
            raise LaunchError(f"{place} is a workspace itself, so it cannot be sent as a whole", hint=hint)
        for one, status in inside:
            if not _hidden(one) and not any(one.startswith(root) for root in workspaces):
                found[(place / one).relative_to(directory).as_posix()] = status
    state = hashlib.blake2b(str(directory).encode(), digest_size=10)
    for name, status in sorted(found.items()):
        state.update(repr((name, status.st_size, status.st_mtime_ns)).encode())
    sizes = tuple((name, status.st_size) for name, status in sorted(found.items()))
    return Input(directory, f"inputs/{state.hexdigest()}/{directory.name or 'program'}", sizes)


def _hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in Path(name).parts)


def _input(path: Path, workspace: Path, *, light: bool) -> Input:
    files = [(name, status) for name, status in _files(path) if not (light and name.endswith(WEIGHTS))]
    sizes = tuple((name, status.st_size) for name, status in files)
    if not light and any(path.is_relative_to(workspace / name) for name in _WRITTEN_ONCE):
        return Input(path, path.relative_to(workspace).as_posix(), sizes)
    state = hashlib.blake2b(repr((str(path), light)).encode(), digest_size=10)
    for name, status in files:
        state.update(repr((name, status.st_size, status.st_mtime_ns)).encode())
    return Input(path, f"inputs/{state.hexdigest()}/{path.name}", sizes)


def _files(path: Path) -> list[tuple[str, os.stat_result]]:
    """Regular files below a folder, in order; links to files (as in the hub's cache) count as files."""
    try:
        if path.is_file():
            return [("", path.stat())]
        found = [one for one in sorted(path.rglob("*")) if one.is_file()]
        if not path.is_dir():
            raise FileNotFoundError(2, "it is gone", str(path))
        return [(one.relative_to(path).as_posix(), one.stat()) for one in found]
    except OSError as error:
        hint = "Restore it, or start a new study."
        raise LaunchError(f"{path} cannot be sent to another machine: {error.strerror}", hint=hint) from error
