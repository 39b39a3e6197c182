"""`engine passages`: what it refuses without starting a process, and what people read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bertdistill.app.cli import main
from bertdistill.app.commands import promotion
from bertdistill.app.commands.passages import asked_text, built_text

BUILT = {"folder": "/p\x1b[31m", "passages": 2, "windows": 3, "tokens": 450, "bytes": 345_600}
BUILT |= {"bytes_per_passage": 172_800, "numbers": "fp16", "separate_layers": 4, "cpu_seconds": 1.234}
ASKED = {"answer": "Ada", "abstained": False, "best_span": "Ada", "passage": 2, "score": 3.5, "null_score": 1.0}
ASKED |= {"latency_cached_ms": 10.0, "windows": 3}


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["engine", "passages", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("build", "m", "f"), "passages build MODEL FILE -o FOLDER"),
        (("build", "m", "f", "q", "-o", "x"), "passages build MODEL FILE -o FOLDER"),
        (("ask", "m", "f"), "ask needs a folder and a question"),
        (("ask", "m", "f", "q", "-o", "x"), "ask needs a folder and a question"),
        (("list", "m", "f"), "'list'"),
    ],
)
def test_wrong_usage(words: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and how it is written."""
    assert 2 == run(*words)
    assert text in " ".join(capsys.readouterr().err.split())


def test_the_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that `engine.distill.export.passages` understands."""
    (tmp_path / "config.json").write_text("{}")
    requests: list[Any] = []

    def reply(program: list[str], request: dict[str, Any], otherwise: str) -> dict[str, Any]:
        requests.append(request)
        return BUILT if "build" in request else ASKED

    monkeypatch.setattr(promotion, "answered", reply)
    model = str(tmp_path)
    space = ("-w", str(tmp_path / "workspace"))
    assert 0 == run("build", model, "a.txt", "-o", "out", "--numbers", "fp32", *space)
    assert 0 == run("ask", model, "out", "Who?", "--passage", "2", "--compare", "--json", *space)
    assert [
        {"build": {"model": model, "file": "a.txt", "folder": "out", "numbers": "fp32"}},
        {"ask": {"model": model, "folder": "out", "question": "Who?", "passage": 2, "compare": True}},
    ] == requests
    assert '"latency_cached_ms": 10.0' in capsys.readouterr().out


def test_in_words() -> None:
    """Sizes and times; foreign text is made harmless."""
    text = built_text(BUILT)
    assert "\x1b" not in text
    assert "172,800" in text
    lines = asked_text(ASKED).splitlines()
    assert ("Ada", "CPU time: 10.0 ms for 3 windows") == (lines[0], lines[-1])
    both = asked_text(ASKED | {"latency_cpu_ms": 26.0, "largest_difference": 0.001})
    assert both.endswith("CPU time: 10.0 ms for 3 windows, 26.0 ms if they are read again (2.60 times as long)")
