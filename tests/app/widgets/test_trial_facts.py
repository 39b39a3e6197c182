"""The rows about a trial: nothing is lost when words are broken, and every end of an attempt has a name."""

from __future__ import annotations

import dataclasses

import pytest
from rich.cells import cell_len

from bertdistill.app.report.details import read_details
from bertdistill.app.views.view import read_view
from bertdistill.app.widgets.cells import Cell, Row
from bertdistill.app.widgets.trial_facts import (
    facts_columns,
    facts_rows,
    first_row,
    others,
    runs_rows,
    signal_name,
    trial_of,
    wrapped,
)
from bertdistill.store.db import Database
from bertdistill.store.rows import ModelVersion


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("a\n\nb", ["a", "", "b"]),
        ("abcdefghijk l", ["abcdefgh", "ijk l"]),
        ("漢字漢字漢字", ["漢字漢字", "漢字"]),
    ],
)
def test_words_are_broken_by_cells(text: str, expected: list[str]) -> None:
    """Eight cells a line; wide characters take two."""
    assert expected == wrapped(text, 8)
    assert max(cell_len(line) for line in wrapped(text, 8)) <= 8


def test_signals_have_names() -> None:
    """Also those that this system does not know."""
    assert ("SIGKILL", "unknown") == (signal_name(9), signal_name(200))


@pytest.mark.parametrize(
    ("number", "titles"),
    [(0, ["teacher"]), (3, ["baseline #0", "teacher"]), (7, ["baseline #0", "parent #1", "teacher"])],
)
def test_a_trial_is_compared_with_others_only(db: Database, number: int, titles: list[str]) -> None:
    """The baseline not with itself; a parent only where there is one."""
    view = read_view(db, "demo")
    trial = view.trial(number)
    assert trial is not None
    assert titles == [other.title for other in others(view, trial)]


def test_a_parent_that_is_the_baseline_takes_one_column(db: Database) -> None:
    """Its column says both."""
    view = read_view(db, "demo")
    trial, baseline = view.trial(7), view.baseline
    assert trial is not None
    assert baseline is not None
    child = dataclasses.replace(trial, parent_id=baseline.id)
    assert ["baseline #0, parent", "teacher"] == [other.title for other in others(view, child)]


def test_rows_have_keys_of_their_own(db: Database) -> None:
    """Models of the same version number, checkpoints and log lines never share one."""
    view = read_view(db, "demo")
    _, details = read_details(db, view, 5)
    models = [ModelVersion(id=i, name=f"m{i}", version=1, trial_id=6, checkpoint_id=1, created_at=0.0) for i in (1, 2)]
    keys = [row.key for row in runs_rows(details, models, 60, ascii_only=False)]
    assert len(set(keys)) == len(keys)


def test_only_rows_about_trials_lead_somewhere() -> None:
    """The key says where."""
    assert [7, None, None] == [trial_of(("trial", 7, "rerun", 0)), trial_of(("text", "note", 0)), trial_of("state")]


def test_a_long_value_is_shown_whole(db: Database) -> None:
    """On lines of its own; a short one stays beside those of the others."""
    view = read_view(db, "demo")
    trial = view.trial(3)
    assert trial is not None
    path = "/data/a/long/path/to/reviews.csv"
    long = dataclasses.replace(trial, params={"data.path": path, "layers": 2})
    rows = facts_rows(view, long, [], others(view, long), 70, ascii_only=False)
    assert [path] == [row.cells[1].text for row in rows if row.wide and row.cells[0].text == "data.path"]
    assert [False] == [row.wide for row in rows if row.cells[0].text == "layers"]


def test_what_was_searched_stands_out(db: Database) -> None:
    """Right below the objectives and never dim; whole beside free columns, names and words alike."""
    view = read_view(db, "demo")
    trial = view.trial(3)
    assert trial is not None
    params = {"transformer.learning_rate": 0.001, "packing": "int4-embeddings"}
    trial, compared = dataclasses.replace(trial, params=params), others(view, trial)
    rows = facts_rows(view, trial, [], compared, 100, ascii_only=False)
    assert ["objectives", "searched"] == [str(row.key[1]) for row in rows if _is_section(row)][:2]
    found = [row for row in rows if row.key in (("setting", name) for name in params)]
    assert [(False, "bright"), (False, "bright")] == [(row.dim, row.cells[1].tone) for row in found]
    wide, narrow = (facts_columns(trial, compared, width) for width in (100, 58))
    assert [(25, 15), (13, 11)] == [(columns[0].width, columns[1].width) for columns in (wide, narrow)]


def _is_section(row: Row) -> bool:
    return isinstance(row.key, tuple) and row.key[0] == "section"


def test_the_trial_is_judged_and_not_the_others(db: Database) -> None:
    """Against the first of them; what is equal is neither."""
    view = read_view(db, "demo")
    trial = view.trial(7)
    assert trial is not None
    rows = facts_rows(view, trial, [], others(view, trial), 100, ascii_only=False)
    keyed = {row.key: [cell.tone for cell in row.cells] for row in rows}
    tones = {name: keyed["metric", name] for name in ("exact", "params")}
    assert ["bright", "bad", "plain", "plain", "plain"] == tones["exact"]
    assert ["bright", "good", "plain", "plain", "plain"] == tones["params"]


@pytest.mark.parametrize(("height", "expected"), [(3, ("trial", 1, "rank", 0)), (2, ("metric", "exact"))])
def test_the_cursor_begins_where_enter_leads_on(height: int, expected: object) -> None:
    """If that is in sight; never on a heading."""
    keys = (("section", "objectives"), ("metric", "exact"), ("trial", 1, "rank", 0))
    assert expected == first_row([Row(key, (Cell(""),)) for key in keys], height)
    assert first_row([], 10) is None
