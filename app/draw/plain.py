"""Filters on every line before it is shown: no control characters and, in ASCII mode, no glyphs.

Every widget draws through these filters, Textual's own included, so none can pass on an escape sequence. ASCII replaces
borders, scrollbars, arrows, ellipses and marks; letters of any language stay. It knows no widget.
"""

from __future__ import annotations

import unicodedata

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from bertdistill.app.draw.canvas import GLYPHS
from bertdistill.app.draw.sparks import PLAIN
from bertdistill.app.text.format import STATES

_ALIKE = {
    "-": "━┅┈┉╌╍═╴╶╸╺╼╾▔▀",
    "|": "┃┇┊┋╎╏║╵╷╹╻╽╿▌▐▊▎▏▕",
    "_": "▁",
    "#": "▂▃▄▅▆▇█▉▋▍■●▒▓░",
    "<": "‹◀◂←≤",
    ">": "›▸→≥",
    "^": "▴▲",
    "v": "▾▼",
    "*": "•",
    "~": "±",
    "x": "×",
    "/": "÷",
}
"""What stands for which glyphs, where tables, charts and formats have not chosen one already."""
_CHOSEN = {
    **{glyph: plain for plain, glyphs in _ALIKE.items() for glyph in glyphs},
    **dict([*STATES.values(), *GLYPHS.values()]),
    **{chr(glyph): chr(plain) for glyph, plain in PLAIN.items()},
}
_BOXES = range(0x2500, 0x2580)
_KINDS = {"Pd": "-", "Pi": "'", "Pf": "'"}
"""By the category of a character: dashes and quotes."""


class _Table(dict[int, str]):
    """For `str.translate`: each character is looked up once and keeps its width."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        if char in _CHOSEN:
            plain = _CHOSEN[char]
        elif code in _BOXES:
            plain = "+"
        elif char.isspace():
            plain = " "
        elif (kind := unicodedata.category(char))[0] in "SP":
            plain = _KINDS.get(kind, "?")
        else:
            plain = char
        self[code] = plain if code < 128 or plain == char else plain.ljust(cell_len(char))
        return self[code]


_TABLE = _Table({code: chr(code) for code in range(128)})


def plain(text: str) -> str:
    """The text with every symbol in ASCII, of the same width; letters and digits of any script stay."""
    return text if text.isascii() else text.translate(_TABLE)


class _Shown(dict[int, str]):
    """For `str.translate`: control characters become as many spaces as Rich counts cells for them."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        kept = char.isprintable() or unicodedata.category(char) == "Zs"
        self[code] = char if kept else " " * cell_len(char)
        return self[code]


_SHOWN = _Shown()


class HarmlessLines(LineFilter):
    """Removes control characters, bidirectional overrides and other invisible characters."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() or segment.control for segment in segments):
            return segments
        return [
            Segment(text if control else text.translate(_SHOWN), style, control) for text, style, control in segments
        ]


class PlainLines(LineFilter):
    """Replaces everything but letters by ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isascii() for segment in segments):
            return segments
        return [Segment(plain(text), style, control) for text, style, control in segments]
