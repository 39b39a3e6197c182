"""The themes: those of Textual with ours first. It draws nothing."""

from __future__ import annotations

from collections.abc import Iterable

from textual.theme import Theme

OURS = {"dark": "textual-dark", "light": "textual-light", "ansi": "ansi-dark"}
"""The theme of each word that `--theme` takes; `auto` chooses among them."""

COLOUR_BLIND = Theme(
    name="colour-blind",
    primary="#56B4E9",
    secondary="#CC79A7",
    accent="#F0E442",
    success="#00B386",
    warning="#E69F00",
    error="#E8743B",
    foreground="#E6E6E6",
    background="#121212",
    surface="#1B1B1B",
    panel="#26303A",
    dark=True,
)
"""Hues that differ for every kind of colour vision: Okabe and Ito 2008, two of them lighter on a dark background."""


def in_order(names: Iterable[str]) -> list[str]:
    """Ours first, then the others by name."""
    first = [*OURS.values(), "ansi-light", COLOUR_BLIND.name]
    return [*first, *sorted(set(names) - set(first))]
