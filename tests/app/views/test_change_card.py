"""A request of the history in full."""

from __future__ import annotations

from bertdistill.app.views.change_card import change_card
from bertdistill.engine.steering.history import Entry


def test_before_and_after_are_shown_whole() -> None:
    """A long note is not cut to the width of a column, and what is not shown to a terminal is taken out."""
    long = "word " * 100 + "\x1b]52;c;AAAA\x07end"
    entry = Entry(7, 1.7e9, "ada", "note", "demo", 3, {"note": long}, {"note": "old"}, about="note")
    facts = dict(change_card(entry))
    assert ("old", "#3", "waits for the runner") == (facts["note, before"], facts["trial"], facts["outcome"])
    assert facts["note, after"].endswith("end")
    assert len(facts["note, after"]) > 500
    assert "\x1b" not in facts["note, after"]


def test_what_did_not_change_stands_once() -> None:
    """The name of a parameter is no change; its range is."""
    entry = Entry(8, 1.7e9, "ada", "range", "demo", None, {"parameter": "layers", "range": [1, 2]}, {"range": None})
    facts = dict(change_card(entry))
    assert ("layers", "whole range", "1,2") == (facts["parameter"], facts["range, before"], facts["range, after"])
