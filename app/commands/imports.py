"""The command that imports what other trackers have stored. It reads none of their files and decides nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import JsonOption, WorkspaceOption, workspace
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import say, show
from bertdistill.app.text.command_line import command_line

if TYPE_CHECKING:
    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.interchange.importing import Imported, Outcome
    from bertdistill.engine.pareto.frontier import Objective

INTERRUPTED = 130
_EVERY_S = 2.0
"""Seconds between two messages about the progress."""


def import_source(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file, a folder or an SQLite URL.")],
    study: Annotated[str, typer.Option("--study", metavar="NAME", help="Study here; default: as in the source.")] = "",
    tracker: Annotated[
        str,
        typer.Option("--as", metavar="TRACKER", help="csv, mlflow, optuna, tensorboard, trackio or wandb."),
    ] = "",
    only: Annotated[
        str, typer.Option("--only", metavar="NAME", help="Only this study, experiment or project of the source.")
    ] = "",
    maximize: Annotated[
        list[str] | None, typer.Option("--maximize", metavar="METRIC", help="An objective; may be repeated.")
    ] = None,
    minimize: Annotated[
        list[str] | None, typer.Option("--minimize", metavar="METRIC", help="An objective; may be repeated.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="COLUMN", help="A column of a CSV file that is a metric.")
    ] = None,
    where: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import runs of optuna, MLflow, W&B (offline), TensorBoard, Trackio or a CSV file as a study of logged runs.

    The source is only read, and may be in use. Importing it again adds what is new since. What has no place here is
    counted.
    """
    from bertdistill.engine.interchange.importing import Wanted

    ws = workspace(where)
    objectives = tuple(_objectives(maximize or (), minimize or ()))
    columns = (*(metric or ()), *(one.metric for one in objectives)) if metric or objectives else ()
    outcome = _import(ws, source, tracker, Wanted(study, only, objectives, columns))
    rows = [_row(one) for one in outcome.studies]
    if as_json:
        from bertdistill.app.text.tables import json_text

        show(json_text({"studies": rows, "left_out": dict(_counts(outcome))}))
    else:
        show("\n".join(_sentences(outcome.studies)) or "nothing to import: no runs")
    if left := ", ".join(f"{count:,} {what}" for what, count in _counts(outcome).most_common()):
        say(f"not imported: {left}")
    for problem in outcome.problems:
        say(f"error: {problem}")
        say(f"hint: {problem.hint}")
    if outcome.problems:
        raise typer.Exit(1)


def _import(ws: Workspace, source: str, tracker: str, wanted: Any) -> Outcome:
    from bertdistill.engine.interchange.importing import run_import
    from bertdistill.engine.interchange.readers.forms import TRACKERS, form_of, local_path
    from bertdistill.store.db import open_db

    if tracker and tracker not in TRACKERS:
        raise UsageError(f"{tracker!r} is not a tracker that is known", hint=f"Known are {', '.join(TRACKERS)}.")
    path = local_path(source)
    form = form_of(path, tracker)
    say(f"{path}: {form.what}")
    ws.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = open_db(ws.path)
    try:
        with _interruptible(ws, source) as tell:
            return run_import(db, ws, form, path, wanted, now=time.time(), tell=tell)
    finally:
        db.close()


@contextmanager
def _interruptible(ws: Workspace, source: str) -> Iterator[Callable[[Imported], None]]:
    """Says every few seconds what is stored, and after ctrl-c how to continue."""
    said = time.monotonic()

    def tell(done: Imported) -> None:
        nonlocal said
        if time.monotonic() - said >= _EVERY_S:
            said = time.monotonic()
            say(f"{done.study}: {done.new:,} new runs, {done.points:,} points so far")

    try:
        yield tell
    except KeyboardInterrupt:
        say(f"interrupted; what was stored stays. Continue: {command_line('import', source, ws=ws)}")
        raise typer.Exit(INTERRUPTED) from None


def _objectives(maximize: Sequence[str], minimize: Sequence[str]) -> Iterator[Objective]:
    from bertdistill.engine.pareto.frontier import Objective

    for name, count in Counter([*maximize, *minimize]).items():
        if count > 1:
            raise UsageError(f"{name!r} is named as an objective {count} times", hint="Name each metric once.")
    yield from (Objective(name, "maximize") for name in maximize)
    yield from (Objective(name, "minimize") for name in minimize)


def _row(one: Imported) -> dict[str, Any]:
    return {
        "study": one.study,
        "source": one.source,
        "new_runs": one.new,
        "changed_runs": one.changed,
        "points": one.points,
    }


def _sentences(studies: Iterable[Imported]) -> Iterator[str]:
    from bertdistill.app.text.safe import safe_line

    for one in studies:
        name = safe_line(one.study, 64)
        if not (one.new or one.changed):
            yield f"{name}: nothing new"
            continue
        runs = f"{one.new:,} new {'run' if one.new == 1 else 'runs'}" if one.new else ""
        changed = f"{one.changed:,} changed" if one.changed else ""
        yield f"{name}: {', '.join(filter(None, (runs, changed)))}, {one.points:,} points"


def _counts(outcome: Outcome) -> Counter[str]:
    """What was left out, without what there is none of."""
    found = Counter(outcome.left_out)
    for one in outcome.studies:
        found.update(one.left_out)
    return Counter({what: count for what, count in found.items() if count > 0})


COMMANDS: dict[str, Any] = {"import": import_source}
