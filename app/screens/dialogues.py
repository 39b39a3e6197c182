"""Small questions over a screen: confirm, type a line, copy. They decide nothing; the caller acts on the answer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, Label, OptionList

from bertdistill.app.bindings import Once, bindings, key_of
from bertdistill.app.screens.host import Hosted
from bertdistill.app.terminal.terminal import copy_sequence
from bertdistill.app.text.command_line import without_path
from bertdistill.app.text.safe import LONGEST_LINE, error_line, safe, safe_line
from bertdistill.app.widgets.titles import entitle
from bertdistill.store.errors import BertDistillError

Found = TypeVar("Found")
Change = tuple[Callable[[], Any], Callable[[Any], str]]
"""An action of the engine, and the message for its result."""


class Confirm(Once, ModalScreen[bool]):
    """A question with two answers; the safe one has the focus, and escape means it."""

    PLACE = "confirm"
    BINDINGS: ClassVar = bindings("confirm")

    def __init__(self, question: str, *, yes: str, no: str = "Keep it") -> None:
        super().__init__()
        self._question, self._yes, self._no = question, yes, no

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Label(Text(safe(self._question, 1000)), id="question")
            with Horizontal(classes="buttons"):
                yield Button(Text(safe_line(f"{self._no} (n)")), id="no")
                yield Button(Text(safe_line(f"{self._yes} (y)")), id="yes", variant="warning")

    def on_mount(self) -> None:
        self.query_one("#no", Button).focus()

    def reword(self, question: str) -> None:
        """Ask the same with what has become known meanwhile."""
        if question != self._question and self.is_mounted:
            self._question = question
            self.query_one("#question", Label).update(Text(safe(question, 1000)))

    def action_yes(self) -> None:
        self.dismiss(True)

    def action_no(self) -> None:
        self.dismiss(False)

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class Writing(Hosted, Once, ModalScreen[Any]):
    """A dialogue that writes: it stays open, with the typed text, until that succeeds, and says why if it fails."""

    _busy = False
    _had_focus: Widget | None = None

    def say(self, words: str) -> None:
        """Show the problem or the progress in the line `#problem`."""
        line = self.query_one("#problem", Label)
        line.update(Text(safe(words, 800)))
        if words:
            self.call_after_refresh(line.scroll_visible, animate=False)

    def write(self, work: Callable[[], Found], done: Callable[[Found], str]) -> None:
        """Do `work` in a thread, then close and show what `done` returns; one at a time."""
        if self._busy:
            return
        self._set_busy(True)
        self.say("Writing …")

        def written(result: Found) -> str:
            self._set_busy(False)
            self.say("")
            if self.is_current:
                self.dismiss(None)
            return done(result)

        self.ui.act(work, written, self._refused)

    def _refused(self, error: Exception) -> None:
        self._set_busy(False)
        self.say(f"Not written: {error_line(error)}")

    def _set_busy(self, busy: bool) -> None:
        """Nothing can be typed during a write: it would be lost when the dialogue closes."""
        if busy:
            self._had_focus = self.focused
        self._busy = busy
        self.query_one(".dialogue").disabled = busy
        if not busy and self._had_focus is not None:
            self._had_focus.focus()

    def action_cancel(self) -> None:
        if self._busy:
            self.say("Still writing: waiting for the database. The dialogue closes when it is done.")
        else:
            self.dismiss(None)


class Ask(Writing):
    """One line of input; `check` reports what is wrong with it while it is typed, by raising our error.

    With `write` the line is written before it closes: it returns the action for what was typed, and the message.
    """

    PLACE = "dialogue"
    BINDINGS: ClassVar = bindings("dialogue")

    def __init__(
        self,
        title: str,
        *,
        value: str = "",
        placeholder: str = "",
        check: Callable[[str], object] | None = None,
        write: Callable[[str], Change] | None = None,
    ) -> None:
        super().__init__()
        self._title, self._value, self._placeholder = title, value, placeholder
        self._check, self._write = check, write

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Label(Text(safe(self._title, 1000)))
            yield Input(self._value, placeholder=self._placeholder, max_length=LONGEST_LINE)
            yield Label("", id="problem", markup=False)

    def on_mount(self) -> None:
        cancel = key_of("cancel", self.ui.options.keymap)
        entitle(self.query_one(".dialogue"), subtitle=f"enter confirms, {cancel} cancels")

    def problem(self, text: str) -> str:
        """What is wrong with `text`, empty when nothing is."""
        try:
            if self._check is not None:
                self._check(text)
        except BertDistillError as error:
            return error_line(error)
        return ""

    @on(Input.Changed)
    def judge(self, event: Input.Changed) -> None:
        self.say(self.problem(event.value))

    @on(Input.Submitted)
    def submit(self, event: Input.Submitted) -> None:
        if problem := self.problem(event.value):
            self.say(problem)  # an empty line has not been judged yet
        elif self._write is None:
            self.dismiss(event.value)
        else:
            self.write(*self._write(event.value))


class Choice(Once, ModalScreen[str | None]):
    """A question with one letter per answer; the first is the safe one and has the cursor. None on escape."""

    PLACE = "dialogue"
    BINDINGS: ClassVar = bindings("dialogue")

    def __init__(self, question: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._question, self._choices = question, tuple(choices)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Label(Text(safe(self._question, 1000)))
            yield OptionList(*(Text(f"{key}  {safe_line(words)}") for key, words in self._choices), markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = 0
        self.query_one(OptionList).focus()

    def action_cancel(self) -> None:
        self.dismiss(None)

    def on_key(self, event: Key) -> None:
        if event.key in {key for key, _ in self._choices}:
            event.stop()
            self.dismiss(event.key)

    @on(OptionList.OptionSelected)
    def selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index][0])


INDENT = 4
"""Cells of the lines after the first."""


@dataclass(frozen=True)
class Hanging:
    """Words whose lines after the first are indented: of several entries one sees where each begins."""

    words: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = Text(self.words).wrap(console, max(1, options.max_width - INDENT))
        yield Text(f"\n{' ' * INDENT}").join(lines)


class CopyDialogue(Hosted, Once, ModalScreen[None]):
    """Choose what to copy; the text goes to the terminal's clipboard, or to a file if there is none.

    `files` are written whatever the key: (what it is, in words, how).
    """

    PLACE = "copying"
    BINDINGS: ClassVar = bindings("copying")

    def __init__(
        self, items: Sequence[tuple[str, str]], files: Sequence[tuple[str, str, Callable[[], Path]]] = ()
    ) -> None:
        super().__init__()
        self._items, self._files = list(items), list(files)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialogue"):
            yield Label("Copy (enter), or write to a file (f):")
            offered = [*self._items, *((what, words) for what, words, _ in self._files)]
            lines = [safe_line(f"{what}: {without_path(text)}", 300) for what, text in offered]
            yield OptionList(*(Hanging(line) for line in lines), markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = 0

    @on(OptionList.OptionSelected)
    def copy(self, event: OptionList.OptionSelected) -> None:
        if event.option_index >= len(self._items):
            self.action_write_file()
            return
        what, text = self._items[event.option_index]
        sequence = copy_sequence(text, os.environ)
        if sequence is None:
            self.ui.tell(f"{what} is too long for a terminal's clipboard; press f to write it to a file.")
            return
        self.ui.write_to_terminal(sequence)
        self.ui.tell(f"Copied: {what}. If it does not arrive, see `set-clipboard` in docs/terminal.md, or use f.")
        self.dismiss()

    def action_cancel(self) -> None:
        self.dismiss()

    def action_write_file(self) -> None:
        place = self.query_one(OptionList).highlighted or 0
        if place >= len(self._items):
            what, _, make = self._files[place - len(self._items)]
            self.ui.tell(f"Writing the {what}.")
            self.ui.act(make, lambda where: f"Written: {where}")
            self.dismiss()
            return
        what, text = self._items[place]
        folder = self.ui.workspace.path / "copies"
        path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{''.join(c if c.isalnum() else '-' for c in what)[:40]}.txt"

        def write() -> Path:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
            return path

        self.ui.act(write, lambda where: f"Written: {where}")
        self.dismiss()
