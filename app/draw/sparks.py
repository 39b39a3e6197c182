"""One-line charts of plain characters: horizontal bars and sparklines. They need no plotting library."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from bertdistill.app.draw.axes import drawable, number
from bertdistill.app.text.safe import harmless

PLAIN = str.maketrans("┌┐└┘├┤┬┴┼─│┄┆↑↓–…∕×·", "+++++++++-|-|^v-~/x.")
"""What an ASCII chart has in place of the characters that frames, titles and numbers are made of."""


@dataclass(frozen=True)
class Bar:
    """One horizontal bar followed by `text`, or by the value if that is empty."""

    label: str
    value: float | None
    text: str = ""


def narrowed(text: str, limit: int, *, ascii_only: bool = False) -> str:
    """A label of at most `limit` printable single-width characters; what cannot be shown becomes `?`."""
    plain = text if text.isascii() and text.isprintable() else "".join(c if _narrow(c) else "?" for c in harmless(text))
    if ascii_only:
        plain = plain.translate(PLAIN).encode("ascii", "replace").decode()
    return plain if len(plain) <= limit else (plain[: limit - 1] + ("~" if ascii_only else "…") if limit > 0 else "")


def _narrow(char: str) -> bool:
    return char.isprintable() and unicodedata.east_asian_width(char) not in "WF" and not unicodedata.combining(char)


def bars(items: Sequence[Bar], width: int, *, ascii_only: bool = False) -> list[str]:
    """One line per bar, at most `width` cells wide: label, bar from zero, value. Negative bars are hatched."""
    most = max((abs(b.value) for b in items if b.value is not None and drawable(b.value)), default=0.0)
    labels = [narrowed(b.label, max(1, width // 3), ascii_only=ascii_only) for b in items]
    texts = [narrowed(b.text or _value(b.value), 40, ascii_only=ascii_only) for b in items]
    left, right = max(map(len, labels), default=0), max(map(len, texts), default=0)
    room = max(0, width - left - right - 2)
    return [
        f"{label:<{left}} {bar_cells(b.value, most, room, ascii_only=ascii_only):<{room}} {text:>{right}}"[
            : max(0, width)
        ]
        for b, label, text in zip(items, labels, texts, strict=True)
    ]


def _value(value: float | None) -> str:
    return number(value) if value is not None and drawable(value) else "–"


def bar_cells(value: float | None, most: float, room: int, *, ascii_only: bool) -> str:
    """A bar for `value` where `most` takes all of `room` cells, to an eighth of a cell; negative ones are hatched."""
    if value is None or not drawable(value) or most == 0:
        return ""
    eighths = int(abs(value) / most * room * 8 + 0.5)
    if ascii_only or value < 0:
        full = (eighths + 4) // 8
        return ("-" * full if value < 0 else "#" * full) if ascii_only else "░" * full
    part = eighths % 8
    return "█" * (eighths // 8) + "▏▎▍▌▋▊▉"[part - 1 : part]


def sparkline(values: Sequence[float | None], width: int, *, ascii_only: bool = False) -> str:
    """At most `width` cells, scaled to the extremes; each cell is the mean of its segment, and a gap is a space."""
    levels = "_.:-=+*#" if ascii_only else "▁▂▃▄▅▆▇█"
    size = max(1, -(-len(values) // max(1, width)))
    stretches = [values[i : i + size] for i in range(0, len(values), size)][: max(0, width)]
    means = [_mean([v for v in stretch if v is not None and drawable(v)]) for stretch in stretches]
    known = [m for m in means if m is not None]
    if not known:
        return " " * len(means)
    low, high = min(known), max(known)
    return "".join(
        " " if m is None else levels[int((m - low) / (high - low) * 7 + 0.5) if high > low else 3] for m in means
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(v / len(values) for v in values) if values else None
