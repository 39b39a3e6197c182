"""Commands about studies: new, plan, run, stop, status, watch and others. They parse, call an action and print."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.attached import conclude, detaching, followed
from bertdistill.app.commands.session import (
    CsvOption,
    DetachOption,
    JsonOption,
    PlainOption,
    RetryOption,
    SetOption,
    WorkspaceOption,
    is_there,
    page_of_output,
    workspace,
)
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.terminal.streams import colour_ok, say, show, show_rows, who
from bertdistill.app.text.command_line import command_line
from bertdistill.engine.contract.facts import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping

    Measured = Mapping[str, Any]

    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.study.study_spec import StudySpec

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Study file.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study.")]
AnyStudy = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study; default: the newest.")]


def new(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Training file: CSV, TSV, JSONL, text;label or SQuAD JSON.")
    ],
    report: Annotated[
        Path | None, typer.Argument(metavar="REPORT", help="File of the same form that only promotions read.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: the name of the data, as .toml here."),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A data key that is not to be guessed, as data.label_column=stars."
        ),
    ] = None,
) -> None:
    """Write a study file for your own data. Columns, labels and lengths are read from it; every guess is reported.

    Without REPORT, a file beside DATA that is named like a test file is it; else a tenth of the examples is held out in
    files beside the study file.
    """
    from bertdistill.engine.contract.errors import ConfigError
    from bertdistill.engine.study.hold_out import hold_out
    from bertdistill.engine.study.template import data_spec, held_back, study_name, study_template

    if report is None and (report := held_back(data)) is not None:
        say(f"data.report = {report}: the file beside it that is named like a test file")
    name = study_name(data)
    target = output or Path(f"{name}.toml")
    if target.exists():
        raise ConfigError(f"{target} already exists", hint="Name another file with --output.")
    spec = data_spec(data, report, changes or ())
    if not spec.report and not spec.hub:
        spec, held = hold_out(spec, target.parent, name)
        say(held or f"{data} has too few examples to hold some out for the report")
    made = study_template(spec, name)
    target.write_text(made.text, encoding="utf-8")
    for guess in made.guesses:
        say(guess)
    say(f"wrote {target}; check it with: {command_line('plan', str(target))}")


def plan(
    study: StudyFile,
    changes: SetOption = None,
    where: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a study file and estimate its cost. Starts nothing."""
    from bertdistill.app.text.tables import json_text
    from bertdistill.app.views.disk_plan import shortage
    from bertdistill.app.views.plan import make_plan, plan_text
    from bertdistill.engine.runner.retention import free_bytes
    from bertdistill.engine.study.config import load_study

    spec = load_study(study, changes or ())
    facts, time, memory = _known_before(workspace(where), spec)
    folder = workspace(where).path
    there = next(one for one in (folder, *folder.absolute().parents) if one.is_dir())
    planned = make_plan(spec, say=say, facts=facts)
    planned |= {"time": time, "memory": memory, "free_bytes": free_bytes(there)}
    if "disk_bytes" in planned and (
        short := shortage(planned["disk_bytes"], free_bytes(there), spec.runner.min_free_gb)
    ):
        say(f"warning: {short}")
    show(json_text(planned) if as_json else plan_text(spec, planned))
    settings = [word for change in changes or () for word in ("--set", change)]
    say(f"start it with: {command_line('run', str(study), *settings, ws=workspace(where))}")


def _known_before(ws: Workspace, spec: StudySpec) -> tuple[Prepared | None, Measured | None, Measured | None]:
    """What earlier studies of the workspace counted and measured on the same data; None without any."""
    from bertdistill.app.views.amounts import prepared_before
    from bertdistill.app.views.plan_memory import measured_memory
    from bertdistill.app.views.plan_time import measured_time
    from bertdistill.store.errors import StoreError

    if spec.program is not None:
        return None, None, None
    try:
        with reading(ws) as db:
            return prepared_before(db, spec), measured_time(db, spec), measured_memory(db, spec)
    except StoreError:
        return None, None, None


