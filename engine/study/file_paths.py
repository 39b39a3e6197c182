"""Paths in a study file, made absolute. Pure, but for a look at which of two places has the file."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import SCRATCH
from bertdistill.engine.study.limits import FILES, PATHS
from bertdistill.engine.study.sections import Problem, shown


def with_absolute_paths(raw: Mapping[str, Any], folder: Path, where: str) -> dict[str, Any]:
    """A study file, as read from `folder`, with absolute paths: workers run in other folders.

    ConfigError, prefixed with `where`, for text that cannot be a path.
    """
    result = copy.deepcopy(dict(raw))
    for *sections, key in PATHS:
        for table, name in _tables(result, sections):
            value = table.get(key)
            if isinstance(value, str) and value:
                try:
                    absolute = _absolute if (*sections, key) in FILES else _absolute_model
                    table[key] = absolute(value, folder)
                except (
                    OSError,
                    RuntimeError,
                    ValueError,
                ) as error:  # a name too long, an unknown `~name`, a null character
                    reason = getattr(error, "strerror", None) or str(error).rstrip(".")
                    problem = Problem(name, key, f"= {shown(value)} is not a valid path: {reason}; correct it")
                    raise ConfigError(f"{where}: {problem}") from None
    return result


def _tables(value: Any, sections: Sequence[str], name: str = "") -> Iterator[tuple[dict[str, Any], str]]:
    """The tables in a section, one or those of a list, each with its dotted name."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _tables(item, sections, f"{name}.{index}")
    elif isinstance(value, dict) and not sections:
        yield value, name
    elif isinstance(value, dict):
        yield from _tables(value.get(sections[0]), sections[1:], f"{name}.{sections[0]}".removeprefix("."))


def absolute_path(text: str, folder: Path) -> str:
    """The absolute path: in the working directory if it exists there, else in `folder`. Raises ConfigError."""
    try:
        return _absolute(text, folder)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"{shown(text)} is not a valid path: {getattr(error, 'strerror', None) or error}") from None


def _absolute(text: str, folder: Path) -> str:
    path = Path(text).expanduser()
    beside = folder / path
    return str((beside if beside.exists() and not path.exists() else path).absolute())


def _absolute_model(text: str, folder: Path) -> str:
    """A model is a folder if it looks like a path or such a folder exists; otherwise it is a Hub id or a keyword."""
    if text in (SCRATCH, "teacher"):
        return text
    is_path = text.startswith(("/", "./", "../", "~"))
    is_there = any((place / text / "config.json").is_file() for place in (Path(), folder))
    return _absolute(text, folder) if is_path or is_there else text
