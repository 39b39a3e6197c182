"""A table in which left and right go to another parameter instead of to other columns. It knows no parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.message import Message

from bertdistill.app.bindings import bindings
from bertdistill.app.widgets.table import LineTable


class SliceTable(LineTable):
    """Trials along one parameter."""

    PLACE = "slices"
    BINDINGS: ClassVar = bindings("slices")
    HELP = "`left` and `right` go through the parameters; `j` `k` or arrows go along the axis, `enter` opens the trial."

    @dataclass
    class Turned(Message):
        """The next parameter was requested, or the one before."""

        by: int

    def action_turn(self, by: int) -> None:
        self.post_message(self.Turned(by))
