"""The themes: those of Textual with ours first. It draws nothing."""

from __future__ import annotations

from collections.abc import Iterable

from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.theme import Theme

DARK = Theme(
    name="bertdistill-dark",
    primary="#4DB5FF",
    secondary="#B48EFF",
    accent="#FFB454",
    success="#7FD962",
    warning="#E6B450",
    error="#F26D78",
    foreground="#DCE3EE",
    background="#10141B",
    surface="#171C25",
    panel="#1D2430",
    dark=True,
    variables={
        "panel-lighten-2": "#3A4657",  # borders of panes
        "block-cursor-background": "#234A73",
        "block-cursor-foreground": "#FFFFFF",
        "block-cursor-blurred-background": "#1F2B3B",
        "footer-key-foreground": "#4DB5FF",
        "scrollbar": "#3A4657",
        "scrollbar-hover": "#52627A",
        "scrollbar-active": "#4DB5FF",
        "scrollbar-background": "#171C25",
        "scrollbar-background-hover": "#171C25",
        "scrollbar-background-active": "#171C25",
    },
)
LIGHT = Theme(
    name="bertdistill-light",
    primary="#0062B1",
    secondary="#7A3FC4",
    accent="#A65400",
    success="#1A7F37",
    warning="#8A6100",
    error="#C4314B",
    foreground="#1D2430",
    background="#FBFBFC",
    surface="#F2F4F7",
    panel="#E4E9EF",
    dark=False,
    variables={
        "panel-lighten-2": "#B4BFCC",
        "block-cursor-background": "#C9E1F8",
        "block-cursor-foreground": "#0B1A2B",
        "block-cursor-blurred-background": "#E3EDF7",
        "footer-key-foreground": "#0062B1",
        "scrollbar": "#B4BFCC",
        "scrollbar-hover": "#8E9CAD",
        "scrollbar-active": "#0062B1",
        "scrollbar-background": "#F2F4F7",
        "scrollbar-background-hover": "#F2F4F7",
        "scrollbar-background-active": "#F2F4F7",
    },
)

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
ADDED = (DARK, LIGHT, COLOUR_BLIND)
"""The themes that are not Textual's."""
OURS = {"dark": DARK.name, "light": LIGHT.name, "ansi": "ansi-dark"}
"""The theme of each word that `--theme` takes; `auto` chooses among them."""


_NAMED = ("background", "text-error", "text-success", "text-warning", "text-primary", "text-secondary", "text-primary")
"""The variables of a theme that black, red, green, yellow, blue, magenta and cyan become; white is the foreground."""


def named_colours(theme: Theme) -> TerminalTheme:
    """What colours that are only named, as `green`, look like in a theme of RGB colours: its own shades of them."""
    variables = theme.to_color_system().generate()
    shades = [Color.parse(variables[name]) for name in (*_NAMED, "foreground")]
    grey = shades[0].blend(shades[-1], 0.6)  # bright black, which must not vanish
    normal, bright = ([shade.rgb for shade in one] for one in (shades, (grey, *shades[1:])))
    return TerminalTheme(normal[0], normal[-1], normal, bright)


def in_order(names: Iterable[str]) -> list[str]:
    """Ours first, then the others by name."""
    first = [*OURS.values(), "ansi-light", COLOUR_BLIND.name]
    return [*first, *sorted(set(names) - set(first))]
