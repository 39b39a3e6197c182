"""TOML input and output: reading a study file, `--set dotted.key=value`, and writing a study as TOML.

It knows only the syntax; the keys are checked in `config`.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study import limits
from bertdistill.engine.study.sections import one_of

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
DATA_SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".gz")
LARGEST_FILE = 1_000_000
"""In bytes. A study file has a few thousand; a data file given by mistake has more."""


# ------------------------------------------------------------------------------------------------------------- reading


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises ConfigError naming the file and, for syntax errors, line and column."""
    if path.suffix.lower() in DATA_SUFFIXES:
        hint = f"Write a study file for it: bertdistill-tui engine new {path}"
        raise ConfigError(f"{path}: is a data file, not a study file", hint=hint)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ConfigError(f"{path}: is {path.stat().st_size:,} bytes long; too large for a study file")
        return parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file", hint="give the path of a study file (TOML)") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except NotToml as error:
        hint = "quote strings; numbers and booleans take no quotes"
        if path.suffix.lower() != ".toml":
            hint = "Data files end in .csv, .tsv, .json, .jsonl or .txt"
        raise ConfigError(f"{path}: not valid TOML: {error}", hint=hint) from None
    except TooLarge as error:
        raise ConfigError(f"{path}: {error}") from None


class NotToml(ValueError):
    """The text has a syntax error; the message says where."""


class TooLarge(ValueError):
    """The text exceeds the limits of a study file."""


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises NotToml for syntax errors, TooLarge beyond the limits."""
    import tomllib  # not at the top: the app reads studies from the database

    if problem := limits.text_problem(text):
        raise TooLarge(problem)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotToml(str(error)) from None
    except RecursionError:
        raise TooLarge("its brackets are nested too deeply for a study file") from None
    except ValueError:  # Python's own limit, 4,300 digits
        raise TooLarge("it has an integer with thousands of digits; use a smaller one") from None
    if problem := limits.value_problem(tables):
        raise TooLarge(problem)
    return tables


# ----------------------------------------------------------------------------------------------------------- overrides


@dataclass(frozen=True)
class Override:
    """One `--set`. A `value` of None removes the key."""

    keys: tuple[str, ...]
    value: Any

    @property
    def path(self) -> str:
        return ".".join(self.keys)


def parse_override(text: str) -> Override:
    """`dotted.key=value` with a TOML value; a bare word is a string, and an empty value removes the key."""
    path, equals, value = text.partition("=")
    keys = tuple(part.strip() for part in path.split("."))
    if not equals or not all(keys):
        raise ConfigError(f"--set {_short(text)!r} is not dotted.key=value", hint=_instead(text))
    if problem := limits.text_problem(f"{path}.") or limits.value_problem(dict.fromkeys(keys)):
        raise ConfigError(f"--set {_short(text)}: {problem}")
    return Override(keys, _checked_value(keys, _parse_value(value.strip(), text)))


def _instead(text: str) -> str:
    """What to type: the same with `=` where a colon stands between key and value, else an example."""
    key, _, value = (part.strip() for part in text.partition(":"))
    meant = all(BARE_KEY.fullmatch(part) for part in key.split(".")) and value and len(text) < 80
    return f"Did you mean {key}={value}?" if meant else "For example budget.trials=20."


def _parse_value(value: str, text: str) -> Any:
    if not value:
        return None
    try:
        parsed = parse_toml(f"value = {value}")
    except NotToml as error:
        if value[0] in "[{\"'":
            reason = str(error).split(" (at ")[0]
            raise ConfigError(
                f"--set {_short(text)}: the value is not valid TOML: {reason}", hint="quote it for the shell"
            ) from None
        return value
    except TooLarge as error:
        raise ConfigError(f"--set {_short(text)}: {error}") from None
    # A line break in the value could add a second key.
    return parsed["value"] if list(parsed) == ["value"] else value


def _checked_value(keys: tuple[str, ...], value: Any) -> Any:
    """Check the value again under its key: limits differ by key, and a bare word was not parsed at all."""
    nested: Any = value
    for key in reversed(keys):
        nested = {key: nested}
    if problem := limits.value_problem(nested):
        raise ConfigError(f"--set {_short('.'.join(keys))}: {problem}")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."


def apply_override(raw: Mapping[str, Any], override: Override) -> dict[str, Any]:
    """The tables with one key set or removed; missing tables are created, lists take an index from 0."""
    result = copy.deepcopy(dict(raw))
    target: Any = result
    for depth, key in enumerate(override.keys[:-1]):
        target = _step(target, key, override, depth)
    last = override.keys[-1]
    if isinstance(target, list):
        index = _index(target, last, override, len(override.keys) - 1)
        target[index : index + 1] = [] if override.value is None else [override.value]
    elif not isinstance(target, dict):
        raise ConfigError(f"--set {override.path}: {'.'.join(override.keys[:-1])} is a value, not a table")
    elif override.value is None:
        target.pop(last, None)
    else:
        target[last] = override.value
    return result


def _step(target: Any, key: str, override: Override, depth: int) -> Any:
    if isinstance(target, list):
        return target[_index(target, key, override, depth)]
    if not isinstance(target, dict):
        raise ConfigError(f"--set {override.path}: {'.'.join(override.keys[:depth])} is a value, not a table")
    if key not in target and override.value is None:
        return {}
    return target.setdefault(key, {})


def _index(target: list[Any], key: str, override: Override, depth: int) -> int:
    table = ".".join(override.keys[:depth])
    if key.isascii() and key.isdigit() and int(key) < len(target):
        return int(key)
    known = [str(i) for i in range(len(target))]
    raise ConfigError(
        f"--set {override.path}: {table} is a list; use {one_of(known) if known else 'a whole list'}, not {key}"
    )


# ------------------------------------------------------------------------------------------------------------- writing


def write_toml(tables: Mapping[str, Any]) -> str:
    """The TOML text of nested dicts, lists, strings, numbers and booleans; None values are omitted.

    Lists of tables are written inline, so the order of the keys never matters.
    """
    return "\n".join(_table_lines(tables, ())).strip() + "\n"


def _table_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {k: v for k, v in table.items() if v is not None and not isinstance(v, Mapping)}
    lines = ["", f"[{'.'.join(map(_key, path))}]"] if path and (plain or not table) else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += _table_lines(value, (*path, key))
    return lines


def _key(key: str) -> str:
    return key if BARE_KEY.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _text(value: str) -> str:
    # JSON escapes everything that TOML requires, except the delete character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
