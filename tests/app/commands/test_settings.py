"""The commands that change a study while it runs: exit status, what they print, and what a script gets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, fake_environment, study_spec, wait_for

from bertdistill.app.cli import main
from bertdistill.app.report.shapes import SHAPES
from bertdistill.engine.launch import process
from bertdistill.engine.steering import actions


class Shell:
    """A person's shell beside a workspace with one study that is complete."""

    def __init__(self, bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
        self.bench, self.capsys = bench, capsys

    def type(self, *words: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of one command."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words])
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    def ok(self, *words: str) -> str:
        """What a command that must succeed prints."""
        status, out, err = self.type(*words)
        assert status == 0, err
        return out

    def data(self, *words: str) -> Any:
        """The JSON that it prints."""
        return json.loads(self.ok(*words, "--json"))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:
    """A complete study of two trials; workers are fakes."""
    for name, value in fake_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 2}, note="first try"))
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(bench.workspace.path))
    actions.start_study(bench.workspace, bench.spec, who="ada")
    bench.finish()
    yield Shell(bench, capsys)
    wait_for(lambda: not process.held(bench.workspace.runner_lock), "runners to leave")
    bench.close()


def test_set_tells_each_change(shell: Shell) -> None:
    """From what to what, with the number that undoes it; a script gets the requests."""
    out = shell.ok("set", "toy", "threshold.accuracy=10", "range.layers=2..3", "note=look again")
    assert ["#2 threshold.accuracy none -> 10", "#3 range.layers whole range -> 2..3"] == out.splitlines()[:2]
    [made] = shell.data("set", "toy", "runner.retries=4")
    assert list(SHAPES["request"]) == list(made)
    assert ({"retries": 2}, {"retries": 4}, True) == (made["before"], made["after"], made["undoable"])
    assert [] == shell.data("set", "toy", "runner.retries=4")
    status, out, err = shell.type("set", "toy", "runner.retries=4")
    assert (0, "", True) == (status, out, "already in force" in err)


def test_a_larger_budget_goes_on_at_once(shell: Shell) -> None:
    """A complete study is opened again and gets a runner."""
    status, _, err = shell.type("set", "toy", "budget.trials=3")
    assert (0, True) == (status, "study toy is resumed; runner: pid" in err)
    wait_for(lambda: [3] == [row["trials"].get("complete") for row in shell.data("status")["studies"]], "trial 3")


def test_queue_prints_the_name_of_the_trial(shell: Shell) -> None:
    """In a stopped study it waits; the same again is refused with its number; JSON is the trial."""
    shell.ok("set", "toy", "budget.trials=50")
    shell.ok("stop", "toy")
    wait_for(lambda: not shell.data("status")["workers"], "its workers to leave")
    count = len(shell.data("trials"))
    status, out, err = shell.type("queue", "toy", "--set", "layers=3", "--set", "learning_rate=2e-4")
    assert (0, f"toy/{count}\n", True) == (status, out, "it waits: study toy is stopped" in err), err
    status, _, err = shell.type("queue", "toy", "--set", "layers=3", "--set", "learning_rate=2e-4")
    assert (1, True) == (status, f"trial {count} (waiting) has exactly these settings" in err), err
    assert "undo " in shell.ok("undo", "toy")
    made = shell.data("queue", "toy", "--set", "layers=3", "--set", "learning_rate=2e-4")
    assert (list(SHAPES["trial"]), "queued", count + 1) == (list(made), made["origin"], made["trial"])


def test_history_and_undo(shell: Shell) -> None:
    """Who, when, what; what was undone is marked; a number alone is enough."""
    shell.ok("set", "toy", "budget.hours=3")
    shell.ok("tag", "toy/0", "keep")
    assert "#4 undo #2: budget.hours 3 -> no limit\n" == shell.ok("undo", "2")
    rows = shell.data("history", "toy")
    assert [list(SHAPES["request"])] * 4 == [list(row) for row in rows]
    assert [None, 4, None, None] == [row["undone_by"] for row in rows]
    assert [None, None, 0, None] == [row["trial"] for row in rows]
    lines = shell.ok("history").splitlines()
    undone = next(number for number, line in enumerate(lines) if "~#2" in line)
    assert [True, "budget.hours"] == [lines[undone].endswith("undone by #4"), lines[undone + 1].split()[0]]
    assert max(map(len, lines)) <= 100
    again = list(csv.DictReader(io.StringIO(shell.ok("history", "toy", "--csv"))))
    assert [row["words"] for row in rows] == [row["words"] for row in again]
    assert "undo #3" in shell.ok("undo", "toy")
    status, _, err = shell.type("undo")
    assert (1, True) == (status, "there is nothing to undo" in err)
    assert 4 == shell.data("undo", "toy", "#4")[0]["undoes"]