def run(
    study: StudyFile,
    changes: SetOption = None,
    where: WorkspaceOption = None,
    detach: DetachOption = False,
    retry_failed: RetryOption = False,
    plain: PlainOption = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Start a study, or attach to it if it is already running.

    Ctrl-c detaches without stopping anything. Ends with the ranked list, the frontier chart and commands to try next.
    """
    from bertdistill.app.views.inputs import read_inputs
    from bertdistill.engine.study.config import load_study

    ws, spec = workspace(where), load_study(study, changes or ())
    if not is_there(ws, spec.name):  # attaching to a study needs no data any more
        read_inputs(spec)
    run_study(ws, spec, detach, retry_failed, plain, as_json, as_csv)


def demo(
    where: WorkspaceOption = None,
    classify: Annotated[
        bool, typer.Option("--classify", help="Classify reviews with several families of students; prints the ladder.")
    ] = False,
    changes: SetOption = None,
    detach: DetachOption = False,
    plain: PlainOption = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Run a small study on synthetic data; needs no network.

    Generates a question answering data set from templates, trains a tiny teacher on it and searches students. With
    --classify: reviews in which word order matters in part, and students from TF-IDF to an encoder, each on labels only
    and distilled from a file of made-up answers.
    """
    from bertdistill.engine.steering.demo_study import QUESTIONS, REVIEWS

    ws, chosen = workspace(where), REVIEWS if classify else QUESTIONS
    spec = chosen.load(ws, changes or ())
    say(f"demo data, generated from templates: {ws.path / chosen.folder}")
    run_study(ws, spec, detach, False, plain, as_json, as_csv)
    if classify and not (detach or as_json or as_csv):
        _show_ladder(ws, spec.name)


def _show_ladder(ws: Workspace, name: str) -> None:
    """The ladder with all that is stored, and how to complete it."""
    from bertdistill.app.report.ladder_text import ladder_text
    from bertdistill.app.views.ladder import read_ladder
    from bertdistill.app.views.view import read_view

    with reading(ws) as db:
        view = read_view(db, name)
    found, _ = read_ladder(ws, view)
    show("\n" + ladder_text(found, page_of_output()), coloured=colour_ok())
    say(f"score the rows on data that nothing was selected on: {command_line('ladder', name, '--verify', ws=ws)}")


def run_study(
    ws: Workspace, spec: StudySpec, detach: bool, retry_failed: bool, plain: bool, as_json: bool, as_csv: bool
) -> None:
    """Start the study, or attach to it, and follow it to its end."""
    from bertdistill.engine.steering import actions

    if spec.notify.command:
        say(f"note: [notify] of this study runs {spec.notify.command[0]} at events")
    began = time.time()
    study = actions.start_study(ws, spec, who=who(), retry_failed=retry_failed)
    with detaching(ws, study.name):
        status = actions.ensure_runner(ws)
        say(f"study {study.name} in {ws.path}; runner: pid {status.pid} on {status.host}, log {ws.runner_log}")
        if detach:
            say(f"watch it with: {command_line('watch', study.name, ws=ws)}")
            return
        view = followed(ws, study.name, plain, since=began)
    conclude(ws, view, as_json, as_csv)


def stop(
    study: AnyStudy = "",
    where: WorkspaceOption = None,
    trial: Annotated[str, typer.Option("--trial", metavar="TRIAL", help="Stop only this trial.")] = "",
    runner: Annotated[
        bool, typer.Option("--runner", help="Stop the runner of the workspace, its workers first.")
    ] = False,
) -> None:
    """Stop a study, one trial, or the runner.

    Workers write a checkpoint first, so `resume` continues from there.
    """
    from bertdistill.app.commands.session import find_trial
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    if runner:
        late = actions.stop_runner(ws, who=who())
        say(late or "the runner will exit after its workers' checkpoints; `run` or `resume` starts a new one")
        return
    _refuse_trial_name(ws, study)
    with reading(ws) as db:
        name = find_trial(db, trial, study) if trial else None
        chosen = name.study if name else find_study(db, study).name
    if name is not None:
        late = actions.stop_trial(ws, name.study, name.number, who=who())
        say(late or f"trial {name.study}/{name.number} will stop after a checkpoint")
    else:
        late = actions.stop_study(ws, chosen, who=who())
        say(late or f"study {chosen} will stop after checkpoints; resume it: {command_line('resume', chosen, ws=ws)}")


def _refuse_trial_name(ws: Workspace, study: str) -> None:
    """`stop toy/0` means a trial: the nearest study name would be the whole study, which was not requested."""
    from bertdistill.engine.contract.errors import InvalidRequest

    if "/" in study:
        command = command_line("stop", "--trial", study, ws=ws)
        raise InvalidRequest(f"{study!r} names a trial, not a study", hint=f"Stop only that trial with: {command}")


def pause(study: AnyStudy = "", where: WorkspaceOption = None) -> None:
    """Launch nothing new in a study. Running trials finish."""
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    with reading(ws) as db:
        name = find_study(db, study).name
    late = actions.pause_study(ws, name, who=who())
    say(late or f"study {name} is paused; resume it: {command_line('resume', name, ws=ws)}")


def resume(
    study: AnyStudy = "",
    where: WorkspaceOption = None,
    retry_failed: RetryOption = False,
) -> None:
    """Resume a paused or stopped study. Starts a runner if there is none."""
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    with reading(ws) as db:
        name = find_study(db, study).name
    actions.resume_study(ws, name, who=who(), retry_failed=retry_failed)
    status = actions.ensure_runner(ws)
    say(f"study {name} is resumed; runner: pid {status.pid}. Watch it: {command_line('watch', name, ws=ws)}")


def status(
    where: WorkspaceOption = None,
    archived: Annotated[bool, typer.Option("--archived", help="Include archived studies.")] = False,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Every study, the runner, what runs now and the newest notices."""
    from bertdistill.app.report.status import read_status, status_text
    from bertdistill.app.text.tables import json_text

    ws = workspace(where)
    with reading(ws) as db:
        found = read_status(db, ws, archived=archived, sure=as_json or as_csv)
    if as_json and not as_csv:
        show(json_text(found))
    else:
        show_rows(found["studies"], status_text(found, page_of_output()), json=as_json, csv=as_csv)


def watch(
    study: AnyStudy = "",
    where: WorkspaceOption = None,
    plain: PlainOption = False,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, metavar="SECONDS", help="Time between two plain progress lines.")
    ] = 10.0,
) -> None:
    """Follow a study until it ends. It starts nothing, and ctrl-c stops nothing."""
    ws = workspace(where)
    with reading(ws) as db:
        name = find_study(db, study).name
    with detaching(ws, name):
        view = followed(ws, name, plain, interval)
    conclude(ws, view, False, False)


COMMANDS: dict[str, Any] = {
    "new": new,
    "plan": plan,
    "run": run,
    "demo": demo,
    "stop": stop,
    "pause": pause,
    "resume": resume,
    "status": status,
    "watch": watch,
}
