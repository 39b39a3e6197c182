"""How a person wants the terminal app: the config file, what was typed, and the defaults, in one frozen value.

It opens no screen and knows no binding: the ids that may be remapped are an argument. `--help` imports this module, so
whatever is heavy is imported inside functions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from bertdistill.engine.study.sections import Problem

Theme = Literal["auto", "dark", "light", "ansi"]
Marker = Literal["braille", "hd", "ascii"]
Alert = Literal["none", "bell", "desktop"]

SLOWEST, FASTEST = 0.1, 10.0
"""Limits of `refresh` in Hz."""
LOCAL_REFRESH, REMOTE_REFRESH = 2.0, 1.0
"""Looks at the database a second: on this machine, and over SSH."""
KEYS = ("theme", "marker", "mouse", "refresh", "notify", "keys")
_KEY = re.compile(r"(?:(?:ctrl|alt|shift|super|hyper|meta)\+)*(?:[a-z][a-z0-9_]+|[^\s,])")


@dataclass(frozen=True)
class Options:
    """What the terminal app is started with. `refresh` is in Hz; `keymap` is binding id -> comma separated keys."""

    workspace: Path
    study_file: Path | None = None
    open_study: str = ""
    theme: Theme = "auto"
    marker: Marker = "braille"
    mouse: bool = True
    refresh: float = LOCAL_REFRESH
    notify: Alert = "none"
    """How to call for attention when a study ends, fails or pauses, or a trial fails."""
    keymap: Mapping[str, str] = field(default_factory=dict)
    state: Path | None = None
    """Folder of what is remembered of the user; None: nothing is, and there are no hints."""


@dataclass(frozen=True)
class Wishes:
    """Preferences from one source, the config file or the command line; None where it says nothing."""

    theme: Theme | None = None
    marker: Marker | None = None
    mouse: bool | None = None
    refresh: float | None = None
    notify: Alert | None = None
    keymap: Mapping[str, str] = field(default_factory=dict)


POOR_FONT = re.compile(r"linux(-.*)?|vt\d+.*|cons25.*")
"""Values of TERM of consoles whose fonts have no braille and no stars, and often no more than ASCII."""


def options(
    workspace: Path,
    typed: Wishes,
    environ: Mapping[str, str],
    action_ids: Collection[str],
    *,
    study_file: Path | None = None,
    open_study: str = "",
) -> Options:
    """Typed options, else the config file's, else the defaults; ConfigError when the config file is wrong."""
    path = config_path(environ)
    filed = read_config(path, action_ids) if path is not None else Wishes()
    slow = bool(environ.get("SSH_CONNECTION"))
    return Options(
        workspace=workspace,
        study_file=study_file,
        open_study=open_study,
        theme=typed.theme or filed.theme or "auto",
        marker=typed.marker or filed.marker or ("ascii" if POOR_FONT.fullmatch(environ.get("TERM", "")) else "braille"),
        mouse=next((wish for wish in (typed.mouse, filed.mouse) if wish is not None), True),
        refresh=typed.refresh or filed.refresh or (REMOTE_REFRESH if slow else LOCAL_REFRESH),
        notify=typed.notify or filed.notify or "none",
        keymap={**filed.keymap, **typed.keymap},
        state=state_path(environ),
    )


def config_path(environ: Mapping[str, str]) -> Path | None:
    """Where the config file belongs; None without a home. A relative XDG_CONFIG_HOME counts as unset, says XDG."""
    folder = _user_folder(environ, "XDG_CONFIG_HOME", ".config")
    return None if folder is None else folder / "config.toml"


def state_path(environ: Mapping[str, str]) -> Path | None:
    """The folder of what is remembered of the user; None without a home."""
    return _user_folder(environ, "XDG_STATE_HOME", ".local/state")


def _user_folder(environ: Mapping[str, str], variable: str, usual: str) -> Path | None:
    named = Path(environ.get(variable) or "")
    if not named.is_absolute():
        if not environ.get("HOME"):
            return None
        named = Path(environ["HOME"]) / usual
    return named / "bertdistill-tui"


def read_config(path: Path, action_ids: Collection[str]) -> Wishes:
    """The config file, or no wishes when there is none; raises ConfigError with every problem on a line."""
    if not path.exists():
        return Wishes()
    from bertdistill.engine.contract.errors import ConfigError
    from bertdistill.engine.study.study_text import read_toml

    raw = read_toml(path)
    problems = _problems(raw, action_ids)
    if problems:
        hint = f"Fix the file, or move it away: without {path.name} the defaults apply."
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems), hint=hint)
    refresh = raw.get("refresh")
    return Wishes(
        theme=raw.get("theme"),
        marker=raw.get("marker"),
        mouse=raw.get("mouse"),
        refresh=None if refresh is None else float(refresh),
        notify=raw.get("notify"),
        keymap={name: _tidy(keys) for name, keys in raw.get("keys", {}).items()},
    )


def _problems(raw: Mapping[str, Any], action_ids: Collection[str]) -> list[Problem]:
    from bertdistill.engine.study.sections import Problem, not_a_table, unknown_keys

    problems = unknown_keys(raw, KEYS, "")
    for key, check in _CHECKS.items():
        if key in raw and (text := check(raw[key])):
            problems.append(Problem("", key, text))
    table = raw.get("keys", {})
    if not isinstance(table, Mapping):
        return [*problems, not_a_table("keys")]
    problems += unknown_keys(table, action_ids, "keys")
    return problems + [
        Problem("keys", name, text)
        for name, keys in table.items()
        if name in action_ids and (text := _keys_problem(keys))
    ]


def _choice_problem(value: Any, choices: tuple[str, ...]) -> str:
    from bertdistill.engine.study.sections import one_of, shown

    return "" if value in choices else f"= {shown(value)} is not valid; use {one_of(choices)}"


def _mouse_problem(value: Any) -> str:
    from bertdistill.engine.study.sections import shown

    return "" if isinstance(value, bool) else f"= {shown(value)} must be true or false, without quotes"


def _refresh_problem(value: Any) -> str:
    from bertdistill.engine.study.sections import is_number, limit_problem, shown

    if not is_number(value):
        return f"= {shown(value)} must be a number: looks a second, {SLOWEST:g} to {FASTEST:g}"
    return limit_problem(value, SLOWEST, FASTEST)


_CHECKS: dict[str, Callable[[Any], str]] = {
    "theme": lambda value: _choice_problem(value, get_args(Theme)),
    "marker": lambda value: _choice_problem(value, get_args(Marker)),
    "mouse": _mouse_problem,
    "refresh": _refresh_problem,
    "notify": lambda value: _choice_problem(value, get_args(Alert)),
}


def _keys_problem(value: Any) -> str:
    from bertdistill.engine.study.sections import shown

    if not isinstance(value, str):
        return f'= {shown(value)} must be text: keys with commas between, as "r,ctrl+r"'
    for key in value.split(","):
        if not _KEY.fullmatch(key.strip()):
            remedy = "write r, R, ctrl+r, f5, space, comma or question_mark"
            return f"= {shown(value)}: {shown(key.strip())} is not a key; {remedy}"
    return ""


def _tidy(keys: str) -> str:
    return ",".join(key.strip() for key in keys.split(","))