def test_notes_are_shown(shell: Shell) -> None:
    """Of the study in status and with each trial; of the trial with it; control codes are harmless."""
    assert "toy: note: first try" in shell.ok("status").splitlines()
    shell.ok("note", "toy", "\x1b[2Jsecond [bold]try")
    shell.ok("note", "toy/1", "good")
    assert "toy: note: second [bold]try" in shell.ok("status").splitlines()
    assert [True, True] == [words in shell.ok("show", "toy/1") for words in ("good", "second [bold]try")]
    shell.ok("note", "toy", "")
    assert ("", False) == (shell.data("status")["studies"][0]["note"], "note:" in shell.ok("status"))


def test_tags(shell: Shell) -> None:
    """The tags that the trial has then are printed."""
    assert "toy/1 keep small\n" == shell.ok("tag", "toy/1", "keep", "small")
    assert "toy/1 small\n" == shell.ok("tag", "1", "--remove", "keep", "--study", "toy")
    assert ["small"] == shell.data("show", "toy/1")["tags"]


def test_archived_things_leave_the_lists(shell: Shell) -> None:
    """Unless asked for; they come back."""
    shell.ok("archive", "toy/1")
    assert ([0], [0, 1]) == tuple(
        sorted(row["trial"] for row in shell.data("trials", "toy", *more)) for more in ([], ["--archived"])
    )
    shell.ok("unarchive", "toy/1")
    shell.ok("archive", "toy")
    assert [] == shell.data("status")["studies"]
    assert [True] == [row["archived"] for row in shell.data("status", "--archived")["studies"]]
    assert "toy: archived" in shell.ok("status", "--archived").splitlines()
    shell.ok("unarchive", "toy")
    assert [False] == [row["archived"] for row in shell.data("status")["studies"]]


def test_narrowed_ranges_are_told(shell: Shell) -> None:
    """In status, in the study file in force, and with data."""
    shell.ok("set", "toy", "range.layers=2..3", "range.learning_rate=1e-4")
    assert "toy: proposals keep to layers=2..3 learning_rate=0.0001" in shell.ok("status").splitlines()
    expected = {"layers": {"low": 2, "high": 3}, "learning_rate": 1e-4}
    assert expected == shell.data("status")["studies"][0]["ranges"]
    assert "[ranges.layers]\nlow = 2\nhigh = 3\n" in shell.ok("export", "toy", "--format", "toml")


@pytest.mark.parametrize(
    "words",
    [
        ("set", "toy", "layers"),
        ("set", "toy", "layers=2"),
        ("set", "toy", "range.layers=2..9"),
        ("set", "toy", "note=a", "note=b"),
        ("set", "toy", "threshold.beauty=3"),
        ("set", "toy"),
        ("queue", "toy", "--set", "layers"),
        ("queue", "toy", "--set", "layer=2"),
        ("tag", "toy/0"),
        ("tag", "toy/0", "two words"),
        ("undo", "toy", "last"),
        ("rerun", "toy/0", "--set", "layer=2"),
        ("rerun", "toy/0", "--set", "layers=9"),
        ("status", "--workspace", ""),
        ("--workspace", "", "status"),
    ],
    ids=" ".join,
)
def test_misuse_is_exit_2(shell: Shell, words: tuple[str, ...]) -> None:
    """Nothing is changed and nothing printed to stdout."""
    before = len(shell.data("history"))
    status, out, err = shell.type(*words)
    assert (2, "", True) == (status, out, "rror: " in err), err
    assert before == len(shell.data("history"))
