"""The process that answers: it outlives a question but not the app; the command asks a model and its teacher by it."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import wait_for

from bertdistill.app.children.ask_process import AnswerProcess, Reply, Teacher, order_for
from bertdistill.app.commands import promotion
from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.errors import NotFound

ECHO = """
import json, sys
for line in sys.stdin:
    order = json.loads(line)
    if order["request"].get("text") == "die":
        sys.exit("\\x1b[2Jlast words")
    side = "teacher" if "teacher_of" in order else "student"
    found = {"label": side, "probabilities": {side: 1.0}} | order["request"]
    print(json.dumps({"id": order["id"], "found": found, "latency_cpu_ms": order["id"]}), flush=True)
"""
FAKE = (sys.executable, "-I", "-c", ECHO)


def test_questions_of_many_threads_keep_apart() -> None:
    """One child answers all of them, each its own."""
    process = AnswerProcess(FAKE)
    try:
        with ThreadPoolExecutor(8) as pool:
            orders = [{"folder": "x", "request": {"text": str(i)}} for i in range(40)]
            replies = list(pool.map(process.ask, orders))
        assert [str(i) for i in range(40)] == [reply.found["text"] for reply in replies]
        assert set(range(1, 41)) == {reply.latency_cpu_ms for reply in replies}
    finally:
        process.close()


def test_a_child_that_dies_tells_its_last_words_and_is_replaced() -> None:
    """The next question starts another; after `close` none is started."""
    process = AnswerProcess(FAKE)
    process.start()
    first = process.pid
    with pytest.raises(WorkerFailed, match="ended: last words"):
        process.ask({"folder": "x", "request": {"text": "die"}})
    assert "y" == process.ask({"folder": "x", "request": {"text": "y"}}).found["text"]
    assert first != process.pid
    process.close()
    assert process.pid is None
    with pytest.raises(WorkerFailed, match="is closed"):
        process.start()


def test_closing_frees_a_thread_that_waits() -> None:
    """A screen that is left while the child still loads its weights does not hang."""
    process = AnswerProcess((sys.executable, "-I", "-c", "import sys; sys.stdin.read()"))
    process.start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.ask, {"folder": "x", "request": {"text": "y"}})
        wait_for(lambda: process._asked == 1, "the question to be sent")
        process.close()
        with pytest.raises(WorkerFailed):
            waiting.result(timeout=30)


def test_the_real_child_ends_with_its_input(tmp_path: Path) -> None:
    """It answers errors in words, and its stdin tells it when the app is gone."""
    process = AnswerProcess()
    try:
        reply = process.ask({"folder": str(tmp_path), "request": {"text": "x"}})
        assert "not an exported model" in reply.error
        child: Any = process._child
        child.stdin.close()
        assert 0 == child.wait(timeout=30)
        child.stdout.close()
    finally:
        process.close()


def test_orders_name_the_teacher_of_a_model(tmp_path: Path) -> None:
    """A teacher is asked with the folder of its student, whose lengths and classes it takes."""
    assert {"folder": "m", "request": {"text": "x"}} == order_for(Path("m"), {"text": "x"})
    order = order_for(Path("m"), {"text": "x"}, teacher=Teacher(tmp_path, -0.5))
    assert (str(tmp_path), "m", -0.5) == (order["folder"], order["teacher_of"], order["null_threshold"])
    assert Reply(error="no") == Reply({}, None, "no")


def test_the_command_asks_both(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both answers with latency, as text and as JSON; a teacher that is gone is said with the remedy."""
    db = open_db(ws.path)
    with db.write() as session:
        writes.add_checkpoint(
            session,
            trial_id=2,
            attempt_id=1,
            role="best",
            step=1,
            folder="runs/x",
            sha256="0",
            size_bytes=1,
            metrics={},
            now=1.0,
        )
        made = writes.create_model_version(
            session, name="m", trial_id=2, checkpoint_id=1, who="ada", now=1.0, note="", forced=False
        )
        writes.finish_model_version(session, made.id, state="verified", now=2.0, folder="models/m/v1", metrics={})
    ws.models_folder("m", 1).mkdir(parents=True)
    with pytest.raises(NotFound, match="has no teacher"):
        promotion.ask_both(ws, "m:1", {"text": "x"}, as_json=True)
    folder = ws.caches / "teachers" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    with db.write() as session:
        writes.set_prepared(session, reads.study(session, "demo").id, {"teacher_folder": str(folder)})
    db.close()
    monkeypatch.setattr(promotion, "AnswerProcess", lambda: AnswerProcess(FAKE))
    found = json.loads(promotion.ask_both(ws, "m:1", {"text": "x"}, as_json=True))
    assert [("student", 1), ("teacher", 2)] == [(one["label"], one["latency_cpu_ms"]) for one in found.values()]
    text = promotion.ask_both(ws, "m:1", {"text": "x"}, as_json=False)
    assert "student: student" in text
    assert "CPU time  2.00 ms" in text
    with pytest.raises(WorkerFailed, match="last words"):
        promotion.ask_both(ws, "m:1", {"text": "die"}, as_json=True)
