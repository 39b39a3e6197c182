"""A program as the worker of a trial: what the runner asks of it, and by which names it finds that out.

The runner writes a `ProgramOrder`, `engine.program` runs it, and `bertdistill.start` inside the program finds the run
by the environment. Standard library only and little of it, because it is part of what every trial loads. It starts
nothing and knows no study file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.folder import read_object, write_json

Value = int | float | str | bool

RUN = "BERTDISTILL_RUN"
"""Environment: the folder of the attempt, which `bertdistill.start` logs to."""
PARAMS = "BERTDISTILL_PARAMS"
"""Environment: path of a JSON file with all parameters."""
PARAM_PREFIX = "BERTDISTILL_PARAM_"
RESUME = "BERTDISTILL_RESUME"
"""Environment: folder of the checkpoint to resume from; missing if there is none."""
PARAMS_FILE = "params.json"
WHOLE = "params"
"""`{params}` in a command is the path of that file."""

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""Names that parameters may have."""
_PLACEHOLDER = re.compile(rf"\{{\{{({NAME.pattern})\}}\}}|\{{({NAME.pattern})\}}")
"""`{{name}}` is the text {name}, `{name}` is a value; other braces, as of JSON, mean themselves."""

KIND = "program"
"""`kind` of such an order in spec.json."""


@dataclass(frozen=True)
class ProgramOrder:
    """The spec.json of an attempt that runs a program."""

    study: str
    trial: int
    command: Sequence[str]
    directory: str
    device: Mapping[str, Any]
    """As `contract.spec.Device`; the shim reads its kind."""
    params: Mapping[str, Value] = field(default_factory=dict)
    """Searched and fixed ones."""
    objectives: Sequence[str] = field(default_factory=list)
    """Metrics without which the trial is not complete."""
    environment: Mapping[str, str] = field(default_factory=dict)
    limit_seconds: float = 0.0
    """The program is ended after so many seconds; 0 means no limit."""
    grace_seconds: float = 60.0
    """Between asking it to end and killing it."""
    attempt: int = 1
    resume_from: str = ""
    files: Sequence[str] = field(default_factory=list)
    """Below the directory, what another machine gets; there the directory is a folder with these alone."""
    paths: Mapping[str, str] = field(default_factory=dict)
    """As `AttemptSpec.paths`."""
    kind: str = KIND
    version: int = 1

    def write(self, path: Path) -> None:
        """Write it as spec.json, atomically."""
        write_json(path, asdict(self))

    @staticmethod
    def read(path: Path) -> ProgramOrder:
        """Read it back; ValueError if it is not such an order."""
        raw = read_object(path)
        if raw.get("kind") != KIND or raw.get("version") != 1:
            raise ValueError(f"{path} is not an order to run a program; start a new attempt")
        return ProgramOrder(**raw)


def is_program(spec: Path) -> bool:
    """Whether a spec.json is that of a program."""
    return read_object(spec).get("kind") == KIND


def placeholders(command: Sequence[str]) -> Iterator[str]:
    """The names in the command that stand for values."""
    for argument in command:
        yield from (found[2] for found in _PLACEHOLDER.finditer(argument) if found[2])


def arguments(command: Sequence[str], params: Mapping[str, Value], params_file: str) -> list[str]:
    """The command with values instead of names. One argument stays one argument, whatever is in a value."""
    values = {WHOLE: params_file, **{name: as_text(value) for name, value in params.items()}}
    return [_PLACEHOLDER.sub(lambda found: f"{{{found[1]}}}" if found[1] else values[found[2]], one) for one in command]


def as_text(value: Value) -> str:
    """A value as an argument or in the environment: `true` and `false`, floats as short as they are exact."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def variable(name: str) -> str:
    """The environment variable of a parameter."""
    return f"{PARAM_PREFIX}{name.replace('-', '_').upper()}"


def environment(order: ProgramOrder, folder: Path) -> dict[str, str]:
    """What is added to the environment of the program."""
    found = {variable(name): as_text(value) for name, value in order.params.items()}
    found |= {RUN: str(folder), PARAMS: str(folder / PARAMS_FILE)}
    return {**order.environment, **found, **({RESUME: order.resume_from} if order.resume_from else {})}
