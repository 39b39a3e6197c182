"""Questions as tools write them: flags as text, answers without text, other white space, other JSON forms."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.questions import QAExample, file_questions

CONTEXT = "Mira keeps a red cat."


def qa(key: str, text: Any = "red cat", start: Any = 13, **more: Any) -> dict[str, Any]:
    """A question with one answer."""
    return {"id": key, "question": "What?", "answers": [{"text": text, "answer_start": start}], **more}


def read(folder: Path, *qas: dict[str, Any], context: str = CONTEXT) -> tuple[list[QAExample], tuple[str, ...]]:
    """The questions of a SQuAD file of one passage, and the notices."""
    return read_json(folder, {"data": [{"paragraphs": [{"context": context, "qas": list(qas)}]}]})


def read_json(folder: Path, raw: Any) -> tuple[list[QAExample], tuple[str, ...]]:
    """The same of any JSON."""
    path = folder / "d.json"
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw))
    return file_questions(DataSpec(train=str(path)), "train")


@pytest.mark.parametrize(
    ("flag", "impossible"),
    [("false", False), ("False", False), ("true", True), ("TRUE", True), (0, False), (1, True), (None, False),
     ("0", False), (True, True), (0.0, None), ("maybe", None), ([], None)],
)  # fmt: skip
def test_a_flag_written_as_text_means_what_it_says(tmp_path: Path, flag: Any, impossible: bool | None) -> None:
    """`"false"` is true to Python, which once made every question unanswerable; anything else names the question."""
    if impossible is None:
        with pytest.raises(ConfigError, match=r"is_impossible = .* of question 'a'"):
            read(tmp_path, qa("a", is_impossible=flag))
        return
    rows, _ = read(tmp_path, qa("a", is_impossible=flag))
    assert impossible is rows[0].impossible


def test_offsets_written_as_text_are_numbers(tmp_path: Path) -> None:
    """As some tutorials write them; what is no number is refused with its place."""
    assert (13,) == read(tmp_path, qa("a", start="13"))[0][0].starts
    with pytest.raises(ConfigError, match=r"qas\[0\] has a missing or invalid entry: invalid literal"):
        read(tmp_path, qa("a", start="here"))


@pytest.mark.parametrize("start", [-1, 0])
@pytest.mark.parametrize("text", ["", " ", None])
def test_an_answer_without_text_is_no_answer(tmp_path: Path, text: str | None, start: int) -> None:
    """Converters write unanswerable questions so; as an answer, "" would make a perfect model wrong."""
    rows, _ = read(tmp_path, qa("a", text, start), qa("b"))
    assert [((), True), (("red cat",), False)] == [(row.answers, row.impossible) for row in rows]


def test_empty_golds_beside_written_ones_are_dropped(tmp_path: Path) -> None:
    """Annotators who found no answer do not make the question unanswerable for the others."""
    both = qa("a")
    both["answers"].append({"text": "", "answer_start": -1})
    assert (("red cat",), False) == ((row := read(tmp_path, both)[0][0]).answers, row.impossible)


def test_white_space_is_compared_as_white_space(tmp_path: Path) -> None:
    """No-break spaces of a web page: the passage's own spelling becomes the answer, and a notice counts them."""
    rows, notices = read(tmp_path, qa("a"), qa("b", "keeps  a", 5), context="Mira\u00a0keeps\na red\u00a0cat.")
    assert [("red\u00a0cat", 13), ("keeps\na", 5)] == [(row.answers[0], row.starts[0]) for row in rows]
    assert "the answers of 2 question(s)" in notices[0]


def test_answers_that_are_not_in_the_passage_are_counted_and_the_first_three_named(tmp_path: Path) -> None:
    """One look at the message says how bad it is."""
    with pytest.raises(ConfigError, match="4 answers are not in the passage") as caught:
        read(tmp_path, *(qa(f"q{i}", f"dog {i}") for i in range(4)), qa("fine"))
    assert all(f"'dog {i}' of question 'q{i}'" in str(caught.value) for i in range(3))
    assert "q3" not in str(caught.value)


def test_lone_surrogates_are_replaced_one_for_one(tmp_path: Path) -> None:
    """No tokenizer takes half a character; offsets behind it stay right. A whole pair is left alone."""
    rows, notices = read_json(
        tmp_path,
        '{"data": [{"paragraphs": [{"context": "\\ud83d and \\ud83d\\ude00 red", "qas": ['
        '{"id": "a", "question": "\\udc00?", "answers": [{"text": "red", "answer_start": 8}]}]}]}]}',
    )
    assert ("\ufffd and \U0001f600 red", "\ufffd?", (8,)) == (rows[0].context, rows[0].question, rows[0].starts)
    assert "2 lone surrogate(s)" in notices[0]


ROW = {"id": "a", "title": "T", "context": CONTEXT, "question": "What?"}
MRQA = {"qid": "a", "question": "What?", "answers": ["red cat"],
        "detected_answers": [{"text": "red cat", "char_spans": [[13, 19]]}]}  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        [ROW | {"answers": {"text": ["red cat"], "answer_start": [13]}}],
        [ROW | {"answers": [{"text": "red cat", "answer_start": 13}]}],
        [{"header": {"dataset": "X"}}, {"context": CONTEXT, "qas": [MRQA]}],
    ],
)
def test_rows_of_the_hub_and_of_mrqa_are_read_and_also_compressed(tmp_path: Path, lines: list[Any]) -> None:
    """A row a question in JSON Lines, or MRQA's passages; both are often shared as .jsonl.gz."""
    path = tmp_path / "d.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    rows, _ = file_questions(DataSpec(train=str(path)), "train")
    assert [("a", ("red cat",), (13,))] == [(row.id, row.answers, row.starts) for row in rows]
