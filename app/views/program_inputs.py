"""What a study of a program needs before it starts, and what is known of it then: the program, where it works, values.

It looks at files and starts nothing.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.program import PARAM_PREFIX, PARAMS, placeholders
from bertdistill.engine.launch.inputs import program_input
from bertdistill.engine.launch.machines import LOCAL
from bertdistill.engine.study import space
from bertdistill.engine.study.program_section import unpassed
from bertdistill.engine.study.study_spec import StudySpec

INTERPRETER = re.compile(r"(python|pypy|perl|ruby|node|julia|Rscript|bash|sh|dash|zsh)[\d.]*")
"""Programs whose first argument, if it is no option, is a file."""


def program_problems(spec: StudySpec) -> Iterator[str]:
    """A sentence for everything that keeps the program from starting here."""
    assert spec.program is not None
    directory, command = Path(spec.program.directory), spec.program.command
    if not directory.is_dir():
        yield f"program.directory = {directory} is not a folder. Correct the path."
        return
    name, *rest = command
    path = spec.program.environment.get("PATH", os.environ.get("PATH"))
    if not any(placeholders([name])) and not _found(name, directory, path):
        where = f"in {directory}" if "/" in name else "on the PATH"
        yield f"program.command: {name} is not a program {where}. Correct it, or set program.directory."
        return
    script = rest[0] if rest and INTERPRETER.fullmatch(Path(name).name) else ""
    for entry in spec.program.files:
        if not (directory / entry).exists():
            yield f"program.files: {entry} is not in {directory}. Correct it, or set program.directory."
    if script and not script.startswith("-") and not any(placeholders([script])) and not (directory / script).is_file():
        yield f"program.command: {script} is not a file in {directory}. Correct it, or set program.directory."


def _found(name: str, directory: Path, path: str | None) -> bool:
    """As the system will look for it: a name with a slash in the working directory, another one on the PATH."""
    if "/" in name:
        return os.access(directory / name, os.X_OK) and (directory / name).is_file()
    return shutil.which(name, path=path) is not None


def program_notes(spec: StudySpec) -> Iterator[str]:
    """What a person should know who starts it."""
    assert spec.program is not None
    names = [*(one.name for one in spec.search), *spec.values]
    if left := unpassed(spec.program.command, names):
        them, they = ("it", "it is") if len(left) == 1 else ("them", "they are")
        yield (
            f"note: {', '.join(left)}: not in the command, so the program must read {them} itself; {they} in "
            f"${PARAM_PREFIX}NAME, in the JSON file ${PARAMS}, and in bertdistill.start().params"
        )

    if far := [name for name in spec.runner.machines if name != LOCAL]:
        sent = _sent_bytes(spec)
        amount = "" if sent is None else f" ({fmt.size(sent)})"
        yield (
            f"note: {', '.join(far)}: each gets a copy of program.files{amount}, once; the program itself, its "
            "packages and all other paths must exist there"
        )


def program_plan(spec: StudySpec) -> dict[str, Any]:
    """What `plan.make_plan` reports of a program."""
    assert spec.program is not None
    return {
        "study": spec.name,
        "trials": spec.budget.trials,
        "distinct": space.count(spec.search, spec.fixed),
        "command": list(spec.program.command),
        "directory": spec.program.directory,
        "sent_bytes": _sent_bytes(spec),
    }


def _sent_bytes(spec: StudySpec) -> int | None:
    """What each other machine gets; None without one, or if a file is missing, which is a problem of its own."""
    assert spec.program is not None
    if all(name == LOCAL for name in spec.runner.machines):
        return None
    try:
        return program_input(Path(spec.program.directory), spec.program.files).size
    except LaunchError:
        return None


def program_facts(spec: StudySpec, planned: Mapping[str, Any]) -> dict[str, str]:
    """The same in words by name."""
    assert spec.program is not None
    distinct, minutes = planned["distinct"], spec.program.minutes
    facts = {
        "trials": f"{planned['trials']} in the budget, "
        + ("more different ones than can be counted" if distinct is None else f"{distinct:,} different ones exist"),
        "hours": f"no new trial after {spec.budget.hours:g}" if spec.budget.hours else "no limit",
        "program": safe_line(" ".join(planned["command"]), 300),
        "works in": safe_line(planned["directory"], 200),
        "a trial": f"at most {minutes:g} minutes" if minutes else "no time limit",
        "baseline": "trial 0" if spec.baseline is not None else "none: the file has no [baseline]",
    }
    if planned["sent_bytes"] is not None:
        far = [safe_line(name, 64) for name in spec.runner.machines if name != LOCAL]
        facts["sent to machines"] = f"{', '.join(far)}: {fmt.size(planned['sent_bytes'])} to each, once"
    facts |= {f"fixed {name}": safe_line(str(value), 100) for name, value in spec.values.items()}
    return facts | {f"search {one.name}": safe_line(space.describe(one), 300) for one in spec.search}
