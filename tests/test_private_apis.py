"""Private names of other packages are listed in a decision, with the test that would notice their end."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import bertdistill.app
import bertdistill.engine.search

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/decisions/015-private-apis.md"
OPEN = {"os._exit"}
"""Documented in spite of its underscore."""
OWN = ("bertdistill", "__future__", "_typeshed")
"""Ours, the language's, and the type checker's, which exists for annotations alone."""

Use = tuple[str, str]
"""A module of ours, and a private name that it uses."""


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def modules() -> list[Path]:
    return [path for package in ("app", "client", "engine", "store") for path in sorted((ROOT / package).rglob("*.py"))]


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def defined(path: Path) -> frozenset[str]:
    """Private names that a module gives to its own classes and objects."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            found.add(node.attr)
    return frozenset(name for name in found if private(name))


def imported(path: Path) -> Iterator[Path]:
    """The modules of ours that it takes names from: their classes may be its bases."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bertdistill."):
            file = ROOT / (node.module or "").removeprefix("bertdistill.").replace(".", "/")
            yield from (one for one in (file.with_suffix(".py"),) if one.exists())


def uses(path: Path) -> Iterator[str]:
    """Private modules that it imports and private attributes that nobody here defines."""
    ours = defined(path).union(*map(defined, imported(path)))
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] not in OWN:
            if any(map(private, [*(node.module or "").split("."), *(alias.name for alias in node.names)])):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and private(node.attr) and node.attr not in ours:
            yield from () if ast.unparse(node) in OPEN else (node.attr,)


def overrides(package: ModuleType) -> Iterator[Use]:
    """Private methods of a foreign class that a class of ours replaces."""
    for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        module = importlib.import_module(info.name)
        for kind in vars(module).values():
            if not inspect.isclass(kind) or kind.__module__ != info.name:
                continue
            foreign = [base for base in kind.__mro__ if not base.__module__.startswith("bertdistill.")]
            for name, value in vars(kind).items():
                if private(name) and inspect.isfunction(value) and any(name in vars(base) for base in foreign):
                    path = Path(inspect.getfile(kind)).resolve().relative_to(ROOT).as_posix()
                    yield path, name


def test_every_private_name_is_listed() -> None:
    """The page and the code name the same ones, so that whoever moves a pin knows what to try."""
    used = {(path.relative_to(ROOT).as_posix(), name) for path in modules() for name in uses(path)}
    used |= {*overrides(bertdistill.app), *overrides(bertdistill.engine.search)}
    assert used == listed()


def listed() -> set[Use]:
    rows = re.findall(r"^\| \w+ \| (.+?) \| `(.+?)` \|", PAGE.read_text(encoding="utf-8"), re.M)
    return {(path, name) for names, path in rows for name in re.findall(r"`(.+?)`", names)}


def test_the_tests_that_would_notice_exist() -> None:
    """Each row names one, by file and perhaps function."""
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?` \|$", PAGE.read_text(encoding="utf-8"), re.M)
    rows = re.findall(r"^\| \w+ \| .*`tests/.*\|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert len(rows) == len(named) > 0
    for file, function in named:
        assert f"def {function}" in (ROOT / file).read_text(encoding="utf-8")
