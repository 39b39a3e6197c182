"""The command that searches the parameters of any program. It parses, calls an action and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import (
    CsvOption,
    DetachOption,
    JsonOption,
    PlainOption,
    RetryOption,
    SetOption,
    WorkspaceOption,
    is_there,
    workspace,
)
from bertdistill.app.commands.stored import reading
from bertdistill.app.commands.studies import run_study
from bertdistill.app.terminal.streams import say
from bertdistill.app.text.command_line import command_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.study.study_spec import ProgramSection, StudySpec


def search(
    study: Annotated[Path, typer.Argument(metavar="SPACE.toml", help="Study file: what to search, the objectives.")],
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- PROGRAM [ARGS]...", help="Default: the command in [program] of the file."),
    ] = None,
    changes: SetOption = None,
    where: WorkspaceOption = None,
    detach: DetachOption = False,
    retry_failed: RetryOption = False,
    plain: PlainOption = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Search the parameters of any program: engine search space.toml -- python train.py --lr {learning_rate}

    {NAME} is replaced by the value of a parameter, {params} by the path of a JSON file with all of them; they are also
    in the environment, as BERTDISTILL_PARAM_NAME. The program prints its metrics as a JSON object on a line, or uses
    bertdistill.start(). Otherwise as `run`.
    """
    from bertdistill.app.views.inputs import read_inputs
    from bertdistill.app.views.program_inputs import program_notes

    ws = workspace(where)
    spec = _search_spec(ws, study, changes or (), command or ())
    if not is_there(ws, spec.name):
        read_inputs(spec)
        for note in program_notes(spec):
            say(note)
    run_study(ws, spec, detach, retry_failed, plain, as_json, as_csv)


def _search_spec(ws: Workspace, path: Path, changes: Sequence[str], command: Sequence[str]) -> StudySpec:
    """The study in the file; without a command, here or there, that of the study that was started from it."""
    from bertdistill.engine.contract.errors import ConfigError
    from bertdistill.engine.study.config import load_study
    from bertdistill.engine.study.study_spec import ProgramSection
    from bertdistill.engine.study.study_text import read_toml

    raw = read_toml(path)
    program = raw.get("program", {})
    if command or not isinstance(program, dict) or "command" in program:
        given = ProgramSection(list(command), str(Path.cwd())) if command else None
        return load_study(path, changes, given)
    known = _known_program(ws, raw.get("name"))
    if known is None:
        hint = f"Add command = [...] to [program], or: {command_line('search', str(path))} -- PROGRAM ARGUMENTS"
        raise ConfigError(f"{path}: [program] command is missing, and none is given after --", hint=hint)
    return load_study(path, changes, known)


def _known_program(ws: Workspace, name: Any) -> ProgramSection | None:
    """The program of a study in the workspace."""
    from bertdistill.engine.study.outline import outline
    from bertdistill.store import reads

    if not ws.database.is_file():
        return None
    with reading(ws) as db, db.read() as session:
        found = next((outline(one).spec for one in reads.studies(session) if one.name == name), None)
    return found.program if found is not None else None


COMMANDS: dict[str, Any] = {"search": search}
