"""The command that prints what words mean. It opens no workspace."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bertdistill.app.commands.session import JsonOption, page_of_output
from bertdistill.app.errors import UsageError
from bertdistill.app.terminal.streams import show
from bertdistill.app.text.command_line import command_line
from bertdistill.app.text.tables import json_text

if TYPE_CHECKING:
    from bertdistill.app.text.glossary import Entry


def glossary(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[TERM]...", help="Words, metrics or settings; default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What the words, metrics and settings of screens and tables mean, each in one or two sentences.

    Several words are looked up together first: engine glossary report split.
    """
    found = _found(words or [])
    if as_json:
        show(json_text([{"name": e.name, "also": list(e.also), "words": e.words, "page": e.page} for e in found]))
    else:
        show("\n\n".join(_printed(entry, page_of_output().width or 100) for entry in found))


def _found(words: list[str]) -> list[Entry]:
    from bertdistill.app.views.terms import entries, explain

    if whole := explain(" ".join(words)) if words else None:
        return [whole]
    return [_entry(word) for word in words] or sorted(entries().values(), key=lambda entry: entry.name.casefold())


def _entry(word: str) -> Entry:
    from bertdistill.app.views.terms import explain, nearest

    if found := explain(word):
        return found
    near = ", ".join(nearest(word))
    hint = f"Near it: {near}." if near else f"All words: {command_line('glossary')}"
    raise UsageError(f"{word!r} is not in the glossary", hint=hint)


def _printed(entry: Entry, width: int) -> str:
    """The word with other words for the same, then indented what it means and where to read on."""
    head = ", ".join((entry.name, *entry.also))
    page = f" See docs/{entry.page}." if entry.page else ""
    return f"{head}\n{fill(entry.words + page, width, initial_indent='  ', subsequent_indent='  ')}"


COMMANDS: dict[str, Any] = {"glossary": glossary}
