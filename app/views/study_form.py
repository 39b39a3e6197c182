"""A study file as a form: which keys people change most, their values, and the `--set` changes that result from typing.

Pure: it reads no file, and whether a value is right is judged by `engine.config` alone.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bertdistill.app.text.safe import safe_line
from bertdistill.engine.contract.spec import FineTuneSpec
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.steering.changes import ZERO_MEANS
from bertdistill.engine.study.program_section import SECTION
from bertdistill.engine.study.sections import default_of, kind_of
from bertdistill.engine.study.space import SETTING
from bertdistill.engine.study.study_spec import KEYS, SECTIONS, ProgramSection
from bertdistill.engine.study.study_text import write_toml
from bertdistill.engine.tasks.table import TASKS

COMMON = (
    "name",
    "note",
    "data.train",
    "data.report",
    "data.hub",
    "data.text_column",
    "data.text_pair_column",
    "data.label_column",
    "data.max_train_examples",
    "data.max_search_examples",
    "data.max_length",
    "teacher.model",
    "teacher.fine_tune.epochs",
    "student.init",
    "settings.epochs",
    "settings.batch_size",
    "settings.learning_rate",
    "budget.trials",
    "budget.hours",
    "runner.slots",
)
"""Keys of every form, in the order of a study file."""
OF_PROGRAMS = ("name", "note", "program.command", "program.directory", "program.minutes")
"""Keys of the form of a program instead of those before the budget; its fixed values follow."""
OF_TABLES = ("data.text_column", "data.text_pair_column", "data.label_column")
"""Those that only a table of texts and labels has."""
ITEM = re.compile(r"\[(?:objectives|references)\.\d+(?:\.\w+)?\] (?=[\w.]+ of )")
"""The place of an item that is named by what it is about."""
LONGEST = 2000
"""Characters of a value that are shown; an untouched value is never changed by that."""


@dataclass(frozen=True)
class Key:
    """What is known of a dotted key. A text key takes what is typed as it stands, any other one a TOML value."""

    name: str
    help: str = ""
    default: str = ""
    is_text: bool = False
    label: str = ""
    """What the line of the form is called, where the dotted key says little."""


@dataclass(frozen=True)
class Field:
    """One line of the form; `value` is what the file says, made safe for a terminal, empty when it says nothing."""

    key: Key
    value: str = ""


def form(raw: Mapping[str, Any], extra: Sequence[str] = ()) -> list[Field]:
    """The common keys, the thresholds of the objectives, the search space and the keys that were added.

    A searched setting has the line of its range only. `raw` are the tables of a study file, however wrong they are.
    """
    if isinstance(raw.get(SECTION), Mapping):
        return [field(raw, name) for name in dict.fromkeys([*_program_names(raw), *extra])]
    names = list(COMMON[: COMMON.index("settings.epochs")])
    names += [f"objectives.{index}.threshold" for index in range(len(_objectives(raw)))]
    names += COMMON[COMMON.index("settings.epochs") : COMMON.index("budget.trials")]
    ranges = list(_ranges(raw.get("search")))
    names += ranges
    names += COMMON[COMMON.index("budget.trials") :]
    searched = {name.replace("search.", "settings.", 1) for name in ranges}
    if _at(raw, "teacher.fine_tune") is None:
        searched.add("teacher.fine_tune.epochs")
    task = TASKS.get(str(raw.get("task")))
    if task is None or task.spans:
        searched |= set(OF_TABLES)
    return [field(raw, name) for name in dict.fromkeys([*(n for n in names if n not in searched), *extra])]


def _program_names(raw: Mapping[str, Any]) -> Iterator[str]:
    yield from OF_PROGRAMS
    yield from (f"objectives.{index}.threshold" for index in range(len(_objectives(raw))))
    values = raw.get("settings")
    yield from (f"settings.{name}" for name in values) if isinstance(values, Mapping) else ()
    yield from _ranges(raw.get("search"))
    yield from COMMON[COMMON.index("budget.trials") :]


def _own_key(raw: Mapping[str, Any], name: str) -> Key | None:
    """A parameter of a program, which may be named like a setting here."""
    if not isinstance(raw.get(SECTION), Mapping):
        return None
    if name.startswith("settings."):
        return Key(name, "A fixed value that the program gets.")
    if name.startswith("search."):
        return Key(name, "{ low = …, high = … } or { choices = […] }; empty: not searched.")
    return None


def field(raw: Mapping[str, Any], name: str) -> Field:
    """The line of one dotted key, whether the study file knows that key or not."""
    key = _own_key(raw, name) or known_keys().get(name) or _objective_key(raw, name) or _range_key(name) or Key(name)
    value = _at(raw, name)
    if value is None:
        return Field(key)
    is_bare = isinstance(value, str) and (key.is_text or name not in known_keys())
    return Field(key, safe_line(value if is_bare else toml(value), LONGEST))


def changes(fields: Sequence[Field], typed: Mapping[str, str]) -> list[str]:
    """What was typed as `--set` words: none for what the file says already; an emptied value takes its key out."""
    found = []
    for one in fields:
        text = typed.get(one.key.name, one.value).strip()
        if text == one.value.strip():
            continue
        quoted = toml(text) if one.key.is_text and text else text
        found.append(f"{one.key.name}={quoted}")
    return found


def plain(problem: str) -> str:
    """The problem without the place of a list's item where it says what the item is about: `threshold of exact = …`."""
    return ITEM.sub("", problem)


