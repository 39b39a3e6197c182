"""A letter on every pane, field, button and tab of the screen below; typing it goes there. It changes nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

from bertdistill.app.bindings import Once, bindings
from bertdistill.app.screens.host import Hosted

LETTERS = "asdfghjklqwertyuiopzxcvbnm"
Jump = tuple[int, int, Callable[[], object]]
"""Column and line of the label, and what goes there."""


class JumpScreen(Hosted, Once, ModalScreen[None]):
    """Over the screen, dimmed; a letter without a place, like escape, goes back to where the focus was."""

    PLACE = "dialogue"
    BINDINGS: ClassVar = bindings("dialogue")
    DEFAULT_CSS = """
    JumpScreen { background: $background 50%; align: left top; }
    JumpScreen:ansi { background: transparent; }
    JumpScreen .chip {
        position: absolute; width: 3; height: 1;
        background: $accent; color: $background; text-style: bold;
    }
    JumpScreen .chip:ansi { background: transparent; color: ansi_default; text-style: bold reverse; }
    JumpScreen #way { dock: bottom; height: 1; padding: 0 1; background: $panel; color: $text; }
    """

    def __init__(self, jumps: Sequence[Jump]) -> None:
        super().__init__()
        self._jumps = dict(zip(LETTERS, jumps, strict=False))

    def compose(self) -> ComposeResult:
        for letter, (column, line, _) in self._jumps.items():
            chip = Static(f"[{letter}]" if self.ui.is_plain else f" {letter} ", classes="chip", markup=False)
            chip.styles.offset = (max(0, min(column, self.ui.size.width - 3)), line)
            yield chip
        yield Static("A letter goes there; escape goes back.", id="way", markup=False)

    def on_key(self, event: events.Key) -> None:
        event.stop()
        _, _, go = self._jumps.get(event.character or "", (0, 0, None))
        self.dismiss()
        if go is not None:
            self.app.call_later(go)

    def on_click(self) -> None:
        self.dismiss()

    def on_resize(self, event: events.Resize) -> None:
        if event.size != self.ui.size:  # the places are others now
            self.dismiss()

    def action_cancel(self) -> None:
        self.dismiss()
