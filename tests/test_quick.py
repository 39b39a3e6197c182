"""The quick ring stays quick: what `make quick` runs imports no training library and nothing that trains."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SLOW = ("torch", "transformers", "datasets", "sklearn", "bertdistill.engine.distill")
SLOW += ("tests.tiny", "tests.order", "tests.workers")


def ring() -> tuple[list[str], list[str]]:
    """The files and folders of the ring and the files left out of it, from the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.search(r"^QUICK := (.*)$", text, re.M)
    assert found
    ignored = re.findall(r"--ignore (\S+)", found[1])
    return re.sub(r"--ignore \S+", "", found[1]).split(), ignored


def files() -> Iterator[Path]:
    """Its modules, and what pytest loads before them."""
    named, ignored = ring()
    for name in named:
        path = ROOT / name
        assert path.exists(), f"{name} is in the Makefile and not in the tree"
        found = [path] if path.is_file() else sorted(path.rglob("*.py"))
        yield from (one for one in found if one.relative_to(ROOT).as_posix() not in ignored)
        yield from (parent / "conftest.py" for parent in path.parents if (parent / "conftest.py").exists())


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_nothing_in_it_trains() -> None:
    """Each of these imports costs seconds, and whoever needs one wants a worker as well."""
    slow = {f"{path.relative_to(ROOT)}: {name}" for path in files() for name in imports(path) if name.startswith(SLOW)}
    assert set() == slow
