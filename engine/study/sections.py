"""Checks of single values and tables in user input, and how a problem is worded.

Standard library only; it knows no study, reads no files and never raises: problems are returned.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from bertdistill.engine.contract.spec import FineTuneSpec, MemberSpec


T = TypeVar("T")
SUFFIXES = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
"""Suffixes of large numbers."""
SCALAR = "scalar"
"""Type of a field for text, numbers, true and false alike."""


@dataclass(frozen=True)
class Problem:
    """One problem to fix. `table` is the TOML table, "" for the top level of the file; `key` is the key in it.

    `of` identifies a list item, for example by the metric of an objective: its index says little.
    """

    table: str
    key: str
    text: str
    of: str = ""

    @property
    def path(self) -> str:
        """The dotted path as written in `--set`."""
        return ".".join(part for part in (self.table, self.key) if part)

    def __str__(self) -> str:
        of = self.of and f"of {self.of}"
        return " ".join(part for part in (self.table and f"[{self.table}]", self.key, of, self.text) if part)


# ---------------------------------------------------------------------------------------------------------- one value


def value_problem(field: dataclasses.Field[Any], value: Any) -> str:
    """What is wrong with a value for a key of the contract ('' if nothing), worded to follow the key's name."""
    kind = kind_of(field)
    if kind in ("list[str]", "list[int]"):
        return _list_problem(value, whole=kind == "list[int]")
    if kind == "dict[str, float]":
        return "" if isinstance(value, Mapping) else f"= {shown(value)} must be a table"
    if kind == "dict[str, str]":
        return _texts_problem(value)
    if kind == "bool":
        return "" if isinstance(value, bool) else f"= {shown(value)} must be true or false"
    if kind == SCALAR:
        return "" if isinstance(value, (str, bool)) or is_number(value) else "must be text, a number, true or false"
    if kind == "str":
        choices = field.metadata.get("choices")
        if not isinstance(value, str):
            return f"= {shown(value)} must be text"
        if choices and value not in choices:
            return f"= {shown(value)} is not valid; use {one_of(choices)}"
        return ""
    whole = kind == "int"
    if not is_number(value) or (whole and not isinstance(value, int)):
        return f"= {shown(value)} must be a {'whole ' if whole else ''}number"
    return limit_problem(value, field.metadata.get("low"), field.metadata.get("high"))


