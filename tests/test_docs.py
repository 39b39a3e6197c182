"""The documentation says what the code does."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bertdistill.app.commands.engine import GROUPS, PANELS
from bertdistill.app.reference import PAGES
from bertdistill.engine.pareto.frontier import ranking
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.study_checks import read_objectives

ROOT = Path(__file__).parent.parent
COMMANDS = {name for commands in (*PANELS, GROUPS) for name in commands}
HAND_WRITTEN = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.glob("docs/**/*.md")
    if path.relative_to(ROOT / "docs").as_posix() not in PAGES
)
FOLDERS = ("app", "benchmarks", "docs", "engine", "sample_configs", "store", "tests")


@pytest.mark.parametrize("name", PAGES)
def test_reference_pages_are_up_to_date(name: str) -> None:
    """`make docs` was run after the last change."""
    assert PAGES[name]() == (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_every_module_says_its_purpose() -> None:
    """Every room is on the page of modules, and every module under its own, if it has a docstring."""
    sections = dict(re.findall(r"^## (\S+)/\n(.*?)(?=^## |\Z)", PAGES["modules.md"](), re.M | re.DOTALL))
    modules = [
        path.relative_to(ROOT)
        for package in ("app", "engine", "store")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name != "__init__.py" and "versions" not in path.parts
    ]
    assert {path.parent.as_posix() for path in modules} == set(sections)
    assert [] == [str(path) for path in modules if f"| `{path.name}` |" not in sections[path.parent.as_posix()]]


def test_every_room_says_its_purpose() -> None:
    """The page of modules has a sentence under each heading."""
    assert [] == re.findall(r"^## \S+\n\n\|", PAGES["modules.md"](), re.M)


@pytest.mark.parametrize(
    "page", sorted(p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
)
def test_links_lead_somewhere(page: str) -> None:
    """Every relative link of every page names a file that is there."""
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text)
    assert [] == [link for link in links if not ((ROOT / page).parent / link).exists()]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *HAND_WRITTEN])
def test_files_named_in_the_pages_exist(page: str) -> None:
    """A path in backticks, from the root of the repository, is a file or a folder."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`", text)
    assert [] == [path for path in named if not (ROOT / path).exists()]


def test_tables_of_results_are_in_the_order_of_the_ranking() -> None:
    """As `engine export --format md` prints them for the study file that each section names."""
    text, found = (ROOT / "docs/results.md").read_text(encoding="utf-8"), 0
    for section in re.split(r"^## ", text, flags=re.M):
        named = re.search(r"`engine run (sample_configs/[\w-]+\.toml)`", section)
        table = [[cell.strip() for cell in line[1:-1].split("|")] for line in section.splitlines() if line[:2] == "| "]
        if not named or not table:
            continue
        objectives, problems = read_objectives(tomllib.loads((ROOT / named[1]).read_text())["objectives"])
        assert ([], "trial") == (problems, table[0][1])
        rows = [(row[1], dict(zip(table[0], map(_number, row), strict=True))) for row in table[1:]]
        assert [key for key, _ in rows] == [row.key for row in ranking(rows, objectives or ())], named[1]
        found += 1
    assert found > 2


def _number(cell: str) -> float | None:
    found = re.fullmatch(r"(-?[\d.]+)( M)?", cell)
    return float(found[1]) * (1e6 if found[2] else 1) if found else None


@pytest.mark.parametrize("page", ["README.md", "docs/guide.md"])
def test_commands_in_the_guides_exist(page: str) -> None:
    """Every command line in the guides starts with the name of a command."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"bertdistill-tui engine ([a-z]+)", text))
    assert named
    assert set() == named - COMMANDS


def test_the_study_of_the_readme_is_valid() -> None:
    """The TOML block loads as it stands."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    spec = study_from_dict(tomllib.loads(block[1]), where="README.md")
    assert f"engine run {spec.name}.toml" in text


def test_the_readme_opens_with_the_two_commands() -> None:
    """`make demo` and `make test` stand in the first code block."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.search(r"```\w*\n(.*?)```", text.split("## ", 1)[1], re.DOTALL)
    assert first is not None
    assert ["make demo", "make test"] == [
        line.split("#")[0].strip() for line in first[1].splitlines() if "make" in line
    ]


def test_changelog_has_this_version() -> None:
    """The version of the package has its section."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{version}]" in text or "## [Unreleased]" in text


def test_the_recording_is_small_and_only_a_picture() -> None:
    """GitHub shows an SVG as an image: no scripts, nothing from elsewhere, no path of whoever recorded it."""
    path = ROOT / "docs" / "pictures" / "recording.svg"
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 650_000
    root = ElementTree.fromstring(text)
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert {"svg", "title", "style", "rect", "defs", "g", "use", "text"} >= names
    assert all(value.startswith("#") for element in root.iter() if (value := element.get("href")))
    assert not re.search(r"url\(|@import|/tmp/|/root|/work", text)
    assert 8 <= float(re.findall(r"animation:f ([\d.]+)s", text)[0]) <= 17
