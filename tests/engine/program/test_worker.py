"""A program as the worker: real processes, small ones without Python's site."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import wait_for

from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.program import ProgramOrder
from bertdistill.engine.launch import process

WORKER = (sys.executable, "-P", "-m", "bertdistill.engine.program.worker")
PYTHON = (sys.executable, "-I", "-S", "-c")


class Attempt:
    """A run folder with an order, and its worker as the shim would start it."""

    def __init__(self, folder: Path, command: list[str], **more: Any) -> None:
        self.paths = RunPaths(folder.resolve())
        order: dict[str, Any] = {"params": {"lr": 0.5}, "objectives": ["acc"], "grace_seconds": 0.2, **more}
        ProgramOrder("s", 1, command, str(self.paths.folder), {"kind": "cpu"}, **order).write(self.paths.spec)
        self.running: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        with self.paths.log.open("ab") as log:
            self.running = subprocess.Popen([*WORKER, str(self.paths.folder)], stdout=log, stderr=log)
        return self.running

    def run(self) -> int:
        return self.start().wait(30)

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """All of them valid."""
        found = [parse_event(line) for line in self.paths.events.read_bytes().splitlines()]
        assert None not in found
        return [one for one in found if one is not None and kind in ("", one["k"])]

    @property
    def word(self) -> tuple[str, str, str]:
        [*_, last] = self.events("ended")
        return last["status"], last["reason"], last["detail"]

    @property
    def log(self) -> bytes:
        return self.paths.log.read_bytes()


def python(folder: Path, text: str, **more: Any) -> Attempt:
    return Attempt(folder, [*PYTHON, text], **more)


def shell(folder: Path, text: str, **more: Any) -> Attempt:
    return Attempt(folder, ["sh", "-c", text], **more)


def test_parameters_go_in_three_ways_and_metrics_come_back_as_lines(tmp_path: Path) -> None:
    """As arguments, in the environment, in a file; what is printed is also in the log, with what goes to stderr."""
    text = (
        "import json, os, sys\n"
        "values = json.load(open(sys.argv[2]))\n"
        "assert [sys.argv[1], os.environ['BERTDISTILL_PARAM_LR'], values] == ['0.5', '0.5', {'lr': 0.5}]\n"
        "assert os.environ['BERTDISTILL_PARAMS'] == sys.argv[2] and os.environ['MINE'] == 'x'\n"
        'print(\'{"step": 0, "acc": 0.25}\\nhello\')\n'
        "print('{\"acc\": 0.5, \"size\": 3}', end='')\n"
        "sys.stderr.write('trouble')\n"
    )
    found = Attempt(tmp_path, [*PYTHON, text, "{lr}", "{params}"], environment={"MINE": "x"})
    assert (0, ("complete", "", "")) == (found.run(), found.word)
    assert [{"acc": 0.25}] == [one["values"] for one in found.events("metrics")]
    assert [{"acc": 0.5, "size": 3.0}] == [one["metrics"] for one in found.events("result")]
    assert b"hello" in found.log
    assert b"trouble" in found.log


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        ("exit 76", 76, ("infeasible", "infeasible", "")),
        ("echo too deep; exit 76", 76, ("infeasible", "infeasible", "too deep")),
        ('echo \'{"infeasible": "no"}\'; exit 1', 76, ("infeasible", "infeasible", "no")),
        ("echo '{\"acc\": NaN}'", 76, ("infeasible", "diverged", "acc is nan")),
        ("echo '{\"Acc\": 1}'", 0, ("failed", "no_result", 'no value for acc; it printed last: {"Acc": 1}')),
    ],
)
def test_words(text: str, code: int, word: tuple[str, str, str], tmp_path: Path) -> None:
    """What a program can say without Python."""
    found = shell(tmp_path, text)
    assert (code, word) == (found.run(), found.word)


@pytest.mark.parametrize(("text", "code"), [("exit 3", 3), ("kill -9 $$", -9), ("kill -TERM $$", -15)])
def test_a_crash_is_passed_on(text: str, code: int, tmp_path: Path) -> None:
    """The worker ends as the program did and says nothing, so the shim classifies the program's end."""
    found = shell(tmp_path, text)
    assert (code, []) == (found.run(), found.events("ended"))


def test_a_program_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """It can never work; nothing is retried."""
    found = Attempt(tmp_path, ["./nothing"])
    assert (78, "refused") == (found.run(), found.word[0])
    assert "./nothing cannot be started in" in found.word[2]


