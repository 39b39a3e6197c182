"""The command about cascades: cascade. It parses, calls an analysis and prints."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import JsonOption, WorkspaceOption, page_of_output, parse_trial, workspace
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.commands.studies import AnyStudy
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import colour_ok, say, show
from bertdistill.app.text.command_line import command_line

if TYPE_CHECKING:
    from bertdistill.engine.contract.workspace import Workspace

ShareOption = Annotated[
    float | None, typer.Option("--share", metavar="SHARE", help="Target: share passed to the large model, 0 to 1.")
]
ScoreOption = Annotated[
    float | None, typer.Option("--score", metavar="SCORE", help="Target: the first score of the study, in percent.")
]
CostOption = Annotated[
    float | None, typer.Option("--cost", metavar="COST", help="Target: mean cost of an example, in its unit.")
]
MetricOption = Annotated[
    str, typer.Option("--metric", metavar="METRIC", help="Cost: latency_cpu_ms, latency_ms, throughput, gflops …")
]


def cascade(
    study: AnyStudy = "",
    first: Annotated[str, typer.Argument(metavar="A", help="A trial; default: list those on the frontier.")] = "",
    second: Annotated[str, typer.Argument(metavar="B", help="Another trial, or teacher.")] = "teacher",
    where: WorkspaceOption = None,
    share: ShareOption = None,
    score: ScoreOption = None,
    cost: CostOption = None,
    metric: MetricOption = "",
    hard: Annotated[
        Path | None,
        typer.Option(
            "--hard",
            metavar="FILE",
            help="JSON of true and false by validation example: what the oracle passes on instead.",
        ),
    ] = None,
    oracle: Annotated[
        bool, typer.Option("--oracle", help="Measure the shuffle oracle, if that was not done: a pass of the teacher.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Join two classifiers: the cheaper one answers what it is sure of, the other one the rest.

    Score against mean cost by confidence, from stored outputs of the validation split, with random routing and, once
    measured, the shuffle oracle beside it. A target chooses the threshold. Without A, it lists cascades on the
    frontier. See docs/guide/cascades.md.
    """
    from bertdistill.app.report.cascade_text import cascade_text
    from bertdistill.app.text.tables import json_text
    from bertdistill.app.views.cascades import Target, cascade_row
    from bertdistill.engine.analysis.cascade_inputs import read_cascade, read_flags
    from bertdistill.engine.analysis.difficulty import read_hard

    ws = workspace(where)
    with reading(ws) as db:
        name = find_study(db, study).name
    target = Target(share, score, cost)
    if not first:
        if target != Target():
            raise UsageError("a target needs two members", hint=f"engine cascade {name} A B --share 0.2")
        _list(ws, name, as_json=as_json)
        return
    pair = members(first, second, name)
    found = read_cascade(ws, name, *pair, metric=metric)
    chosen = target.choose(found)
    flags = read_hard(ws, name, measure=oracle) if hard is None else read_flags(ws, name, pair[0], hard)
    best, note = None if flags is None else found.oracle(flags), target.note(found)
    text = cascade_text(found, chosen, page_of_output(), best, note)
    show(
        json_text(cascade_row(name, found, chosen, best, note)) if as_json else text,
        coloured=colour_ok() and not as_json,
    )
    if chosen is not None:
        both = ("--cascade", found.small.name.lstrip("#"), found.large.name.lstrip("#"))
        words = ("promote", "--study", name, *both, "--share", f"{chosen.share:.4g}")
        say(f"verify and export it with: {command_line(*words, ws=ws)}")


def members(first: str, second: str, study: str) -> tuple[int, int | None]:
    """Two members as people name them: trials of the study (`7`, `#7`, `study/7`), one of them perhaps `teacher`."""
    if first == "teacher":
        first, second = second, first
    if first == "teacher":
        raise UsageError("the teacher cannot be joined with itself", hint="Name at least one trial.")
    numbers = []
    for text in (first, *(() if second == "teacher" else (second,))):
        one = parse_trial(text, "", [study])
        if one.study != study:
            raise UsageError(
                f"{text} is not a trial of {study}", hint="Both members are of one study: same labels, same split."
            )
        numbers.append(one.number)
    return numbers[0], numbers[1] if len(numbers) == 2 else None


def _list(ws: Workspace, name: str, *, as_json: bool) -> None:
    from bertdistill.app.reader import Reader
    from bertdistill.app.report.cascade_text import joined_text
    from bertdistill.app.text.tables import json_text
    from bertdistill.app.views.cascades import frontier_cascades, joined_row
    from bertdistill.app.views.view import chart_axes
    from bertdistill.engine.analysis.cascade_inputs import open_split
    from bertdistill.engine.analysis.joined import COSTS

    with closing(Reader(ws)) as reader:
        view = reader.view(name)
        open_split(ws, view.study)  # says what is wrong with the study
        points = reader.cascades(view)
    x, y = chart_axes(view)
    if x not in COSTS:
        x = next((cost for cost in COSTS if any(cost in one.values for one in points)), x)
    found = frontier_cascades(view, points, x, y)
    show(json_text([joined_row(one) for one in found]) if as_json else joined_text(found, x, y, page_of_output()))
    if not points:
        say("no two frontier trials have stored outputs and a common cost; trials of older versions have none")


COMMANDS: dict[str, Any] = {"cascade": cascade}
