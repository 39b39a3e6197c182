"""One process answers many requests: each on its line, errors too, with weights loaded once."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest
from tests.engine.distill.export.test_answer import CLASSIFY, LABELS, QUESTION, exported
from tests.tiny import make_checkpoint

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.distill.export.answer import answer, classify, open_teacher
from bertdistill.engine.distill.export.answer_loop import MOST_MODELS, Answers, serve

PASSAGE = "The quick brown fox jumps over the lazy dog."


def test_each_line_gets_its_reply(tmp_path: Path) -> None:
    """Found and latency under the id of the request; what cannot be answered is an error on its line."""
    folder = exported(tmp_path)
    right = {"id": 1, "folder": str(folder), "request": {"question": QUESTION, "passage": PASSAGE}}
    lines = [right, right | {"id": 2, "request": {"text": "A film"}}, right | {"id": 3, "folder": "/nowhere"}]
    lines += [{"id": 4, "folder": str(folder)}]
    replies = io.StringIO()
    serve(io.StringIO("".join(json.dumps(line) + "\n" for line in lines) + "no json\n[1]\n"), replies)
    first, *errors = [json.loads(line) for line in replies.getvalue().splitlines()]
    assert answer(folder, question=QUESTION, context=PASSAGE) == first["found"]
    assert (1, True) == (first["id"], first["latency_cpu_ms"] > 0)
    assert [2, 3, 4, None, None] == [one["id"] for one in errors]
    assert "is for question-answering" in errors[0]["error"]
    assert "not an exported model" in errors[1]["error"]
    assert all(one["error"] for one in errors)


def test_weights_are_read_once(tmp_path: Path) -> None:
    """The second answer needs no file any more; at most a few models stay open."""
    folder = exported(tmp_path)
    answers = Answers()
    order = {"id": 1, "folder": str(folder), "request": {"question": QUESTION, "passage": PASSAGE}}
    first = answers.reply(json.dumps(order))
    shutil.rmtree(folder)
    assert first["found"] == answers.reply(json.dumps(order))["found"]
    for number in range(MOST_MODELS):
        other = make_checkpoint(tmp_path / f"m{number}", "bert", head="qa")
        assert "found" in answers.reply(json.dumps(order | {"folder": str(other)}))
    assert "error" in answers.reply(json.dumps(order))


def test_a_teacher_reads_and_names_as_its_student(tmp_path: Path) -> None:
    """Its classes take the student's names and order, its abstention the threshold of the study."""
    student = exported(tmp_path / "cls", CLASSIFY)
    teacher = make_checkpoint(tmp_path / "teacher", "bert", head="cls", labels=len(LABELS))
    order = {"id": 1, "folder": str(teacher), "teacher_of": str(student), "request": {"text": "A good film"}}
    found = Answers().reply(json.dumps(order))["found"]
    assert list(LABELS) == list(found["probabilities"])
    shares = list(classify(teacher, "A good film")["probabilities"].values())
    assert shares == pytest.approx(list(found["probabilities"].values()), abs=2e-4)
    reader = exported(tmp_path / "qa")
    teacher = make_checkpoint(tmp_path / "teacher-qa", "bert", head="qa")
    order = {"id": 2, "folder": str(teacher), "teacher_of": str(reader), "null_threshold": -1e6}
    request = {"question": QUESTION, "passage": PASSAGE}
    reply = Answers().reply(json.dumps(order | {"request": request}))
    assert (True, -1e6) == (reply["found"]["abstained"], reply["found"]["null_threshold"])


def test_a_folder_that_is_no_teacher_is_refused(tmp_path: Path) -> None:
    """No config, no model: the message names the folder."""
    with pytest.raises(ConfigError, match="not an exported model"):
        open_teacher(tmp_path / "gone", exported(tmp_path))
