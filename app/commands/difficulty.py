"""The command about word order: difficulty. It parses, calls the analysis and prints."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bertdistill.app.commands.session import JsonOption, WorkspaceOption, page_of_output, workspace
from bertdistill.app.commands.stored import find_study, reading
from bertdistill.app.commands.studies import AnyStudy
from bertdistill.app.terminal.streams import colour_ok, show


def difficulty(
    study: AnyStudy = "",
    where: WorkspaceOption = None,
    trial: Annotated[
        int | None,
        typer.Option("--trial", metavar="NUMBER", min=0, help="Best checkpoint of this trial instead of the teacher."),
    ] = None,
    ngram: Annotated[
        int, typer.Option("--ngram", metavar="N", min=1, max=3, help="Words that stay together: 1 to 3.")
    ] = 1,
    shuffles: Annotated[
        int, typer.Option("--shuffles", metavar="K", min=1, max=1000, help="Shuffles of every example.")
    ] = 3,
    examples: Annotated[
        int, typer.Option("--examples", metavar="N", min=0, help="Maximum number of examples; 0 uses all.")
    ] = 300,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the shuffles.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure how much a text classifier depends on word order, and which student it predicts.

    Word order sensitivity (WOS) of the teacher on the validation split: 0 if shuffled words change no correct
    prediction, 1 if they leave only chance. The first time it runs the model; docs/analysis.md explains the number.
    """
    from bertdistill.app.report.difficulty_text import difficulty_text
    from bertdistill.app.text.tables import json_text
    from bertdistill.app.views.difficulty import difficulty as shown_of
    from bertdistill.app.views.difficulty import difficulty_row
    from bertdistill.app.views.view import read_view
    from bertdistill.engine.analysis.difficulty import read_word_order
    from bertdistill.engine.tasks.word_order import Shuffling

    ws = workspace(where)
    with reading(ws) as db:
        view = read_view(db, find_study(db, study).name)
    measured = read_word_order(ws, view.study.name, trial, Shuffling(ngram, shuffles, examples, seed))
    shown = shown_of(view, trial, measured.found)
    if as_json:
        show(json_text(difficulty_row(shown, cached=measured.cached)))
    else:
        show(difficulty_text(shown, page_of_output()), coloured=colour_ok())


COMMANDS: dict[str, Any] = {"difficulty": difficulty}
