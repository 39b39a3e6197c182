"""Study files to start from, shipped or in a folder, and the description in each. It writes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from bertdistill.app.text.safe import safe
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.data.files import did_you_mean, kind
from bertdistill.engine.steering.demo_study import DEMOS, Demo
from bertdistill.engine.study.hold_out import hold_out
from bertdistill.engine.study.study_text import LARGEST_FILE, parse_toml
from bertdistill.engine.study.template import (
    Template,
    clear_header,
    data_spec,
    held_back,
    is_data,
    study_name,
    study_template,
)

SHIPPED, DATA = "shipped", "your data"
ABOUT_DATA = (
    "Your data: a study file is drafted from it.\n\nIts columns, labels and lengths are read and shown before anything "
    "starts. A tenth of the examples is held out for the report, unless a file beside it is named like a test file."
)
MOST_FILES = 200
"""Files looked at in one folder."""
MARKS = ("task", "objectives", "teacher")
"""Top-level keys that distinguish a study file from other TOML, such as pyproject.toml."""


@dataclass(frozen=True)
class Config:
    """One study file. `where` is a word for its place, `about` the comment at its top."""

    path: Path
    where: str
    about: str = ""

    @property
    def name(self) -> str:
        """Of a study file without the suffix, which all of them share."""
        return self.path.name if self.where == DATA else self.path.stem

    @property
    def first_sentence(self) -> str:
        """The comment's first sentence."""
        text = " ".join(self.about.split())
        return text.split(". ")[0].rstrip(".:") if text else ""

    @property
    def demo(self) -> Demo | None:
        """The shipped demo that this is, whose data is generated when it is chosen; None for other files."""
        return DEMOS.get(self.path.name) if self.where == SHIPPED else None


def find_configs(folders: Sequence[tuple[str, Path]]) -> list[Config]:
    """The shipped study files, the demos first, then those of the folders, each (word, path), every file once."""
    shipped = sorted(_in(shipped_folder(), SHIPPED), key=lambda config: (_place(config), config.path.name))
    found = {config.path: config for config in shipped}
    for where, folder in folders:
        for config in _in(folder, where):
            found.setdefault(config.path, config)
    return list(found.values())


def find_data(folder: Path) -> list[Config]:
    """The data files of a folder that a study can be drafted from, by name; a text file is rarely one, and is typed."""
    try:
        found = (path for path in folder.iterdir() if is_data(path) and kind(path) != ".txt" and path.is_file())
        paths = sorted(found)[:MOST_FILES]
    except OSError:
        return []
    return [Config(path.absolute(), DATA, ABOUT_DATA) for path in paths]


def _place(config: Config) -> int:
    """Demos in the order of their table, then the others."""
    return list(DEMOS).index(config.path.name) if config.demo else len(DEMOS)


def demo_file() -> Path:
    """The study file of the demo."""
    return shipped_folder() / next(iter(DEMOS))


def shipped_folder() -> Path:
    """The folder of the sample study files of this installation."""
    return Path(str(files("bertdistill.sample_configs"))).resolve()


def checked_path(text: str) -> Path:
    """The file that a person typed; ConfigError when there is no such file."""
    path = Path(text.strip()).expanduser()
    if not text.strip():
        raise ConfigError(
            "no file was given",
            hint="Type the path of a study file (TOML) or of your data, or choose a study file from the list.",
        )
    if path.is_dir():
        raise ConfigError(f"{path} is a folder", hint="Add the name of a study file (TOML) or of a data file in it.")
    if not path.exists():
        raise ConfigError(
            f"{path}: no such file",
            hint=did_you_mean(path)
            or "Correct the path; a relative path starts from the folder in which the app was started.",
        )
    if not path.is_file():
        raise ConfigError(f"{path} is not a regular file", hint="Type the path of a study file (TOML).")
    return path


def completion(text: str) -> str | None:
    """A path that begins with what was typed: a folder with its slash, a TOML file or a data file; None without one."""
    if not text or text.endswith("~"):
        return None
    folder_text, slash, start = text.rpartition("/")
    try:
        folder = Path(f"{folder_text}{slash}" or ".").expanduser()
        entries = sorted(folder.iterdir())[:MOST_FILES]
        for entry in entries:
            hidden = entry.name.startswith(".") and not start.startswith(".")
            hidden |= entry.name != safe(entry.name)  # it would drive the terminal while it is only suggested
            if entry.name.startswith(start) and not hidden and (entry.is_dir() or is_offered(entry)):
                return f"{folder_text}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
    except (OSError, RuntimeError, ValueError):  # `~nobody` has no home, a null character no path
        return None
    return None


def own_study(data: Path, folder: Path, changes: Sequence[str] = ()) -> tuple[Path, Template]:
    """Write a study file for a file of one's own data into a folder, and return it with what was guessed.

    A file beside it that is named like a test file is held back for the report; without one, a tenth of the examples
    is, in files beside the study file. `changes` are `data.key=value`.
    ConfigError for data that cannot be read, and where a column is not clear; HeaderUnclear if the header is not.
    """
    name, beside = study_name(data), held_back(data)
    spec, held = data_spec(data, beside, changes), ""
    clear_header(spec)
    if not spec.report and not spec.hub:
        spec, held = hold_out(spec, folder, name)
    made = study_template(spec, name)
    made = replace(made, guesses=(*([held] if held else []), *made.guesses))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in itertools.count(1):
        path = folder / (f"{name}.toml" if number == 1 else f"{name}-{number}.toml")
        if not path.exists() or path.read_text(encoding="utf-8") == made.text:
            path.write_text(made.text, encoding="utf-8")
            return path, made
    raise AssertionError("never: the numbers do not end")


def is_offered(path: Path) -> bool:
    """Whether a study can begin from this file, by its name."""
    return path.suffix == ".toml" or is_data(path)


def _in(folder: Path, where: str) -> Iterator[Config]:
    try:
        paths = sorted(path for path in folder.glob("*.toml") if path.is_file())[:MOST_FILES]
    except OSError:
        return
    for path in paths:
        try:
            status = path.stat()
            about = _about(path, status.st_mtime_ns) if status.st_size <= LARGEST_FILE else None
        except OSError:
            continue
        if about is not None:
            yield Config(path.resolve(), where, about)


@lru_cache(maxsize=1000)
def _about(path: Path, changed_ns: int) -> str | None:
    """The comment at the top of a study file, also of an invalid one, which can be fixed; None for other files."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        keys = parse_toml(text)
    except ValueError:
        keys = {key: None for key in MARKS if f"[{key}]" in text or f"\n{key} =" in text}
    return comment(text) if any(key in keys for key in MARKS) else None


def comment(text: str) -> str:
    """The block of comment lines that a file begins with, without its `#`: a paragraph a line, what is indented as is.

    The screen wraps it, so line ends inside a paragraph would make it ragged.
    """
    lines: list[str] = []
    for line in text.lstrip("\ufeff\n").splitlines():
        if not line.startswith("#"):
            break
        words = line.removeprefix("#").removeprefix(" ").rstrip()
        if lines and all(one and not one.startswith((" ", "- ", "* ")) for one in (lines[-1], words)):
            lines[-1] += f" {words}"
        else:
            lines.append(words)
    return "\n".join(lines).strip()