def test_a_checkpoint_that_is_not_a_path_does_not_end_the_trial(tmp_path: Path) -> None:
    """A null byte, half a character and a loop of links; each is named in a notice."""
    (tmp_path / "loop").symlink_to("loop")
    names = ("a\\u0000b", "a\\ud800b", "loop")
    lines = [*(f'{{"checkpoint": "{name}"}}' for name in names), '{"acc": 0.5}', ""]
    (tmp_path / "printed").write_text("\n".join(lines))
    found = shell(tmp_path, "cat printed")
    assert (0, "complete") == (found.run(), found.word[0])
    assert [True] * 3 == [name in one["text"] for name, one in zip(names, found.events("notice"), strict=True)]


def test_a_stop_is_passed_on_and_the_checkpoint_kept(tmp_path: Path) -> None:
    """The program has its time to save; then it was stopped, whatever its exit code."""
    text = (
        "import os, signal, sys, time\n"
        "def stop(*_):\n"
        "    os.makedirs('checkpoints/2'); open('checkpoints/2/w', 'w').write('abc')\n"
        '    print(\'{"checkpoint": "checkpoints/2", "step": 2}\'); sys.exit(5)\n'
        "signal.signal(signal.SIGTERM, stop)\n"
        'print(\'{"step": 1, "acc": 1}\', flush=True)\n'
        "time.sleep(60)\n"
    )
    found = python(tmp_path, text, grace_seconds=20.0)
    running = found.start()
    wait_for(lambda: found.paths.events.exists() and found.events("metrics"), "the first line")
    running.send_signal(signal.SIGTERM)
    assert (75, "stopped") == (running.wait(30), found.word[0])
    [saved] = found.events("checkpoint")
    assert ("last", 2, 3) == (saved["role"], saved["step"], saved["size_bytes"])


def test_what_ignores_a_stop_is_killed_and_a_time_limit_is_infeasible(tmp_path: Path) -> None:
    """First asked, then killed after the grace time; retrying would take as long again."""
    text = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)\n"
    found = python(tmp_path, text, limit_seconds=0.3)
    assert (76, ("infeasible", "time_limit", "it took longer than 0.005 minutes")) == (found.run(), found.word)


def test_what_a_program_leaves_behind_does_not_keep_its_worker(tmp_path: Path) -> None:
    """A daemon holds the output open; the shim ends it, by the lock that it holds, too."""
    found = shell(tmp_path, "setsid sleep 60 & echo $!; echo '{\"acc\": 1}'")
    assert (0, "complete") == (found.run(), found.word[0])
    os.kill(int(found.log.split()[0]), signal.SIGKILL)


def test_output_may_be_anything(tmp_path: Path) -> None:
    """Huge lines, binary data, control codes, a closed output: the log has it or its start, the result counts."""
    text = (
        "import os, sys\n"
        "os.write(1, b'x' * 3_000_000 + b'\\n\\x00\\xff\\x1b[2J\\n' + b'{\"a\":' * 20_000 + b'\\n{\"acc\": 1}\\n')\n"
        "os.close(1)\n"
    )
    found = python(tmp_path, text)
    assert (0, "complete") == (found.run(), found.word[0])
    assert b"[a line of 3,000,000 bytes]" in found.log
    assert b"\x00\xff\x1b[2J\n" in found.log
    assert len(found.log) < 200_000


def test_a_line_cut_by_a_kill_is_ended_before_the_next_event(tmp_path: Path) -> None:
    """The program writes events itself; the worker's last word is still a line of its own."""
    text = (
        "import os\n"
        "os.write(os.open('events.jsonl', os.O_WRONLY | os.O_APPEND), b'{\"k\": \"metr')\n"
        "print('{\"acc\": 1}')\n"
    )
    found = python(tmp_path, text)
    assert 0 == found.run()
    *_, torn, result, ended = found.paths.events.read_bytes().splitlines()
    assert b'{"k": "metr' == torn
    assert [{"acc": 1.0}, "complete"] == [json.loads(result)["metrics"], json.loads(ended)["status"]]


def test_the_program_holds_the_lock_of_its_folder(tmp_path: Path) -> None:
    """Free means that nothing of the attempt runs, not even a program whose worker was killed."""
    found = shell(tmp_path, 'echo \'{"step": 1, "acc": 1}\'; exec sleep 60')
    lock = process.try_lock(found.paths.lock)
    assert lock is not None
    os.set_inheritable(lock, True)
    with found.paths.log.open("ab") as log:
        worker = subprocess.Popen([*WORKER, str(tmp_path.resolve())], stdout=log, stderr=log, pass_fds=[lock])
    os.close(lock)
    wait_for(lambda: found.paths.events.exists() and found.events("metrics"), "the program")
    worker.kill()
    worker.wait()
    assert process.held(found.paths.lock)
    os.kill(found.events("started")[0]["pid"], signal.SIGKILL)
    wait_for(lambda: not process.held(found.paths.lock), "the lock")
