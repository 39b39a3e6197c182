"""The command about passages that are read once: passages build, passages ask. It parses, starts a process, prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bertdistill.app.commands.models import ModelArgument
from bertdistill.app.commands.session import JsonOption, WorkspaceOption, workspace
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import show
from bertdistill.app.text.command_line import unicode_only

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULE = "bertdistill.engine.distill.export.passages"


def passages(
    action: Annotated[Literal["build", "ask"], typer.Argument(metavar="BUILD|ASK", help="`build` or `ask`.")],
    model: ModelArgument,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="build: FILE with the passages, SQuAD JSON or a text file with one on each line. ask: FOLDER of built "
            "passages.",
        ),
    ],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="ask: the question.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FOLDER", help="build: the folder to create.")
    ] = None,
    numbers: Annotated[
        Literal["fp16", "fp32"],
        typer.Option("--numbers", metavar="FORMAT", help="build: fp16, or fp32 of twice the size. [fp16]"),
    ] = "fp16",
    passage: Annotated[
        int, typer.Option("--passage", metavar="N", min=0, help="ask: only this passage, from 1; 0 asks about all.")
    ] = 0,
    compare: Annotated[
        bool, typer.Option("--compare", help="ask: also read the passages again; both CPU times.")
    ] = False,
    where: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read passages once with a model that has separate layers, and ask about them.

    `passages build MODEL FILE -o FOLDER` stores what the separate layers make of every passage. `passages ask MODEL
    FOLDER QUESTION` computes those layers for the question alone, and the upper layers for both.
    """
    from bertdistill.app.commands.promotion import answered, model_folder
    from bertdistill.app.text.tables import json_text

    if action == "build" and (output is None or question):
        raise UsageError("build needs a file and a folder", hint="passages build MODEL FILE -o FOLDER")
    if action == "ask" and (output is not None or not question.strip()):
        raise UsageError("ask needs a folder and a question", hint='passages ask MODEL FOLDER "Who …?"')
    folder = str(model_folder(workspace(where), model))
    order: dict[str, Any] = {"model": folder}
    if action == "build":
        order |= {"file": str(source), "folder": str(output), "numbers": numbers}
    else:
        order |= {"folder": str(source), "question": unicode_only(question), "passage": passage, "compare": compare}
    found = answered([MODULE], {action: order}, f"{folder}: the model did not answer")
    show(json_text(found) if as_json else built_text(found) if action == "build" else asked_text(found))


def built_text(found: Mapping[str, Any]) -> str:
    """The size of new passages."""
    from bertdistill.app.text.safe import safe_line
    from bertdistill.app.text.tables import pairs

    counts = {name: f"{found[name]:,}" for name in ("passages", "windows", "tokens", "bytes", "bytes_per_passage")}
    rows = {"folder": safe_line(found["folder"], 1000), **counts, "numbers": safe_line(found["numbers"])}
    rows |= {"separate layers": str(found["separate_layers"]), "CPU time": f"{found['cpu_seconds']:.2f} s"}
    return pairs(rows)


def asked_text(found: Mapping[str, Any]) -> str:
    """The answer, and what it took with and without the stored passages."""
    from bertdistill.app.commands.promotion import answer_text

    cached, whole = found["latency_cached_ms"], found.get("latency_cpu_ms")
    rest = {name: value for name, value in found.items() if not name.startswith("latency_")}
    times = f"CPU time: {cached:.1f} ms for {found['windows']:,} windows"
    if whole is not None:
        times += f", {whole:.1f} ms if they are read again ({whole / cached:.2f} times as long)"
    return f"{answer_text(rest)}\n{times}"


COMMANDS: dict[str, Any] = {"passages": passages}
