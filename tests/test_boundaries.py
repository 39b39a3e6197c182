"""Who loads what, asked of a fresh interpreter: light commands stay light, and the packages stay apart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from bertdistill.app.commands.engine import PANELS

ROOT = Path(__file__).parent.parent
COMMANDS = [name for commands in PANELS for name in commands]
TRAINING = {"torch", "transformers", "datasets", "tokenizers", "safetensors", "sklearn"}
HEAVY = TRAINING | {"optuna", "sqlmodel", "sqlalchemy", "alembic", "textual", "plotext", "numpy", "scipy"}


def loaded(code: str) -> set[str]:
    """Full names of the modules that a fresh interpreter has loaded after `code`."""
    program = f"{code}\nimport sys\nsys.__stdout__.write('\\n' + ' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def tops(modules: Iterable[str]) -> set[str]:
    """Top-level names."""
    return {name.partition(".")[0] for name in modules}


def modules_of(*folders: str, without: str = "") -> list[str]:
    """Importable names of the modules in these folders, subfolders included unless `without` names them."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    names = ["bertdistill." + ".".join(p.relative_to(ROOT).with_suffix("").parts) for p in paths]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    return [name for name in names if not (without and name.startswith(without))]


HELP = (
    "import contextlib\n"
    "from bertdistill.app.cli import main\n"
    "with contextlib.suppress(SystemExit):\n"
    "    main({arguments!r})"
)


@pytest.mark.parametrize("arguments", [["--help"], ["engine", "--help"], ["engine", "run", "--help"], ["--version"]])
def test_help_is_light(arguments: list[str]) -> None:
    """Help loads nothing that a command needs for its work."""
    assert set() == tops(loaded(HELP.format(arguments=arguments))) & HEAVY


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of each command ends well and documents every option."""
    from bertdistill.app.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["engine", command, "--help"])
    text = capsys.readouterr().out
    assert 0 == ended.value.code
    assert f"Usage: bertdistill-tui engine {command}" in text


def test_every_argument_and_option_has_help() -> None:
    """No word of the command line is unexplained."""
    from bertdistill.app.commands.engine import GROUPS
    from bertdistill.app.commands.root import command_line

    commands = command_line(["engine"]).commands["engine"].commands
    grouped = {f"{name} {n}": c for name in GROUPS for n, c in commands[name].commands.items()}
    every = (commands | grouped).items()
    bare = [f"{n} {p.name}" for n, c in every for p in c.params if not p.help and p.name != "help"]
    assert [] == bare
    assert [*COMMANDS, *GROUPS] == list(commands)


def test_contract_is_standard_library_only() -> None:
    """Both sides import it, one without torch and one without a database."""
    names = [name for name in modules_of("engine/contract") if not name.endswith("workspace")]  # the runner's side only
    before = loaded("")
    new = loaded(f"import {', '.join(names)}") - before
    ours = {name for name in new if name.startswith("bertdistill")}
    allowed = {"bertdistill", "bertdistill.engine", "bertdistill.store", "bertdistill.store.errors", *names}
    assert set() == ours - allowed
    assert set() == tops(new - ours) - sys.stdlib_module_names


def test_store_knows_only_itself() -> None:
    """The store imports neither the engine nor the app."""
    names = [name for name in modules_of("store") if ".migrations.versions." not in name and not name.endswith("env")]
    ours = {name for name in loaded(f"import {', '.join(names)}") if name.startswith("bertdistill.")}
    assert {"store"} == {name.split(".")[1] for name in ours}


def test_app_loads_no_training_and_no_search() -> None:
    """All of the app together loads neither torch nor transformers, datasets or optuna."""
    found = loaded(f"import {', '.join(modules_of('app'))}")
    assert set() == tops(found) & (TRAINING | {"optuna"})
    assert set() == {name for name in found if name.startswith("bertdistill.engine.distill.")}


def test_engine_outside_distill_loads_no_training() -> None:
    """The runner's side never pays for torch by importing, and never sees a terminal library."""
    names = modules_of("engine", without="bertdistill.engine.distill")
    assert set() == tops(loaded(f"import {', '.join(names)}")) & (TRAINING - {"sklearn"} | {"textual", "rich", "typer"})


def test_the_runner_starts_without_optuna() -> None:
    """It would hold up the preparation by 0.4 s, and many runners propose nothing."""
    assert set() == tops(loaded("import bertdistill.engine.runner.runner")) & {"optuna", "numpy"}


def test_second_copy_under_another_name_is_refused() -> None:
    """From the clone `import store` finds our folder too; a second copy would define every table twice."""
    done = subprocess.run([sys.executable, "-c", "import store"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (1, True) == (done.returncode, "import this package as bertdistill.store" in done.stderr)


def test_the_app_starts_without_what_its_first_screens_do_not_need() -> None:
    """Each would delay the first paint: SQLAlchemy by 0.4 s, pydantic (typer's checks) by 0.1 s, a whole spec with the
    families by 60 ms, typer by 25 ms, others by some ms."""
    words = ["--workspace", "/nowhere", "--theme", "dark", "--study", "demo"]
    found = loaded(
        "import bertdistill.app.ui, bertdistill.app.screens.studies, bertdistill.app.screens.study\n"
        + HELP.format(arguments=words)  # ends early: this is no terminal
    )
    late = {"sqlalchemy", "sqlmodel", "alembic", "pydantic", "typer", "plotext", "numpy", "psutil", "tree_sitter"}
    assert set() == tops(found) & (late | {"tomllib"})
    rooms = ["app.report", "engine.steering", "engine.contract.attempt", "engine.runner.logged", "engine.runner.ingest"]
    rooms += ["engine.contract.spec", "engine.contract.facts", "engine.families.table", "engine.launch.slots"]
    rooms += [f"engine.study.{name}" for name in ("config", "space", "study_spec", "sections")]
    rooms += [f"engine.analysis.{name}" for name in ("comparison", "coordinates", "scenarios")]
    assert [] == [name for name in found if name.removeprefix("bertdistill.").startswith(tuple(rooms))]
    ours = {name for name in found if name.startswith("bertdistill.app.commands.")}
    assert {f"bertdistill.app.commands.{name}" for name in ("start", "stored")} == ours


def test_a_tiny_trial_loads_little_more_than_torch() -> None:
    """Every attempt that starts cold pays for the imports: those of a transformer are twice those of torch alone."""
    modules = ["worker", "trial", "tasks", "families.tiny", "families.linear"]
    found = loaded("; ".join(f"import bertdistill.engine.distill.{name}" for name in modules))
    other = {"transformers", "datasets", "sklearn", "optuna", "sympy", "huggingface_hub", "pandas", "pyarrow"}
    assert set() == tops(found) & other
    assert set() == {name for name in found if name.startswith(("torch._dynamo", "torch._inductor", "scipy.optimize"))}