def _texts_problem(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"= {shown(value)} must be a table"
    wrong = next((item for item in value.values() if not isinstance(item, str)), None)
    return "" if wrong is None else f"has {shown(wrong)}, which is not text; quote it"


def limit_problem(value: float, low: float | None, high: float | None) -> str:
    """What is wrong with a number outside its inclusive limits ('' if nothing)."""
    if low is None:
        remedy = f"use at most {shown(high)}"
    else:
        remedy = f"use {shown(low)} to {shown(high)}" if high is not None else f"use at least {shown(low)}"
    if low is not None and value < low:
        return f"= {shown(value)} is below {shown(low)}; {remedy}"
    if high is not None and value > high:
        return f"= {shown(value)} is above {shown(high)}; {remedy}"
    return ""


def _list_problem(value: Any, *, whole: bool) -> str:
    if not isinstance(value, (list, tuple)):
        return f"= {shown(value)} must be a list"
    for item in value:
        if whole and (isinstance(item, bool) or not isinstance(item, int)):
            return f"has {shown(item)}, which is not a whole number"
        if not whole and not isinstance(item, str):
            return f"has {shown(item)}, which is not text"
    return ""


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Its default, or dataclasses.MISSING if it is required."""
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def kind_of(field: dataclasses.Field[Any]) -> str:
    """The annotation of a key's field as text: int, float, bool, str, list[int], list[str] or dict[str, float]."""
    return str(field.type)


def is_number(value: Any) -> bool:
    """Whether it is a number that fits a float; booleans do not count, and integers may be arbitrarily large."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def amount(text: str, units: Mapping[str, float] = SUFFIXES) -> float | None:
    """`65`, `3e-5`, `66M`, with a one-letter suffix in either case; None if it is not a finite number."""
    factor = units.get(text[-1:].casefold(), 0.0)
    try:
        value = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


# ---------------------------------------------------------------------------------------------------------- one table


def read_dataclass(cls: type[T], raw: Any, table: str) -> tuple[T | None, list[Problem]]:
    """A section of the study file from its table; None if it has a problem."""
    if not isinstance(raw, Mapping):
        return None, [not_a_table(table)]
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # only called with dataclasses
    problems = unknown_keys(raw, fields, table)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in raw:
            if default_of(field) is dataclasses.MISSING:
                problems.append(Problem(table, name, f"is missing: {field.metadata['help']}"))
        elif "FineTuneSpec" in kind_of(field):
            values[name], wrong = _read_fine_tune(raw[name], f"{table}.{name}")
            problems += wrong
        elif "MemberSpec" in kind_of(field):
            values[name], wrong = _read_members(raw[name], f"{table}.{name}")
            problems += wrong
        elif text := value_problem(field, raw[name]):
            problems.append(Problem(table, name, text))
        elif wrong := _wrong_numbers(field, raw[name], table):
            problems += wrong
        else:
            values[name] = _converted(kind_of(field), raw[name])
    return (None if problems else cls(**values)), problems


def _read_fine_tune(raw: Any, table: str) -> tuple[FineTuneSpec | None, list[Problem]]:
    """0 epochs are the same as no table; its other keys are checked all the same."""
    from bertdistill.engine.contract.spec import FineTuneSpec  # 12 ms; the app's own config file needs none of it

    none = isinstance(raw, Mapping) and is_number(raw.get("epochs")) and raw["epochs"] == 0
    found, wrong = read_dataclass(FineTuneSpec, {k: raw[k] for k in raw if k != "epochs"} if none else raw, table)
    return None if none else found, wrong


def _read_members(raw: Any, table: str) -> tuple[list[MemberSpec], list[Problem]]:
    from bertdistill.engine.contract.spec import MemberSpec  # as above

    if not isinstance(raw, (list, tuple)):
        return [], [Problem(table, "", f"must be a list of tables: [[{table}]]")]
    read = [read_dataclass(MemberSpec, item, f"{table}.{index}") for index, item in enumerate(raw)]
    return [one for one, _ in read if one is not None], [problem for _, wrong in read for problem in wrong]


def _wrong_numbers(field: dataclasses.Field[Any], value: Any, table: str) -> list[Problem]:
    """Problems inside a table of numbers; none for other fields."""
    inner = value.items() if kind_of(field) == "dict[str, float]" else ()
    wrong = [(key, number) for key, number in inner if not is_number(number)]
    return [Problem(table, f"{field.name}.{key}", f"= {shown(number)} must be a number") for key, number in wrong]


def _converted(kind: str, value: Any) -> Any:
    if kind == "float":
        return float(value)
    if kind == "dict[str, float]":
        return {str(name): float(number) for name, number in value.items()}
    if kind == "dict[str, str]":
        return dict(value)
    return list(value) if kind.startswith("list") else value


def unknown_keys(raw: Mapping[str, Any], names: Iterable[str], table: str) -> list[Problem]:
    """A problem for every key that is not in `names`, with the closest match."""
    known = list(names)
    return [Problem(table, str(k), f"is not a known key{did_you_mean(str(k), known)}") for k in raw if k not in known]


def not_a_table(table: str) -> Problem:
    return Problem(table, "", "must be a table of keys and values")


# --------------------------------------------------------------------------------------------------------------- words


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None if nothing is close."""
    import difflib  # 2 ms of the first paint of the app, where nothing is misspelt

    known = list(names)
    close = difflib.get_close_matches(name, known, 1, 0.6) or [k for k in known if name and k.startswith(name)]
    return close[0] if close else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean layers?`, or the whole list if nothing is close and it is short."""

    known = list(names)
    close = nearest(name, known)
    if close:
        return f"; did you mean {close}?"
    return f"; use {one_of(known)}" if 0 < len(known) <= 12 else ""


def one_of(values: Iterable[Any]) -> str:
    """`a, b or c`."""
    words = [value if isinstance(value, str) else shown(value) for value in values]
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def shown(value: Any) -> str:
    """A value roughly as a study file would spell it, truncated to fit into a message."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(shown(item) for item in value)}]"[:80]
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
