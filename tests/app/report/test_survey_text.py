"""The survey as text, Markdown and HTML."""

from __future__ import annotations

import dataclasses
import json

from tests.app.hostile import HOSTILE
from tests.app.report.test_ladder_text import Parsed

from bertdistill.app.draw.canvas import Look
from bertdistill.app.report.summary import Page
from bertdistill.app.report.survey_text import (
    best_table,
    entries_table,
    sentence,
    survey_drawing,
    survey_html,
    survey_markdown,
    survey_text,
)
from bertdistill.app.views.survey import entry_rows, read_row, survey_row
from bertdistill.engine.analysis.published import points_of
from bertdistill.engine.analysis.scored import Score
from bertdistill.engine.analysis.survey import VALIDATION, Best, Entry, Survey

NARROW = Entry(
    "narrow",
    (3, 4),
    5.5,
    {VALIDATION: Score(88.0, 2, 0.5, (86.0, 90.0), -1.0, (-2.5, 0.5))},
    {"params": 4e6, "bytes": 16.5e6},
    98.876,
)
TINY = Entry("tiny", (7,), 282.4, {VALIDATION: Score(80.0, gap=-9.0)}, {"params": 80_306.0, "bytes": 321e3}, 89.888)
FOUND = Survey(
    "toy",
    "accuracy",
    VALIDATION,
    (NARROW, TINY),
    (Best(2.0, NARROW, ("layers",)), Best(5.0, NARROW, ("layers",)), Best(10.0, TINY), Best(500.0, None)),
    Score(89.0),
    {VALIDATION: 692},
    True,
)


def test_the_sentence_names_each_winner_once() -> None:
    assert (
        "The best small models: narrow at 5.5×, 98.9 % of the teacher's accuracy (a tie with layers); "
        "tiny at 282×, 89.9 % of the teacher's accuracy." == sentence(FOUND)
    )
    smaller = dataclasses.replace(NARROW, numbers=(9,), compression=21.0, kept=91.0)
    twice = dataclasses.replace(FOUND, best=(*FOUND.best[:2], Best(20.0, smaller)))
    assert "; narrow at 21×, 91.0 % of the teacher's accuracy." in sentence(twice)
    nobody = dataclasses.replace(FOUND, best=(Best(2.0, None),))
    assert "No method is 2× smaller than the teacher yet." == sentence(nobody)


def test_tables() -> None:
    entries = entries_table(FOUND)
    assert ("narrow", "#3", "5.5×", "88.00 ± 0.50 (2)") == entries.rows[0][:4]
    assert ("tiny", "#7", "282×") == entries.rows[1][:3]
    assert ("", "", "teacher") == entries.kinds
    best = best_table(FOUND, points_of("SST-2"))
    assert ("2×", "narrow", "#3", "5.5×", "98.9 %", "layers") == best.rows[0][:6]
    assert "MobileBERT (4.3×, 2004.02984)" == best.rows[0][6]
    assert ("500×", "none", "", "", "", "", "none", "") == best.rows[3]


def test_text_markdown_and_html_hold_the_same() -> None:
    text, markdown, page = (
        survey_text(FOUND, "SST-2", Page()),
        survey_markdown(FOUND, "SST-2"),
        survey_html(FOUND, "SST-2"),
    )
    for words in ("narrow", "98.9 %", "282×", "MobileBERT", "Compression counts bytes"):
        assert words in text
        assert words in markdown
        assert words in page
    assert "1908.09355, GLUE test" in page
    assert "published" not in survey_text(FOUND, "", Page()).lower().replace("published points", "")


def test_it_survives_json() -> None:
    assert FOUND == read_row(json.loads(json.dumps(survey_row(FOUND, "SST-2"))))
    assert [("narrow", 5.5), ("tiny", 282.4)] == [(row["method"], row["compression"]) for row in entry_rows(FOUND)]


def test_hostile_names_stay_words() -> None:
    """A recipe is named by a person, a study by another."""
    bad = dataclasses.replace(FOUND, study=HOSTILE, entries=(dataclasses.replace(NARROW, method=HOSTILE),))
    bad = dataclasses.replace(bad, best=(Best(2.0, bad.entries[0], (HOSTILE,)),))
    parsed = Parsed(survey_html(bad, "SST-2"))
    assert not {"script", "img", "a"} & set(parsed.tags)
    for out in (survey_text(bad, "", Page()), survey_markdown(bad, ""), survey_html(bad, "")):
        assert not any(ord(char) < 32 and char != "\n" for char in out)


def test_the_cursor_of_the_chart() -> None:
    drawing = survey_drawing(FOUND, "SST-2", Look(80, 20), chosen=NARROW)
    assert (("compression", 5.5), ("% of the teacher's accuracy", 98.876)) == drawing.readings


def test_nonzero_parameters_are_shown_beside_params_only_where_weights_were_pruned() -> None:
    """Of dense students they repeat params."""
    dense, pruned = ({**NARROW.costs, "nonzero_params": count} for count in (4e6, 3e6))
    for costs, shown in ((dense, False), (pruned, True)):
        found = dataclasses.replace(FOUND, entries=(dataclasses.replace(NARROW, costs=costs), TINY))
        assert shown == ("nonzero_params" in survey_markdown(found, ""))
