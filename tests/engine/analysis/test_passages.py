"""The part of a passage around the right and the given answer."""

from __future__ import annotations

import dataclasses
import json

from bertdistill.engine.analysis.passages import AROUND, Passage, excerpt

FILLER = "word " * 200
"""A thousand characters."""


def marked(found: Passage) -> tuple[list[str], str]:
    """The texts that the spans mark."""
    given = "" if found.given is None else found.text[slice(*found.given)]
    return [found.text[slice(*span)] for span in found.golds], given


def test_a_short_passage_is_whole() -> None:
    """Nothing is left out, and the spans are those of the passage."""
    found = excerpt("Box one is red, box two is blue.", [(11, "red")], "blue", 27)
    assert Passage("Box one is red, box two is blue.", ((11, 14),), (27, 31), 1) == found


def test_a_long_passage_is_cut_in_whole_words_around_the_answers() -> None:
    """Far answers each keep what stands around them; an ellipsis stands for the rest."""
    passage = f"{FILLER}red {FILLER}{FILLER}blue {FILLER}"
    found = excerpt(passage, [(passage.index("red"), "red")], "blue")
    assert (["red"], "blue") == marked(found)
    assert 3 == found.text.count("...")
    assert {"word", "red", "blue", "..."} == set(found.text.split())
    assert len(found.text) < 5 * AROUND


def test_near_answers_share_one_stretch() -> None:
    """The words between them are read once; also where only the end is cut."""
    passage = f"red {FILLER[:400]}blue {FILLER}"
    found = excerpt(passage, [(0, "red")], "blue")
    assert (["red"], "blue") == marked(found)
    assert 1 == found.text.count("...")
    assert found.text.endswith(" ...")


def test_golds_that_overlap_are_one() -> None:
    """Three people marked nearly the same words."""
    passage = "It was in the year 1066 that they came, in 1066."
    golds = [(19, "1066"), (7, "in the year 1066"), (14, "year 1066"), (43, "1066")]
    assert (["in the year 1066", "1066"], "") == marked(excerpt(passage, golds, ""))


def test_the_recorded_place_is_marked() -> None:
    """The second red is meant; without the record the first is marked, and it is told how many there are."""
    passage = "A red box and a red bag."
    assert ((16, 19), 1) == (excerpt(passage, [], "red", 16).given, 1)
    for start in (None, 3, -8, 1000):
        found = excerpt(passage, [], "red", start)
        assert ((2, 5), 2) == (found.given, found.places)


def test_an_answer_that_is_not_in_the_passage() -> None:
    """Nothing is marked as given."""
    found = excerpt("A red box.", [(2, "red")], "blue")
    assert (None, 0, ((2, 5),)) == (found.given, found.places, found.golds)


def test_nothing_to_mark() -> None:
    """An unanswerable question that was not answered has the beginning of its passage."""
    found = excerpt(FILLER, [], "")
    assert found.text.startswith("word word")
    assert found.text.endswith("word ...")
    assert AROUND < len(found.text) < 3 * AROUND
    assert Passage("") == excerpt("", [], "")


def test_text_without_spaces() -> None:
    """It is cut anywhere."""
    passage = "字" * 2000 + "答" + "字" * 2000
    found = excerpt(passage, [(2000, "答")], "")
    assert (["答"], "") == marked(found)
    assert f"... {'字' * AROUND}答{'字' * AROUND} ..." == found.text


def test_back_from_json() -> None:
    """Spans come back as tuples."""
    for given in ("blue", ""):
        found = excerpt("red and blue", [(0, "red")], given)
        assert found == Passage.from_dict(json.loads(json.dumps(dataclasses.asdict(found))))
