"""With the ASCII marker nothing on the screen needs more than ASCII, except letters that the data has."""

from __future__ import annotations

import dataclasses
from contextlib import closing

import pytest
from rich.segment import Segment
from tests.app.screens.driving import SIZES, playing, shown, until, words_on
from textual.color import Color
from textual.widgets import Input

from bertdistill.app.draw.plain import PlainLines, plain
from bertdistill.app.screens.study import StudyScreen
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.store import writes
from bertdistill.store.db import open_db

WAYS: tuple[tuple[str, ...], ...] = (
    (),
    ("question_mark",),
    ("y",),
    ("slash", "l"),
    ("e",),
    ("C",),
    ("ctrl+p",),
    ("l",),
    ("m",),
    ("2",),
    ("3", "left"),
    ("enter",),
    ("r",),
    ("P",),
    ("E",),
    ("h",),
    ("n",),
    ("space", "j", "space", "c"),
    *(("a", tab) for tab in "123456"),
    ("w",),
    ("M",),
    ("escape", "n"),
    ("j", "x"),
)
"""Keys from the study screen to every other screen and dialogue."""


@pytest.fixture
def prepared(ws: Workspace) -> Workspace:
    """With the facts that a forecast needs."""
    shape = bert_shape(vocab_size=500, positions=512, hidden_size=64, ffn_size=128, layers=2, head_size=16)
    facts = {"teacher_shape": dataclasses.asdict(shape), "labels": ["a", "b"], "mean_length": 40.0}
    with closing(open_db(ws.path)) as db, db.write() as session:
        writes.set_prepared(session, 1, facts)
    return ws


@pytest.mark.parametrize("size", SIZES)
async def test_every_screen_is_ascii(prepared: Workspace, size: tuple[int, int]) -> None:
    """Borders, scrollbars, buttons, charts, footer, toasts, at every size."""
    screen = StudyScreen("demo")
    found: dict[tuple[str, ...], str] = {}
    async with playing(prepared, screen, size, marker="ascii") as pilot:
        for way in WAYS:
            for key in way:
                await pilot.press(key)
                await until(pilot, lambda: getattr(pilot.app.screen, "news", True) is not None, f"news behind {way}")
                await pilot.pause()
            text = words_on(pilot)
            found[way] = "".join(sorted({char for char in text if not char.isascii()}))
            while pilot.app.screen is not screen:
                if isinstance(pilot.app.focused, Input) and len(pilot.app.screen_stack) > 2:
                    await pilot.press("escape")
                if pilot.app.screen is not screen:
                    pilot.app.pop_screen() if len(pilot.app.screen_stack) > 2 else pilot.app.push_screen(screen)
                await pilot.pause()
    assert {} == {way: chars for way, chars in found.items() if chars}


async def test_the_marker_changes_what_is_on_the_screen(ws: Workspace) -> None:
    """f3 goes to ASCII at once, and back."""
    async with playing(ws, StudyScreen("demo"), marker="hd") as pilot:
        await shown(pilot, "╭─ Trials by rank")
        await pilot.press("f3")
        await shown(pilot, "+- Trials by rank")
        await until(pilot, lambda: words_on(pilot).isascii(), "ASCII alone")
        await pilot.press("f3")
        await shown(pilot, "╭─ Trials by rank")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("╭─ a ─╮", "+- a -+"),
        ("│▊▔▎▁", "||-|_"),
        ("cut…", "cut~"),
        ("★9 ✓ ›", "*9 + >"),
        ("é 漢字 ß", "é 漢字 ß"),
        ("🔎x", "? x"),
        ("“a” – b\xa0c", "'a' - b c"),
    ],
)
def test_signs_become_ascii_and_letters_stay(text: str, expected: str) -> None:
    """In as many cells as before."""
    assert expected == plain(text)


def test_lines_keep_their_styles() -> None:
    """Only the text differs; a line of ASCII is handed back as it is."""
    filter_, black = PlainLines(), Color(0, 0, 0)
    before = [Segment("│", None), Segment("abc", None)]
    assert [("|", None), ("abc", None)] == [(text, style) for text, style, _ in filter_.apply(before, black)]
    same = [Segment("abc")]
    assert same is filter_.apply(same, black)
