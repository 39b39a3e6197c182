"""Keys, footer, help, palette and docs come from one table."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from typing import Any

import pytest
from tests.app.screens.driving import playing, shown, told, until, words_on
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from bertdistill.app import screens, widgets
from bertdistill.app.bindings import WIDE_FOOTER_KEYS, ActionCommands, available, footer, one_pane
from bertdistill.app.keymap import ACTIONS, PLACES, Action, ids, of, shown_keys, together
from bertdistill.app.reference import keys_page
from bertdistill.app.screens.help import key_table
from bertdistill.app.screens.study import StudyScreen
from bertdistill.app.ui import BertDistill
from bertdistill.engine.contract.workspace import Workspace

MULTIPLEXED = {"ctrl+s", "ctrl+b", "ctrl+a", "ctrl+h", "ctrl+j", "ctrl+m", "ctrl+i"}
"""Keys that terminals and multiplexers keep for themselves, or that are the same as another key."""


def owners() -> dict[str, list[type[Any]]]:
    """Classes by the place that they say they are."""
    found: dict[str, list[type[Any]]] = {"app": [BertDistill]}
    for package in (screens, widgets):
        for module in pkgutil.iter_modules(package.__path__):
            loaded = importlib.import_module(f"{package.__name__}.{module.name}")
            for thing in vars(loaded).values():
                if (
                    isinstance(thing, type)
                    and issubclass(thing, (Screen, Widget))
                    and thing.__module__ == loaded.__name__
                ):
                    found.setdefault(getattr(thing, "PLACE", ""), []).append(thing)
    return found


def test_every_action_is_a_method_where_it_works() -> None:
    """No key of the table leads to nothing."""
    classes = owners()
    lost = [
        (action.id, place)
        for action in ACTIONS
        for place in action.places
        if not any(
            hasattr(owner, f"action_{action.name.partition('(')[0]}")
            for owner in [*classes.get(place, ()), BertDistill]
        )
    ]
    assert [] == lost


def test_every_place_of_the_table_is_somewhere_and_every_class_has_a_place_in_it() -> None:
    """The help has a title for each place, and no place is left over."""
    used = {place for action in ACTIONS for place in action.places}
    assert used == set(PLACES)
    assert set() == {place for place in owners() if place} - set(PLACES)


def test_ids_are_unique_and_no_key_means_two_things_in_one_place() -> None:
    """A key that is bound twice in one place would do one of both, whichever."""
    assert [] == [name for name, count in Counter(ids()).items() if count > 1]
    twice = {
        place: [key for key, count in Counter(k for a in of(place) for k in a.keys.split(",")).items() if count > 1]
        for place in PLACES
    }
    assert {} == {place: keys for place, keys in twice.items() if keys}


def test_nothing_depends_on_a_key_that_terminals_keep_for_themselves() -> None:
    """Flow control, prefixes of multiplexers, and codes that are equal to backspace, enter or tab."""
    assert [] == [action.id for action in ACTIONS if set(action.keys.split(",")) <= MULTIPLEXED]


def test_only_the_table_binds_keys() -> None:
    """Every binding of our screens and panes is one of the table, under its id; dialogues may close with escape."""
    strays = [
        (place, owner.__name__, binding)
        for place, classes in owners().items()
        for owner in classes
        for binding in vars(owner).get("BINDINGS", ())
        if getattr(binding, "id", None) not in ids()
    ]
    assert [] == strays


@pytest.mark.parametrize("place", PLACES)
def test_help_and_docs_name_every_key(place: str) -> None:
    """Of each place, with the words of the table."""
    table = key_table(place, {})
    rows = list(zip(*(column._cells for column in table.columns), strict=True))
    assert [("  ".join(shown_keys(a)), a.words) for a in of(place)] == [(str(k), str(w)) for k, w in rows]
    page = keys_page()
    assert [] == [a.id for a in of(place) if f"| {a.words} | `{a.id}` |" not in page]


def test_a_remapped_key_is_shown_wherever_keys_are_shown() -> None:
    """The config changes the help and the footer too."""
    rerun = next(action for action in ACTIONS if action.id == "rerun")
    assert ["f5", "ctrl+r"] == shown_keys(rerun, {"rerun": "f5,ctrl+r"})
    table = key_table("study", {"rerun": "f5"})
    assert "f5" in {str(cell) for cell in table.columns[0]._cells}


async def test_footer_and_palette_offer_what_the_table_and_the_screen_allow(ws: Workspace) -> None:
    """A line of keys; no command that makes no sense now."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        app = pilot.app
        now = [action for action, _ in available(app.screen)]
        found = footer(app.screen, {})
        assert WIDE_FOOTER_KEYS >= len(found)
        assert [] == [key for key, _ in found if key not in {shown_keys(a)[0] for a in now}]  # none stands together
        offered = [hit async for hit in ActionCommands(app.screen).discover()]
        themes = [f"Theme: {name}" for name in app.available_themes]
        expected = [f"{a.group}: {a.words}" for a in now if a.palette] + themes
        assert sorted(expected) == sorted(hit.text for hit in offered)
        assert "trial: Compare the marked trials" not in expected
        shown = [str(hit.display) for hit in offered]
        assert {"trial: Rerun with one change  r", "Theme: textual-light"} <= set(shown)  # the key in the same line


