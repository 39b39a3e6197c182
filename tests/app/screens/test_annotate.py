"""Note and tags are edited in one dialogue and written as one change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from tests.app.screens.driving import HARMLESS, HOSTILE, SIZES, control_codes, playing, shown, told, until, words_on
from textual.events import Paste
from textual.widgets import Input, TextArea

from bertdistill.app.screens.annotate import AnnotateDialogue, parse_tags
from bertdistill.app.screens.trial import TrialScreen
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.rows import Request
from bertdistill.store.writing import Writing

Edit = Callable[[Callable[[Writing], Any]], Any]
Asked = Callable[[], list[Request]]


def test_tags_are_words() -> None:
    """Spaces and commas part them, repeats are one, invalid ones are named."""
    assert (["keep", "v1.2"], "") == parse_tags(" keep, v1.2 keep ")
    tags, problem = parse_tags("keep -wrong")
    assert ["keep", "-wrong"] == tags
    assert "-wrong is not a valid tag" in problem


async def test_note_and_tags_are_one_change(ws: Workspace, edit: Edit, asked: Asked) -> None:
    """Typed note, tab, typed tags, enter: one request with both, shown at once, undone at once."""
    async with playing(ws, TrialScreen("demo", 3)) as pilot:
        await pilot.press("e")
        await shown(pilot, "Note of trial #3")
        await pilot.press(*"[b]q?", "enter", *"two", "tab", *"keep", "space", *"slow", "enter")
        await told(pilot, "Trial #3: note and tags written")
        await shown(pilot, "keep slow")
        assert "[b]q?" in words_on(pilot)
        trial = edit(lambda session: reads.trial(session, 1, 3))
        assert ("[b]q?\ntwo", ["keep", "slow"]) == (trial.note, trial.tags)
        assert [{"note": "[b]q?\ntwo", "tags": ["keep", "slow"]}] == [request.arguments for request in asked()]
        await pilot.press("u")
        await told(pilot, "Undone")
        trial = edit(lambda session: reads.trial(session, 1, 3))
        assert ("", []) == (trial.note, trial.tags)


async def test_what_was_not_edited_is_not_written(ws: Workspace, edit: Edit, asked: Asked) -> None:
    """A note that cannot be shown as it is stays as it is when only the tags change; f10 writes too."""
    edit(lambda session: writes.edit_trial(session, 4, note=HOSTILE))
    async with playing(ws, TrialScreen("demo", 3)) as pilot:
        await pilot.press("e")
        await shown(pilot, HARMLESS)
        assert set() == control_codes(pilot)
        await pilot.press("tab", "x", "f10")
        await told(pilot, "Trial #3: tags written")
        assert [{"tags": ["x"]}] == [request.arguments for request in asked()]
        assert HOSTILE == edit(lambda session: reads.trial(session, 1, 3)).note


async def test_a_bad_tag_keeps_the_dialogue_open(ws: Workspace, asked: Asked) -> None:
    """The problem is told while it is typed; escape writes nothing."""
    async with playing(ws, TrialScreen("demo", 3)) as pilot:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnnotateDialogue), "the dialogue")
        await pilot.press("tab", "minus", "enter")
        await shown(pilot, "- is not a valid tag")
        assert isinstance(pilot.app.screen, AnnotateDialogue)
        await pilot.press("escape")
        await shown(pilot, "Trial #3")
        assert [] == asked()


async def test_nothing_edited_writes_nothing(ws: Workspace, asked: Asked) -> None:
    """The buttons: one cancels, one writes, and without a change there is nothing to write."""
    for button in ("#cancel", "#write"):
        async with playing(ws, TrialScreen("demo", 3), (40, 12)) as pilot:
            await pilot.press("e")
            await until(pilot, lambda: isinstance(pilot.app.screen, AnnotateDialogue), "the dialogue")
            pilot.app.screen.query_one(button).focus()
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the trial")
    assert [] == asked()


async def test_a_note_that_is_too_long_is_not_cut_in_silence(ws: Workspace, asked: Asked) -> None:
    """The dialogue stays and says by how much; a field of one line takes no pasted book."""
    async with playing(ws, TrialScreen("demo", 3)) as pilot:
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnnotateDialogue), "the dialogue")
        pilot.app.post_message(Paste("x" * 5_000))
        await until(pilot, lambda: "x" in pilot.app.screen.query_one(TextArea).text, "the paste")
        await pilot.press("f10")
        await shown(pilot, "5,000 characters; the limit is 4,000")
        await pilot.press("tab")
        pilot.app.post_message(Paste("y" * 100_000))
        pilot.app.post_message(Paste("keep"))
        await until(pilot, lambda: pilot.app.screen.query_one(Input).value == "keep", "the second paste")
    assert [] == asked()


async def test_a_note_that_cannot_be_written_is_not_lost(
    ws: Workspace, asked: Asked, rename_study: Callable[[str, str], None]
) -> None:
    """The dialogue stays with note, tags and the reason; once it can be written, the same key writes it."""
    async with playing(ws, TrialScreen("demo", 3)) as pilot:
        await pilot.press("e", *"mine", "tab", *"keep")
        rename_study("demo", "away")
        await pilot.press("enter")
        await shown(pilot, "Not written: study 'demo' does not exist")
        dialogue = pilot.app.screen
        assert ("mine", "keep") == (dialogue.query_one(TextArea).text, dialogue.query_one(Input).value)
        assert dialogue.query_one(Input).has_focus
        rename_study("away", "demo")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the dialogue to close")
        assert [{"note": "mine", "tags": ["keep"]}] == [request.arguments for request in asked()]


@pytest.mark.parametrize("size", SIZES)
async def test_it_waits_for_a_database_that_is_held(ws: Workspace, asked: Asked, size: tuple[int, int]) -> None:
    """Until then it says so, takes no further letter and cannot be closed by mistake."""
    async with playing(ws, TrialScreen("demo", 3), size) as pilot:
        with closing(sqlite3.connect(ws.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await pilot.press("e", *"late", "f10")
            await shown(pilot, "Writing …")
            await pilot.press("x", "escape", "f10")
            await shown(pilot, "Writing")
            assert [] == asked()
        await until(pilot, lambda: isinstance(pilot.app.screen, TrialScreen), "the dialogue to close")
        assert [{"note": "late"}] == [request.arguments for request in asked()]
