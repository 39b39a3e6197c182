"""A letter on every pane, field, button and tab of the screen below; typing it goes there. It changes nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Static

from bertdistill.app.bindings import bindings
from bertdistill.app.screens.host import Hosted

LETTERS = "asdfghjklqwertyuiopzxcvbnm"
Jump = tuple[int, int, Callable[[], object]]
"""Column and line of the label, and what goes there."""


class JumpScreen(Hosted, ModalScreen[None]):
    """Transparent; a letter without a place, like escape, goes back to where the focus was."""

    PLACE = "dialogue"
    BINDINGS: ClassVar = bindings("dialogue")
    DEFAULT_CSS = """
    JumpScreen { background: transparent; align: left top; }
    JumpScreen Static {
        position: absolute; width: 3; height: 1;
        background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
    }
    """

    def __init__(self, jumps: Sequence[Jump]) -> None:
        super().__init__()
        self._jumps = dict(zip(LETTERS, jumps, strict=False))

    def compose(self) -> ComposeResult:
        for letter, (column, line, _) in self._jumps.items():
            label = Static(Text(f"[{letter}]"), markup=False)
            label.styles.offset = (max(0, min(column, self.ui.size.width - 3)), line)
            yield label

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
