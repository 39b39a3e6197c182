"""Commands about models: promote, models, ask, score. They parse, call an action and print."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.cascade import CostOption, MetricOption, ScoreOption, ShareOption, members
from bertdistill.app.commands.session import (
    CsvOption,
    JsonOption,
    StudyOption,
    WorkspaceOption,
    find_trial,
    page_of_output,
    workspace,
)
from bertdistill.app.commands.stored import reading
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import say, show, show_rows, who
from bertdistill.app.text.command_line import command_line, unicode_only

if TYPE_CHECKING:
    from bertdistill.app.views.cascades import Target
    from bertdistill.engine.contract.workspace import Workspace
    from bertdistill.engine.pareto.frontier import Objective
    from bertdistill.store.rows import ModelVersion

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="NAME, NAME:VERSION, NAME@ALIAS, or an exported folder.")
]


def promote(
    trial: Annotated[str, typer.Argument(metavar="TRIAL", help="STUDY/NUMBER, or the number with --study.")] = "",
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the model; each promotion creates the next version.")
    ] = "",
    pair: Annotated[
        tuple[str, str] | None,
        typer.Option("--cascade", metavar="A B", help="Instead of TRIAL: two trials, or a trial and `teacher`."),
    ] = None,
    named: Annotated[str, typer.Option("--name", metavar="NAME", help="The same as NAME.")] = "",
    share: ShareOption = None,
    score: ScoreOption = None,
    cost: CostOption = None,
    metric: MetricOption = "",
    study: StudyOption = "",
    where: WorkspaceOption = None,
    alias: Annotated[str, typer.Option("--alias", metavar="ALIAS", help="Point this alias to it once verified.")] = "",
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="Stored with the version and in its model card.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Export even if the repeated score differs.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Return immediately; `models` shows the result.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Verify the best checkpoint of a trial and export it.

    A clean process loads it, repeats its scores and compares them with the record, then scores it on the report
    split. A mismatch is refused. With --cascade it does so for two models and the router between them, whose threshold
    one of --share, --score and --cost chooses on the validation split.
    """
    from bertdistill.app.commands.promotion import follow_promotion, verified_text
    from bertdistill.app.text.tables import json_text
    from bertdistill.app.views.cascades import Target
    from bertdistill.app.views.thresholds import missed_words
    from bertdistill.app.views.view import read_view
    from bertdistill.engine.steering import actions

    ws = workspace(where)
    limits: Sequence[Objective] = ()
    target = Target(share, score, cost)
    if pair is not None:
        version = _promote_cascade(ws, pair, named or trial, name, study, target, metric, alias, note, force=force)
    else:
        if target != Target() or metric:
            raise UsageError("--share, --score, --cost and --metric belong to --cascade A B")
        name = name or named
        if not trial or not name:
            raise UsageError("promote needs a trial and a name", hint="For example: promote demo/7 small-qa")
        with reading(ws) as db:
            source = find_trial(db, trial, study)
            view = read_view(db, source.study)
        chosen = view.trial(source.number)
        if chosen is not None and (missed := missed_words(view.objectives, view.values(chosen))):
            say(f"warning: {source.study}/{source.number} misses a limit of its study: {missed}")
        limits = view.objectives
        version = actions.promote(ws, source.study, source.number, name, alias=alias, note=note, force=force, who=who())
    name = version.name
    model = f"{version.name}:{version.version}"
    if no_wait:
        if as_json:
            show(json_text(_row(ws, version)))
        say(f"{model} is being verified; see {command_line('models', name, ws=ws)}")
        return
    try:
        ended = follow_promotion(ws, version, say=say)
    except KeyboardInterrupt:
        say(f"detached: the verification of {model} continues; see {command_line('models', name, ws=ws)}")
        raise typer.Exit(130) from None
    row = _row(ws, ended)
    show(json_text(row) if as_json else verified_text(row, ended))
    if ended.state != "verified":
        say(f"error: {model} is {ended.state}: {ended.detail}")
        raise typer.Exit(1)
    if missed := missed_words(limits, ended.metrics):
        say(f"warning: {model} misses a limit of its study on the report split: {missed}")
    say(f"try it with: {command_line('ask', model, ws=ws)}")


def _promote_cascade(
    ws: Workspace,
    pair: tuple[str, str],
    name: str,
    extra: str,
    study: str,
    target: Target,
    metric: str,
    alias: str,
    note: str,
    *,
    force: bool,
) -> ModelVersion:
    from bertdistill.app.views.cascades import Target
    from bertdistill.engine.steering.cascades import promote_cascade

    if extra:
        raise UsageError(
            f"--cascade takes the place of TRIAL; {extra!r} is too much",
            hint="promote --study STUDY --cascade A B --name NAME",
        )
    if target == Target():
        raise UsageError("a cascade needs a target", hint="Give --share 0.2, or --score, or --cost.")
    trials = [one for one in pair if one != "teacher"]
    if not trials:
        raise UsageError("the teacher cannot be joined with itself", hint="Name at least one trial.")
    with reading(ws) as db:
        source = find_trial(db, trials[0], study)
    first, second = members(*pair, source.study)
    return promote_cascade(
        ws,
        source.study,
        first,
        second,
        name or f"{source.study}-cascade",
        target.chosen,
        metric=metric,
        alias=alias,
        note=note,
        force=force,
        who=who(),
    )


