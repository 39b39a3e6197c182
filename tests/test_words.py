"""Phrases that CONTRIBUTING lists as "not here" occur neither in the documents nor in the strings of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from bertdistill.app.reference import PAGES

ROOT = Path(__file__).parent.parent
LIST = ROOT / "CONTRIBUTING.md"


@cache
def phrases() -> re.Pattern[str]:
    """The left column of the table, as whole words in any case, also across lines. "There is no …" is fine."""
    table = LIST.read_text(encoding="utf-8").partition("| not here | instead |\n|---|---|\n")[2]
    cells = re.findall(r"^\| (.+?) \|", table, re.M)
    listed = [r"\s+".join(map(re.escape, phrase.split())) for cell in cells for phrase in cell.split(", ")]
    assert listed
    return re.compile(rf"\b(?<!there\s)(?:{'|'.join(listed)})\b", re.IGNORECASE)


def found(text: str) -> list[str]:
    return [" ".join(match.split()) for match in phrases().findall(text)]


def documents() -> list[Path]:
    """Pages and study files. Generated pages consist of the strings of the code, and the list is its own exception."""
    pages = [path for path in ROOT.glob("docs/**/*.md") if path.name not in PAGES or path.parent.name != "docs"]
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(pages), *sorted(ROOT.glob("sample_configs/*.toml"))]


def modules() -> list[Path]:
    return [path for package in ("app", "client", "engine", "store") for path in sorted((ROOT / package).rglob("*.py"))]


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Literals and docstrings with their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("text", ["Mend it", "the study\n    goes  on", "'x' is no tag", "put away."])
def test_what_is_listed_is_found(text: str) -> None:
    """In any case, across lines, before punctuation."""
    assert 1 == len(found(text))


@pytest.mark.parametrize("text", ["We recommend it", "search_split", "there is no tag", "goes online"])
def test_what_only_contains_it_is_not(text: str) -> None:
    """Parts of words, names of keys and other phrases."""
    assert [] == found(text)


@pytest.mark.parametrize("path", documents(), ids=name)
def test_documents(path: Path) -> None:
    """No page and no study file uses a listed phrase."""
    assert [] == found(path.read_text(encoding="utf-8"))


def test_strings_of_the_code() -> None:
    """No message, help text or docstring uses a listed phrase."""
    assert [] == [
        f"{name(path)}:{line}: {word}" for path in modules() for line, text in strings(path) for word in found(text)
    ]
