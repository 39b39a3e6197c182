"""The wheel holds everything, imports anywhere, and is pinned."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGES = ("app", "engine", "store", "sample_configs", "client")


def project() -> dict[str, Any]:
    """`pyproject.toml`."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """stdout of a command that must succeed; its complaint is the failure."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the built wheel is installed, without dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # A copy, because setuptools leaves build folders beside what it builds.
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source, cwd=folder)
    [wheel] = folder.glob("*.whl")
    target = folder / "target"
    run(*pip, "install", "--no-deps", "--target", target, wheel, cwd=folder)
    return target


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A person's own project, whose names are ours and which must not be imported."""
    (tmp_path / "app.py").write_text("raise SystemExit('the wrong app')")
    for name in ("engine", "store", "bertdistill"):
        (tmp_path / name).mkdir()
        if name != "bertdistill":  # a folder of that name alone is harmless, and people have it: a clone
            (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the wrong {name}')")
    return tmp_path


def test_wheel_imports_from_a_hostile_folder(installed: Path, hostile: Path) -> None:
    """Our packages come from the wheel even where `app.py`, `engine/` and `store/` lie in the way."""
    code = (
        "import bertdistill.app.cli as a, bertdistill.engine.contract.spec as c, bertdistill.store.errors as e\n"
        "import bertdistill.sample_configs as s\n"
        "print(a.__file__, c.__file__, e.__file__, s.__file__, sep='\\n')"
    )
    lines = run(sys.executable, "-c", code, cwd=hostile, PYTHONPATH=str(installed)).splitlines()
    assert [True] * 4 == [Path(line).is_relative_to(installed) for line in lines]


def test_module_command_runs_from_a_hostile_folder(installed: Path, hostile: Path) -> None:
    """`python -m bertdistill.engine` finds its own app."""
    text = run(sys.executable, "-m", "bertdistill.engine", "--help", cwd=hostile, PYTHONPATH=str(installed))
    assert "doctor" in text


def test_demo_study_ships_with_the_wheel(installed: Path, hostile: Path) -> None:
    """The demo needs no clone: its study file is data of the package."""
    code = (
        "import importlib.resources as r, tomllib\n"
        "path = r.files('bertdistill.sample_configs') / 'demo.toml'\n"
        "print(path, tomllib.loads(path.read_text())['name'], sep='\\n')"
    )
    where, name = run(sys.executable, "-c", code, cwd=hostile, PYTHONPATH=str(installed)).splitlines()
    assert (True, "demo") == (Path(where).is_relative_to(installed), name)


def test_wheel_holds_every_file(installed: Path) -> None:
    """Every module, type marker and data file of the clone is in the wheel."""
    wanted = {
        path.relative_to(ROOT).as_posix().removeprefix("client/")  # the package itself, `import bertdistill`
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.suffix in (".py", ".toml", ".txt", ".sql") or path.name == "py.typed"
    }
    shipped = {p.relative_to(installed / "bertdistill").as_posix() for p in (installed / "bertdistill").rglob("*")}
    assert set() == wanted - shipped


def test_wheel_has_licence_and_command(installed: Path) -> None:
    """The licence text and the console script are part of it."""
    [info] = installed.glob("bertdistill_tui-*.dist-info")
    assert "Apache License" in (info / "licenses/LICENSE").read_text()
    assert "bertdistill-tui = bertdistill.app.cli:main" in (info / "entry_points.txt").read_text()


def test_package_list_equals_the_folders() -> None:
    """A forgotten subpackage would work in the clone and be missing from the wheel."""
    folders = [
        path.parent.relative_to(ROOT).as_posix() for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")
    ]
    mapping = {"bertdistill." + folder.replace("/", "."): folder for folder in folders}
    mapping["bertdistill"] = mapping.pop("bertdistill.client")
    setuptools = project()["tool"]["setuptools"]
    assert sorted(mapping) == sorted(setuptools["packages"])
    assert mapping == setuptools["package-dir"]


def test_a_training_logs_from_a_hostile_folder(installed: Path, hostile: Path) -> None:
    """The few lines need nothing but the wheel, not even its dependencies."""
    lines = (
        "import bertdistill",
        "run = bertdistill.start('mine', workspace='ws')",
        "run.log({'x': 1})",
        "print(run.folder)",
    )
    folder = run(sys.executable, "-S", "-c", "\n".join(lines), cwd=hostile, PYTHONPATH=str(installed)).strip()
    assert '"x":1' in (Path(folder) / "events.jsonl").read_text()


def test_every_module_lies_in_a_package() -> None:
    """A folder with modules and without `__init__.py` would not ship."""
    strays = [p for name in PACKAGES for p in (ROOT / name).rglob("*.py") if not (p.parent / "__init__.py").exists()]
    assert [] == strays


def test_constraints_pin_every_requirement() -> None:
    """Each direct requirement, extras included, has one exact version inside its range."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(
        re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines if line and not line.startswith("#")
    )  # type: ignore[union-attr]  # a line that does not match fails the test
    pins = {canonicalize_name(name): version for name, version in pins.items()}
    described = project()["project"]
    extras = [text for name, extra in described["optional-dependencies"].items() if name != "ray" for text in extra]
    wrong = []
    for text in [*described["dependencies"], *extras]:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name), "")
        if not version or version not in requirement.specifier:
            wrong.append(f"{text}: {version or 'no pin'}")
    assert [] == wrong


def test_constraints_hold_no_local_version() -> None:
    """`torch==2.13.0`, not `+cpu`: the same file serves machines with a GPU."""
    assert "+" not in (ROOT / "constraints.txt").read_text()