async def test_the_footer_follows_the_focus_and_the_window(ws: Workspace) -> None:
    """The keys of a chart that has the focus; where one pane is shown, first those that lead to the others."""
    screen = StudyScreen("demo")
    async with playing(ws, screen, size=(120, 40)) as pilot:

        async def keys(size: tuple[int, int], pane: str) -> str:
            await pilot.resize_terminal(*size)
            await pilot.press(pane)
            await until(pilot, lambda: one_pane(screen) == (size[0] < 100), "the panes that have room")
            screen.refresh_keys()
            await pilot.pause()
            return words_on(pilot).splitlines()[-1].rstrip()

        wide = " ←→↑↓ point  enter open  XY axes  L log  r rerun  f colour  P promote  / filter  space mark"
        assert f"{wide}  ? help  q quit" == await keys((120, 40), "2")
        found = await keys((120, 40), "3")
        assert found.startswith(" ←→ cross  X x axis  v curves  enter open  L log  r rerun ")
        assert found.endswith(" ? help  q quit")
        assert " 1–4 panes  ←→↑↓ point  enter open  XY axes  L log  ? help  q quit" == await keys((80, 24), "2")
        assert (await keys((80, 24), "1")).startswith(" 1–4 panes  enter open  r rerun  P promote")
        assert " 1–4 panes  ←→ cross  ? help  q quit" == await keys((40, 12), "3")
        assert " 1–4 panes  enter open  ? help  q quit" == await keys((40, 12), "1")


async def test_the_footer_learns_by_itself_that_one_pane_is_left(ws: Workspace) -> None:
    """After the window has shrunk, and after m."""
    async with playing(ws, StudyScreen("demo")) as pilot:
        await pilot.resize_terminal(80, 24)
        await shown(pilot, "1–4 panes")
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "1–4 panes" not in words_on(pilot), "all panes")
        await pilot.press("m")
        await shown(pilot, "1–4 panes")


def test_keys_side_by_side() -> None:
    """In the least room; in ASCII arrows are words."""
    digits, arrows = list("1234"), list("←→↑↓")
    assert ("1–4", "←→↑↓", "XY", "1/2") == (
        together(digits),
        together(arrows),
        together(["X", "Y"]),
        together(["1", "2"]),
    )
    plain = [together(keys, ascii_only=True) for keys in (digits, arrows, arrows[:2], ["X", "Y"])]
    assert ["1-4", "arrows", "left/right", "XY"] == plain


def test_an_action_says_an_order() -> None:
    """Sentence case, without a full stop: palette and help read alike."""
    assert [] == [a.id for a in ACTIONS if not a.words[0].isupper() or a.words.endswith(".")]
    assert all(isinstance(a, Action) for a in ACTIONS)


async def test_ctrl_c_and_ctrl_q_lead_out_of_dialogues_and_fields(ws: Workspace) -> None:
    """Whatever has the focus; a selection in a field is copied first."""
    for key in ("ctrl+q", "ctrl+c"):
        async with playing(ws, StudyScreen("demo")) as pilot:
            await pilot.press("slash")
            await until(pilot, lambda pilot=pilot: isinstance(pilot.app.focused, Input), "the filter")
            await pilot.press("l", "q")
            assert pilot.app.is_running
            await pilot.press("shift+home", "ctrl+c")
            await told(pilot, "Copied")
            await pilot.press("end", key)
            await until(pilot, lambda pilot=pilot: pilot.app.return_code == 0, "the end of the app")
