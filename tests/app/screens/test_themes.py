"""Themes are shown as the cursor reaches them, kept by enter, forgotten by escape, and readable in every case."""

from __future__ import annotations

import pytest
from tests.app.screens.driving import playing, shown, until
from textual.color import Color
from textual.theme import BUILTIN_THEMES
from textual.widgets import OptionList

from bertdistill.app.memory import THEME, Memory
from bertdistill.app.terminal.themes import ADDED, OURS, in_order, named_colours
from bertdistill.app.widgets.chart import LEAST_CONTRAST, contrast, palette
from bertdistill.engine.contract.workspace import Workspace

ALL = {**BUILTIN_THEMES, **{theme.name: theme for theme in ADDED}}


async def test_a_theme_is_previewed_kept_and_remembered(ws: Workspace) -> None:
    """Escape brings back the one from before."""
    async with playing(ws, theme="auto") as pilot:
        before = pilot.app.theme
        await pilot.press("f2")
        await shown(pilot, "colour-blind")
        await pilot.press("down")
        await until(pilot, lambda: pilot.app.theme != before, "a preview")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.theme == before, "the theme from before")
        await pilot.press("f2")
        await shown(pilot, "colour-blind")
        await pilot.press("down", "enter")
        await until(pilot, lambda: Memory(ws.path).recall(THEME, ""), "a memory")
        chosen = pilot.app.theme
    async with playing(ws, theme="auto") as pilot:
        assert chosen == pilot.app.theme
    async with playing(ws, theme="dark") as pilot:
        assert OURS["dark"] == pilot.app.theme


async def test_the_chosen_option_is_told_without_colour(ws: Workspace) -> None:
    """In dialogues and in the palette; with the terminal's own colours it is not bold, which is grey on some."""
    async with playing(ws, theme="ansi") as pilot:
        for no_color in (False, True):
            pilot.app.no_color = no_color
            for key in ("f2", "ctrl+p"):
                await pilot.press(key)
                await until(pilot, lambda: pilot.app.screen.query(OptionList), "the options")
                await pilot.pause()
                options = pilot.app.screen.query_one(OptionList)
                style = options.get_visual_style("option-list--option-highlighted", "option-list--option")
                assert (bool(style.underline), bool(style.bold)) == (no_color, no_color)
                await pilot.press("escape")
                await until(pilot, lambda: len(pilot.app.screen_stack) == 2, "the studies again")


@pytest.mark.parametrize("name", [name for name in ALL if not ALL[name].ansi])
def test_marks_and_lines_can_be_read_in_every_theme(name: str) -> None:
    """On the background of the app and on that of panes."""
    variables = ALL[name].to_color_system().generate()
    for ground in ("background", "surface"):
        back = Color.parse(variables[ground])
        poor = {
            key: contrast(Color(*colour), back)
            for key, colour in palette(variables, back).items()
            if isinstance(colour, tuple) and contrast(Color(*colour), back) < LEAST_CONTRAST
        }
        assert {} == poor


def test_contrast_is_that_of_wcag() -> None:
    """Black on white is 21, a colour on itself 1, and #767676 on white just enough."""
    black, white = Color(0, 0, 0), Color(255, 255, 255)
    assert (21.0, 1.0) == (round(contrast(black, white), 6), contrast(white, white))
    assert 4.54 == round(contrast(Color.parse("#767676"), white), 2)


def test_ours_come_first() -> None:
    """Then the others by name, each once."""
    names = in_order(ALL)
    assert ["bertdistill-dark", "bertdistill-light", "ansi-dark", "ansi-light", "colour-blind"] == names[:5]
    assert sorted(ALL) == sorted(names)


async def test_a_named_colour_is_that_of_the_theme(ws: Workspace) -> None:
    """The green of the header is the green of the table, also after a change of theme."""
    async with playing(ws, theme="dark") as pilot:
        for name in (OURS["dark"], OURS["light"]):
            pilot.app.theme = name
            await pilot.pause()
            green = Color.parse(pilot.app.theme_variables["text-success"]).rgb
            assert green == pilot.app.ansi_theme.ansi_colors[2]
            assert named_colours(ALL[name]).ansi_colors[2] == green


@pytest.mark.parametrize("name", [theme.name for theme in ADDED])
def test_words_of_our_themes_can_be_read(name: str) -> None:
    """Heads, states and quiet words on every ground, and what is under a cursor."""
    variables = ALL[name].to_color_system().generate()
    for ground in ("background", "surface", "panel"):
        back = Color.parse(variables[ground])
        words = [Color.parse(variables[f"text-{one}"]) for one in ("primary", "success", "warning", "error", "accent")]
        words.append(back.blend(back.get_contrast_text(1.0), 0.6))
        assert all(contrast(word, back) >= LEAST_CONTRAST for word in words)