def _row(ws: Workspace, version: ModelVersion) -> dict[str, Any]:
    from bertdistill.app.commands.promotion import read_models

    return next(r for r in read_models(ws, version.name) if r["version"] == version.version)


def models(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Only versions of this model.")] = "",
    where: WorkspaceOption = None,
    set_alias: Annotated[
        str, typer.Option("--set-alias", metavar="ALIAS=VERSION", help="Point an alias of NAME to a version.")
    ] = "",
    undo_alias: Annotated[
        str, typer.Option("--undo-alias", metavar="ALIAS", help="Point it back to its previous version.")
    ] = "",
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Promoted models with aliases, verified scores and folders.

    With --set-alias or --undo-alias, the alias is moved first.
    """
    from bertdistill.app.commands.promotion import read_models
    from bertdistill.app.report.summary import models_text
    from bertdistill.store.errors import NotFound

    ws = workspace(where)
    if set_alias or undo_alias:
        _move_alias(ws, name, set_alias, undo_alias)
    rows = read_models(ws, name)
    if name and not rows:
        known = ", ".join(dict.fromkeys(row["name"] for row in read_models(ws))) or "none yet"
        raise NotFound(f"model {name!r} does not exist", hint=f"Models: {known}.")
    text = models_text(rows, page_of_output())
    if not rows:
        say(f"no models yet; promote a trial: {command_line('promote', 'STUDY/NUMBER', 'NAME', ws=ws)}")
    show_rows(rows, text, json=as_json, csv=as_csv)


def _move_alias(ws: Workspace, name: str, change: str, undo: str) -> None:
    from bertdistill.engine.steering import actions

    if not name or (change and undo):
        raise UsageError("an alias belongs to one model", hint="Write: models NAME --set-alias ALIAS=VERSION.")
    if undo:
        actions.undo_alias(ws, name, undo, who=who())
        return
    alias, equals, version = change.partition("=")
    if not equals or not re.fullmatch(r"[0-9]{1,9}", version):
        raise UsageError(f"--set-alias {change!r} is not ALIAS=VERSION", hint="For example --set-alias production=3.")
    actions.set_alias(ws, name, alias, int(version), who=who())


def ask(
    model: ModelArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Sentence to classify.")] = "",
    question: Annotated[str, typer.Option("--question", "-q", metavar="TEXT", help="Question to answer.")] = "",
    passage: Annotated[
        str, typer.Option("--passage", "-p", metavar="TEXT", help="Passage to search; - reads stdin.")
    ] = "",
    pair: Annotated[str, typer.Option("--pair", metavar="TEXT", help="Second sentence, for sentence pairs.")] = "",
    teacher: Annotated[
        bool, typer.Option("--teacher", help="Also ask its teacher; both answers with CPU time.")
    ] = False,
    where: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a promoted model a question, or let it classify a text."""
    from bertdistill.app.commands.promotion import ask_both, ask_model, model_folder

    if bool(text) == bool(question):
        raise UsageError(
            "ask needs a question with a passage, or a text that is not empty",
            hint='ask MODEL "a text", or ask MODEL --question "…" --passage "…"',
        )
    if question and not passage:
        raise UsageError("a question needs --passage", hint="Give the passage, or - to read it from stdin.")
    passage = sys.stdin.buffer.read().decode("utf-8", "replace") if passage == "-" else passage
    ws = workspace(where)
    request = (
        {"question": question, "passage": passage} if question else {"text": text} | ({"pair": pair} if pair else {})
    )
    request = {key: unicode_only(value) for key, value in request.items()}
    if teacher:
        show(ask_both(ws, model, request, as_json=as_json))
    else:
        show(ask_model(model_folder(ws, model), request, as_json=as_json))


def score(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="SQuAD 1.1 or 2.0 JSON.")],
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="JSON object: question id to answer text.")
    ],
    null_odds: Annotated[
        Path | None, typer.Option("--null-odds", metavar="FILE", help="JSON object: question id to no-answer odds.")
    ] = None,
    na_prob_thresh: Annotated[
        float | None, typer.Option("--na-prob-thresh", metavar="NUMBER", help="Above these odds: no answer. [1.0]")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a prediction file like the official SQuAD scripts.

    With --null-odds it also prints the best score over all thresholds. The official search walks through ties question
    by question, so its best can be higher than what any threshold reaches, and than a tuned null_threshold of a study.
    """
    from bertdistill.app.text.tables import json_text, pairs
    from bertdistill.engine.tasks.squad import score_files

    if na_prob_thresh is not None and null_odds is None:
        raise UsageError("--na-prob-thresh needs --null-odds", hint="Give the file of no-answer odds, or neither.")
    threshold = 1.0 if na_prob_thresh is None else na_prob_thresh
    found = score_files(data, predictions, null_odds, no_answer_probability_threshold=threshold)
    for message in found.messages():
        say(f"note: {message}")
    values = found.to_dict()
    lines = {k: f"{v:.4f}" if isinstance(v, float) else str(v) for k, v in values.items()}
    show(json_text(values) if as_json else pairs(lines, indent=""))


COMMANDS: dict[str, Any] = {"promote": promote, "models": models, "ask": ask, "score": score}
