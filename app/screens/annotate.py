"""Note and tags of a trial in one dialogue, written as one change. It shows no trial and invents no tag.

What was not edited is not written, so text that cannot be shown as it is survives a visit.
"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Label, TextArea

from bertdistill.app.bindings import bindings
from bertdistill.app.screens.dialogues import Writing
from bertdistill.app.text.safe import LONGEST_LINE, safe, safe_line
from bertdistill.engine.steering import actions
from bertdistill.store.rows import Trial

LONGEST_NOTE = 4000
"""Characters."""


def parse_tags(text: str) -> tuple[list[str], str]:
    """Words separated by spaces or commas, without duplicates, and what is wrong with them; empty if nothing is."""
    tags = list(dict.fromkeys(text.replace(",", " ").split()))
    bad = next((tag for tag in tags if not actions.TAG.fullmatch(tag)), None)
    if bad is None:
        return tags, ""
    return tags, f"{safe_line(bad, 40)} is not a valid tag: use up to 32 letters, digits, dots, dashes and underscores."


class AnnotateDialogue(Writing):
    """Two fields; enter in the tags, or the button, writes both."""

    PLACE = "annotate"
    BINDINGS: ClassVar = bindings("annotate")

    def __init__(self, study: str, trial: Trial) -> None:
        super().__init__()
        self._study, self._number = study, trial.number
        self._note, self._tags = safe(trial.note, LONGEST_NOTE), safe_line(" ".join(trial.tags), 1000)

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialogue", can_focus=False):
            yield Label(Text(f"Note of trial #{self._number}; f4 edits it with $EDITOR"))
            yield TextArea(self._note, id="note", soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
            yield Label(Text("Tags, separated by spaces, such as keep or too-slow"))
            yield Input(self._tags, id="tags", max_length=LONGEST_LINE)
            yield Label("", id="problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(Text("Cancel (esc)"), id="cancel")
                yield Button(Text("Write (f10)"), id="write", variant="primary")

    def on_mount(self) -> None:
        note = self.query_one("#note", TextArea)
        note.focus()
        note.move_cursor(note.document.end)

    @on(Input.Changed)
    def judge(self, event: Input.Changed) -> None:
        self.say(parse_tags(event.value)[1])

    @on(Input.Submitted)
    def submitted(self) -> None:
        self.action_write()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "write":
            self.action_write()
        else:
            self.action_cancel()

    def action_edit_note(self) -> None:
        """In the person's own editor; what it leaves is in the field, to be written or not."""
        field = self.query_one("#note", TextArea)
        text = self.ui.edit_text(field.text, "note.md")
        if text is not None:
            field.text = safe(text.rstrip("\n"), LONGEST_NOTE + 1)
            field.move_cursor(field.document.end)

    def action_write(self) -> None:
        """Write what was changed; an invalid tag, or a database that cannot be written, keeps the dialogue open."""
        note, typed = self.query_one("#note", TextArea).text, self.query_one("#tags", Input).value
        if len(note) > LONGEST_NOTE:
            self.say(f"The note has {len(note):,} characters; the limit is {LONGEST_NOTE:,}. Shorten it.")
            return
        tags, problem = parse_tags(typed)
        new_note = note.strip() if note != self._note else None
        new_tags = tags if typed != self._tags else None
        if problem and new_tags is not None:
            return
        if new_note is None and new_tags is None:
            self.action_cancel()
            return
        study, number, ui = self._study, self._number, self.ui
        self.write(
            lambda: actions.annotate(ui.workspace, study, number, note=new_note, tags=new_tags, who=ui.who),
            lambda _: f"Trial #{number}: {_written(new_note, new_tags)}. u undoes it.",
        )


def _written(note: str | None, tags: list[str] | None) -> str:
    words = [*(["note"] if note is not None else []), *(["tags"] if tags is not None else [])]
    return f"{' and '.join(words)} written"
