"""Shares as horizontal bars in SVG, in groups with a heading each. It reads no store and computes no share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from bertdistill.app.draw.svg import LINE, LONGEST, at, length, no_picture, picture, text, words
from bertdistill.app.text.safe import safe_line

ROW = 22.0
LONGEST_NAME, LONGEST_NOTE = 32, 1000
WIDEST = 380.0
"""Of a bar; what is right of it is for its share and its remark."""


@dataclass(frozen=True)
class Bar:
    """One share, from 0 to 1."""

    name: str
    share: float
    remark: str = ""


@dataclass(frozen=True)
class Bars:
    """Shares of one whole."""

    title: str
    bars: Sequence[Bar]
    notes: Sequence[str] = ()


def bars_svg(groups: Sequence[Bars], *, title: str, name: str = "bars", styled: bool = True) -> str:
    """The groups below each other, their bars on one scale."""
    if not groups:
        return no_picture(name, title, "there is nothing to draw yet", styled=styled)
    left = 20 + max((length(_named(bar)) for group in groups for bar in group.bars), default=0.0)
    parts: list[str] = []
    y = 0.0
    for group in groups:
        y = _group(parts, group, left, y)
    return picture(name, title, ". ".join(map(_told, groups)), parts, y + 12, styled=styled)


def _group(parts: list[str], group: Bars, left: float, top: float) -> float:
    """Draw a group below `top`; where it ends."""
    y = top + 24
    parts.append(text(12, y, group.title, "head"))
    y += 10
    for bar in group.bars:
        wide = max(1.0, WIDEST * min(max(bar.share, 0.0), 1.0))
        parts.append(text(left, y + 15, _named(bar), "", "end"))
        parts.append(_rect(left + 8, y + 4, wide, bar))
        parts.append(text(left + 16 + wide, y + 15, _said(bar), "dim"))
        y += ROW
    for line in (line for note in group.notes for line in wrap(safe_line(note, LONGEST_NOTE), LONGEST - 10)):
        y += LINE
        parts.append(text(12, y, line, "dim"))
    return y


def _rect(x: float, y: float, wide: float, bar: Bar) -> str:
    title = f"<title>{words(f'{bar.name}: {_said(bar)}', 200)}</title>"
    size = f'width="{at(wide)}" height="{at(ROW - 8)}"'
    return f'<rect class="share" x="{at(x)}" y="{at(y)}" {size} rx="2">{title}</rect>'


def _named(bar: Bar) -> str:
    return safe_line(bar.name, LONGEST_NAME)


def _said(bar: Bar) -> str:
    return ", ".join(filter(None, [f"{bar.share:.0%}", bar.remark]))


def _told(group: Bars) -> str:
    """The group in words."""
    shares = ", ".join(f"{bar.name} {_said(bar)}" for bar in group.bars)
    return ". ".join(filter(None, [f"{group.title}: {shares}" if shares else group.title, *group.notes]))