def concerns(problem: str, name: str) -> bool:
    """Whether a problem, as `engine.config` and `plan` tell it, is about this dotted key."""
    table, _, leaf = name.rpartition(".")
    starts = (f"[{table}] {leaf} " if table else f"{leaf} ", f"{name} ", f"[{name}] ")
    if problem.removeprefix("--set ").startswith((*starts, f"{name}=")):
        return True
    # Problems of the data name the file's key and the key to set.
    return re.search(rf"\({re.escape(name)}\)|\b(set|for) {re.escape(name)}\b", problem, re.IGNORECASE) is not None


def toml(value: Any) -> str:
    """One value as TOML spells it: `"text"`, `3e-05`, `["a", "b"]`, `{ low = 1, high = 4 }`."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return write_toml({"x": value}).removeprefix("x = ").strip()


@lru_cache
def known_keys() -> dict[str, Key]:
    """Every dotted key of a study file that has a place of its own, with its help and default."""
    found = [_key(KEYS[name], name) for name in ("name", "task", "note")]
    for section, cls in {**SECTIONS, SECTION: ProgramSection}.items():
        found += _keys(cls, section)
    for family in FAMILIES.values():
        own = [one for one in SETTING.values() if one.name in family.settings - {"family"}]
        found += [_key(one, f"settings.{family.name}.{one.name}") for one in own]
    return {key.name: key for key in found}


def _keys(cls: type, section: str) -> Iterator[Key]:
    for one in dataclasses.fields(cls):
        name = f"{section}.{one.name}"
        if "FineTuneSpec" in kind_of(one):
            yield from _keys(FineTuneSpec, name)
        else:
            yield _key(one, name)


def _key(one: dataclasses.Field[Any], name: str) -> Key:
    default = default_of(one)
    if default is dataclasses.MISSING:
        shown = ""
    elif isinstance(default, str):
        shown = default
    else:
        shown = ZERO_MEANS.get(name, toml(default)) if default == 0 else toml(default)
    return Key(name, str(one.metadata.get("help", "")), shown, kind_of(one) == "str")


def _ranges(search: Any) -> Iterator[str]:
    """The dotted key of every searched parameter; a table of tables holds those of one family."""
    for name, value in search.items() if isinstance(search, Mapping) else ():
        if isinstance(value, Mapping) and value and all(isinstance(one, Mapping) for one in value.values()):
            yield from (f"search.{name}.{inner}" for inner in value)
        else:
            yield f"search.{name}"


def _range_key(name: str) -> Key | None:
    """The line of a searched parameter says what the setting is and how a range is written."""
    setting = SETTING.get(name.rpartition(".")[2])
    if not name.startswith("search.") or setting is None:
        return None
    words = str(setting.metadata.get("help", "")).rstrip(".")
    return Key(name, f"{words}: {{ low = …, high = … }} or {{ choices = […] }}; empty: not searched.")


def _objectives(raw: Mapping[str, Any]) -> list[Any]:
    found = raw.get("objectives")
    return found if isinstance(found, list) else []


def _objective_key(raw: Mapping[str, Any], name: str) -> Key | None:
    start, _, rest = name.partition(".")
    index, _, leaf = rest.partition(".")
    if start != "objectives" or leaf != "threshold" or not index.isdigit() or int(index) >= len(_objectives(raw)):
        return None
    objective = _objectives(raw)[int(index)]
    metric = objective.get("metric") if isinstance(objective, Mapping) else None
    words = f"The {metric} that a trial must reach, or stay within, to be feasible; empty: no threshold."
    return Key(name, words, label=f"threshold of {safe_line(metric, 40)}")


def _at(raw: Any, dotted: str) -> Any:
    """The value at a dotted key, None when there is none."""
    for part in dotted.split("."):
        if isinstance(raw, Mapping):
            raw = raw.get(part)
        elif isinstance(raw, list) and part.isdigit() and int(part) < len(raw):
            raw = raw[int(part)]
        else:
            return None
    return raw
