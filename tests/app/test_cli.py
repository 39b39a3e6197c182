"""The command line as a person and a script use it: whole studies with fake workers, exit codes, streams, signals."""

from __future__ import annotations

import csv
import io
import json
import os
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import fake_environment, study_dict, wait_for

from bertdistill.app.cli import main
from bertdistill.app.report.shapes import SHAPES
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import actions
from bertdistill.engine.study.config import study_from_dict, to_toml

PROGRAM = (sys.executable, "-P", "-m", "bertdistill.engine")


class Terminal:
    """A person's shell in a folder: a study file, a workspace, and workers that are fakes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys
        self.workspace = Workspace(folder / "runs")
        self.study_file = folder / "toy.toml"
        self.hold = folder / "hold"
        if not self.study_file.exists():
            self.study_file.write_text(to_toml(study_from_dict(study_dict(folder), where="test")))
        self.behave()
        monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(self.workspace.path))
        monkeypatch.delenv("BERTDISTILL_DEBUG", raising=False)

    def behave(self, **behaviour: Any) -> None:
        """How workers behave from now on."""
        for name, value in fake_environment(self.folder, **behaviour).items():
            self.monkeypatch.setenv(name, value)

    def hold_trials(self) -> None:
        """Keep every trial at half of its steps until `hold` is gone."""
        self.hold.touch()
        self.behave(hold=str(self.hold))

    def type(self, *words: str) -> tuple[int, str, str]:
        """Exit status, stdout and stderr of one command, in this process."""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words])
        out, err = self.capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Start one command as a process of its own and return at once."""
        return subprocess.Popen(
            [*PROGRAM, *words],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def data(self, *words: str) -> Any:
        """The JSON that a command prints; it must succeed."""
        status, out, err = self.type(*words, "--json")
        assert status == 0, err
        return json.loads(out)

    def wait(self, what: str, condition: Callable[[dict[str, Any]], Any]) -> Any:
        """Wait until the workspace's status satisfies the condition."""
        wait_for(lambda: self.workspace.database.exists(), "a database")
        return wait_for(lambda: condition(self.data("status")), what)

    def leave(self) -> None:
        """End the runner and its workers, if any are left."""
        self.hold.unlink(missing_ok=True)
        if actions.runner_status(self.workspace).alive:
            self.type("stop", "--runner")
            wait_for(lambda: not actions.runner_status(self.workspace).alive, "the runner to leave")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Terminal]:
    """A shell without a workspace yet."""
    terminal = Terminal(tmp_path, monkeypatch, capsys)
    yield terminal
    terminal.leave()


@pytest.fixture(scope="module")
def finished_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `run` has taken the study to its end, as a process of its own."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "toy.toml").write_text(to_toml(study_from_dict(study_dict(folder), where="test")))
    environment = fake_environment(folder) | {"BERTDISTILL_WORKSPACE": str(folder / "runs")}
    command = [*PROGRAM, "run", str(folder / "toy.toml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", check=False)
    (folder / "out").write_text(done.stdout)
    (folder / "err").write_text(done.stderr)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def done(
    finished_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Terminal]:
    """A shell whose study is complete; a copy, so that a test may change it."""
    folder = tmp_path / "copy"
    shutil.copytree(finished_folder, folder, symlinks=True)
    terminal = Terminal(folder, monkeypatch, capsys)
    yield terminal
    terminal.leave()


# ------------------------------------------------------------------------------------------------------------- studies


def test_run_to_the_end(finished_folder: Path) -> None:
    """One command, a whole study: progress on stderr; ranked list, chart and next commands on stdout."""
    out, err = (finished_folder / "out").read_text(), (finished_folder / "err").read_text()
    assert out.startswith("toy: ✓ complete, 5 complete, 5 in the budget")
    assert [True] * 4 == [part in out for part in ("★ frontier", "◆ baseline", "next\n", " promote toy/")]
    assert 5 == sum(line.startswith("#") and " complete: accuracy " in line for line in err.splitlines())


def test_run_prints_data_for_scripts(shell: Terminal) -> None:
    """`run --json` ends with the list of trials on stdout and nothing else there."""
    ran = shell.data("run", str(shell.study_file), "--set", "budget.trials=2")
    assert ran == shell.data("trials")
    assert [0, 1] == sorted(row["trial"] for row in ran)


def test_ctrl_c_detaches_and_a_second_terminal_attaches(shell: Terminal) -> None:
    """Interrupting the follower exits with 130 and stops nothing; a second `run` follows the same runner to the end."""
    shell.hold_trials()
    first = shell.start("run", str(shell.study_file))
    shell.wait("a trial that runs", lambda found: any(w["trial"] is not None for w in found["workers"]))
    runner = actions.runner_status(shell.workspace).pid
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=30)
    assert 130 == first.returncode
    assert [True, True] == [part in err for part in ("detached: study toy keeps running", " stop toy")]
    shell.hold.unlink()
    status, out, _ = shell.type("run", str(shell.study_file))
    assert (0, True) == (status, out.startswith("toy: ✓ complete, 5 complete"))
    assert f" {runner} INFO runner exits" in shell.workspace.runner_log.read_text()


def test_stop_and_resume(shell: Terminal) -> None:
    """`stop` ends a study after checkpoints; its follower exits with 1 and the way on; `resume` completes it."""
    shell.hold_trials()
    follower = shell.start("run", str(shell.study_file))
    shell.wait("a trial that runs", lambda found: any(w["trial"] is not None for w in found["workers"]))
    assert 0 == shell.type("stop", "toy")[0]
    _, err = follower.communicate(timeout=60)
    assert (1, True) == (follower.returncode, "error: study toy is stopped\nhint: resume with" in err), err
    shell.hold.unlink()
    assert 0 == shell.type("resume", "toy")[0]
    status, out, err = shell.type("watch", "toy", "--plain", "--interval", "0.1")
    assert (0, True) == (status, out.startswith("toy: ✓ complete, 5 complete")), err


def test_pause_and_stop_of_one_trial(shell: Terminal) -> None:
    """A paused study launches nothing new; one trial can be stopped alone, the other finishes."""
    shell.hold_trials()
    assert 0 == shell.type("run", str(shell.study_file), "--detach")[0]
    shell.wait("two trials that run", lambda found: {0, 1} == {w["trial"] for w in found["workers"]})
    assert 0 == shell.type("pause")[0]
    shell.wait("the study to pause", lambda found: found["studies"][0]["state"] == "paused")
    assert 0 == shell.type("stop", "--trial", "1")[0]
    wait_for(lambda: shell.data("show", "1")["state"] == "stopped", "trial 1 to stop")
    assert "running" == shell.data("show", "0")["state"]
    shell.hold.unlink()
    wait_for(lambda: shell.data("show", "0")["state"] == "complete", "trial 0 to complete")
    assert [0, 1] == sorted(t["trial"] for t in shell.data("trials"))


def test_a_diagnosis_is_an_error(shell: Terminal) -> None:
    """A study that the runner pauses because everything crashes ends `run` with 1 and the diagnosis."""
    shell.behave(crash=[0, 1, 2, 3, 4])
    status, _, err = shell.type("run", str(shell.study_file), "--set", "runner.retries=0")
    assert (1, True) == (status, "error: study toy is paused: 3 attempts in a row ended with crashed" in err), err
    wait_for(lambda: shell.data("show", "0")["state"] == "failed", "trial 0 to fail")
    page = shell.type("show", "0")[1]
    assert [True] * 2 == [part in page for part in ("crashed", "RuntimeError: the fake crashed")]


def test_plan_starts_nothing(shell: Terminal) -> None:
    """No workspace, no runner; the sizes are there."""
    planned = shell.data("plan", str(shell.study_file), "--set", "budget.trials=3")
    assert (3, True) == (planned["trials"], planned["sizes"]["baseline"] >= planned["sizes"]["smallest"] > 0)
    assert not shell.workspace.path.exists()


def test_another_study_of_the_same_name_is_refused(done: Terminal) -> None:
    """A changed file under a name that is taken is not silently the old study."""
    status, _, err = done.type("run", str(done.study_file), "--set", "settings.epochs=7")
    assert (1, True) == (status, "settings.epochs" in err)


# -------------------------------------------------------------------------------------------------------------- trials


def test_shapes_of_the_data_commands(done: Terminal) -> None:
    """`trials`, `frontier`, `show` and `status --json` have the documented keys and agree with each other."""
    trials = done.data("trials")
    assert [list(SHAPES["trial"])] * 5 == [list(row) for row in trials]
    assert [row for row in trials if row["frontier"]] == done.data("frontier")
    shown = done.data("show", str(trials[0]["trial"]))
    assert trials[0] == {key: shown[key] for key in trials[0]}
    assert [list(SHAPES["attempt"])] == [list(attempt) for attempt in shown["attempts"]]
    assert {tuple(SHAPES["checkpoint"])} == {tuple(checkpoint) for checkpoint in shown["checkpoints"]}
    status = done.data("status")
    assert ["workspace", "runner", "disk_full", "studies", "workers", "notices"] == list(status)
    assert [list(SHAPES["study"])] == [list(row) for row in status["studies"]]
    assert ("complete", {"complete": 5}) == (status["studies"][0]["state"], status["studies"][0]["trials"])


def test_csv_and_export(done: Terminal, tmp_path: Path) -> None:
    """CSV rows are trials; the exported study file is the same study."""
    rows = list(csv.DictReader(io.StringIO(done.type("trials", "--csv")[1])))
    assert {"0", "1", "2", "3", "4"} == {row["trial"] for row in rows}
    assert all(float(row["metrics.accuracy"]) > 0 for row in rows)
    assert sorted(done.data("trials"), key=lambda r: r["trial"]) == json.loads(
        done.type("export", "toy", "--format", "json")[1]
    )
    table = done.type("export", "toy", "--format", "md")[1].splitlines()
    ranked = [row["trial"] for row in done.data("trials")]
    assert [f"#{number}" for number in ranked] == [line.split(" | ")[1] for line in table[2:]]
    exported = tmp_path / "again.toml"
    assert 0 == done.type("export", "toy", "--format", "toml", "--output", str(exported))[0]
    status, _, err = done.type("run", str(exported))
    assert (0, 5) == (status, len(done.data("trials"))), err


def test_trials_of_one_state(done: Terminal) -> None:
    """The filter keeps the documented shape, empty lists included."""
    assert ([], 5) == (done.data("trials", "--state", "failed"), len(done.data("trials", "--state", "complete")))


def test_rerun_refuses_two_changes(done: Terminal) -> None:
    """Two settings at once would leave nobody knowing which one did it: misuse, and nothing is started."""
    status, out, err = done.type("rerun", "toy/0", "--set", "layers=1", "--set", "learning_rate=1e-4")
    assert (status, out) == (2, "")
    assert "changes one parameter, not 2" in err


def test_rerun_makes_one_change(done: Terminal) -> None:
    """The name of the new trial is the data; lineage is kept; what already ran is refused with its number."""
    used = {row["params"]["layers"] for row in done.data("trials") if row["params"]["learning_rate"] == 1e-4}
    layers = next(n for n in (1, 2, 3) if n not in used)
    status, out, err = done.type("rerun", "toy/0", "--set", f"layers={layers}")
    assert (0, "toy/5\n") == (status, out), err
    wait_for(lambda: done.data("show", "5")["state"] == "complete", "the rerun to complete")
    child = done.data("show", "5")
    assert (0, ["layers"], "rerun") == (child["parent"], child["differs_from_parent"], child["origin"])
    assert [5] == done.data("show", "0")["children"]
    status, _, err = done.type("rerun", "toy/0", "--set", f"layers={layers}")
    assert (1, True) == (status, "5" in err and "hint: " in err)


def test_a_rerun_of_a_stopped_study_says_that_it_waits(shell: Terminal) -> None:
    """Otherwise a person would wait for a trial that never starts."""
    shell.hold_trials()
    assert 0 == shell.type("run", str(shell.study_file), "--detach")[0]
    shell.wait("a trial that runs", lambda found: any(w["trial"] is not None for w in found["workers"]))
    assert 0 == shell.type("stop")[0]
    shell.wait("the study to stop", lambda found: found["studies"][0]["state"] == "stopped" and not found["workers"])
    layers = shell.data("show", "0")["settings"]["layers"]
    status, _, err = shell.type("rerun", "0", "--set", f"layers={layers % 4 + 1}")
    assert (0, True) == (status, "it waits: study toy is stopped; resume with" in err), err


def test_charts_of_other_metrics(done: Terminal) -> None:
    """Any two metrics can be the axes; an unknown one is misuse that lists the known ones."""
    assert "size_mb ↓" in done.type("frontier", "--x", "size_mb", "--log")[1]
    status, _, err = done.type("frontier", "--x", "beauty")
    assert (2, True) == (status, "accuracy" in err)


# -------------------------------------------------------------------------------------------------------------- models


def test_promote_lists_and_aliases(done: Terminal) -> None:
    """A promotion is followed to its end, listed, and its alias can be moved and moved back."""
    promoted = done.data("promote", "toy/0", "small", "--alias", "production", "--note", "first")
    assert (list(SHAPES["model"]), "small:1", "verified") == (list(promoted), promoted["model"], promoted["state"])
    assert 0 == done.type("promote", "toy/0", "small")[0]
    assert [["production"], []] == [m["aliases"] for m in done.data("models", "small")]
    assert [[], ["production"]] == [m["aliases"] for m in done.data("models", "small", "--set-alias", "production=2")]
    assert [["production"], []] == [m["aliases"] for m in done.data("models", "small", "--undo-alias", "production")]
    assert "small:1" in done.type("models")[1]


def test_a_refused_promotion_is_an_error(done: Terminal) -> None:
    """A score that does not repeat is refused with exit 1; with --force it is exported and marked."""
    done.behave(worse=3.0)
    status, _, err = done.type("promote", "toy/0", "small")
    assert (1, True) == (status, "error: small:1 is refused" in err), err
    forced = done.data("promote", "toy/0", "small", "--force")
    assert ("verified", True) == (forced["state"], forced["forced"])
    assert "mismatch" in done.type("promote", "toy/0", "small", "--force")[1]
    done.behave()
    assert done.data("promote", "toy/0", "small", "--force")["forced"] is False  # there was nothing to accept


def test_promotion_without_waiting(done: Terminal) -> None:
    """`--no-wait` comes back at once; `models` settles the verification when it has ended."""
    begun = done.data("promote", "toy/0", "small", "--no-wait")
    assert "small:1" == begun["model"]
    assert begun["state"] in ("verifying", "verified")  # a fake worker may be done before the command has printed
    assert (0, "") == done.type("promote", "toy/0", "small", "--no-wait")[:2]
    wait_for(lambda: done.data("models", "small")[0]["state"] == "verified", "the verification to end")


def test_score_prints_the_official_names(shell: Terminal) -> None:
    """`score` needs no workspace and prints the keys of the official script."""
    qas = [
        {"id": "a", "question": "?", "answers": [{"text": "The red box", "answer_start": 0}], "is_impossible": False},
        {"id": "b", "question": "?", "answers": [], "is_impossible": True},
    ]
    data, predictions = shell.folder / "data.json", shell.folder / "predictions.json"
    data.write_text(json.dumps({"version": "v2.0", "data": [{"paragraphs": [{"context": "The red box", "qas": qas}]}]}))
    predictions.write_text(json.dumps({"a": "red box!", "b": "box"}))
    found = shell.data("score", str(data), str(predictions))
    expected = {"exact": 50.0, "f1": 50.0, "total": 2, "HasAns_exact": 100.0, "NoAns_exact": 0.0}
    assert expected == {key: found[key] for key in expected}
    assert "HasAns_exact  100.0000" in shell.type("score", str(data), str(predictions))[1]
    odds = shell.folder / "odds.json"
    odds.write_text(json.dumps({"a": 0.2, "b": 0.6}))
    options = ("score", str(data), str(predictions), "--null-odds", str(odds))
    assert 50.0 == shell.data(*options)["exact"]  # officially, above 1.0
    assert (100.0, 100.0) == ((found := shell.data(*options, "--na-prob-thresh", "0.5"))["exact"], found["NoAns_exact"])
    assert 2 == shell.type("score", str(data), str(predictions), "--na-prob-thresh", "0.5")[0]


# ------------------------------------------------------------------------------------------------- errors and streams

MISUSES = (
    ("run", "missing.toml"),
    ("plan", "{study}", "--set", "nonsense"),
    ("plan", "{study}", "--set", "bugdet.trials=3"),
    ("show", "seven"),
    ("trials", "--state", "dead"),
    ("trials", "--json", "--csv"),
    ("export", "toy", "--format", "xml"),
    ("rerun", "toy/0", "--set", "layers"),
    ("ask", "model"),
    ("ask", "model", "--question", "why"),
    ("passages", "build", "model", "file"),
    ("models", "--set-alias", "production=1"),
    ("models", "small", "--set-alias", "production=²"),
    ("unheard-of",),
    ("run", "{study}", "--unheard-of"),
)


@pytest.mark.parametrize("words", MISUSES, ids=" ".join)
def test_misuse_is_exit_2_without_traceback(done: Terminal, words: tuple[str, ...]) -> None:
    """Each is told on stderr, and stdout stays empty."""
    status, out, err = done.type(*(word.format(study=done.study_file) for word in words))
    assert (2, "", False) == (status, out, "Traceback" in err), err
    assert "rror: " in err


@pytest.mark.parametrize("words", [("trials",), ("show", "toy/0"), ("stop",), ("models",), ("watch",), ("status",)])
def test_no_workspace_is_exit_1(shell: Terminal, words: tuple[str, ...]) -> None:
    """A read makes no workspace; the error names the database and what to do."""
    status, out, err = shell.type(*words)
    assert (1, "") == (status, out)
    assert [True, True] == [part in err for part in ("error: ", "hint: ")]
    assert not shell.workspace.path.exists()


def test_unknown_names_are_exit_1_with_the_nearest(done: Terminal) -> None:
    """A slip of the pen is answered with the right name."""
    status, _, err = done.type("trials", "toi")
    assert (1, True) == (status, "hint: Did you mean 'toy'?" in err)


def test_an_unknown_model_is_an_error(done: Terminal) -> None:
    """`models` alone may be empty; a name that does not exist is a typo."""
    assert (0, "") == done.type("models")[:2]
    status, out, err = done.type("models", "nothing")
    assert (1, "", True) == (status, out, "hint: Models: none yet." in err)


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_debug_shows_the_traceback(shell: Terminal, how: str) -> None:
    """The flag and the variable do the same; without them an error is two lines."""
    environment = {"BERTDISTILL_DEBUG": "1"} if how == "variable" else {}
    process = shell.start(*(["--debug"] if how == "flag" else []), "trials", **environment)
    assert "Traceback" in process.communicate(timeout=60)[1]


def test_a_reader_that_leaves_is_quiet(done: Terminal) -> None:
    """`… | head -1`: no complaint about the broken pipe, neither at once nor when Python closes."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [*PROGRAM, "export", "toy", "--format", "json"]
    ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (0, "") == (ended.returncode, ended.stderr)


def test_a_reader_of_both_streams_that_leaves_is_quiet(done: Terminal) -> None:
    """`… 2>&1 | head -1`: speech may meet the broken pipe first, and that is no error either."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run([*PROGRAM, "models"], stdout=writer, stderr=writer, check=False)
    os.close(writer)
    assert 0 == ended.returncode


@pytest.mark.parametrize(("closed", "words"), [(">&-", "trials"), ("2>&-", "models"), ("<&-", "trials")])
def test_closed_streams_lead_to_nowhere(done: Terminal, closed: str, words: str) -> None:
    """A stream that the caller closed is no reason to fail."""
    command = f"{shlex.join(PROGRAM)} {words} {closed}"
    ended = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (0, "") == (ended.returncode, ended.stderr)


@pytest.mark.parametrize("words", [("trials",), ("frontier",), ("show", "0"), ("status",)], ids=" ".join)
def test_output_for_a_terminal_without_unicode(done: Terminal, words: tuple[str, ...]) -> None:
    """With an ASCII encoding glyphs become ASCII, nothing fails and nothing is replaced by a question mark."""
    process = done.start(*words, PYTHONIOENCODING="ascii")
    out, err = process.communicate(timeout=60)
    assert (0, True, False) == (process.returncode, out.isascii(), "?" in out), err


def test_workspace_before_or_after_the_command(done: Terminal) -> None:
    """Both places and the variable mean the same folder."""
    there, trials = str(done.workspace.path), done.data("trials")
    done.monkeypatch.delenv("BERTDISTILL_WORKSPACE")
    assert trials == done.data("trials", "--workspace", there)
    assert trials == done.data("--workspace", there, "trials")


def test_program_without_a_command_does_not_pretend(tmp_path: Path) -> None:
    """The terminal app is not part of this: one line that says where the commands are, exit 2."""
    command = [sys.executable, "-P", "-c", "from bertdistill.app.cli import main; main([])"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (2, "", 1) == (ended.returncode, ended.stdout, len(ended.stderr.splitlines()))
    assert "bertdistill-tui engine" in ended.stderr


INTERRUPTED_IMPORT = """
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            exec("import os, signal, time; os.kill(os.getpid(), signal.SIGINT); time.sleep(20)")

sys.meta_path.insert(0, Interrupt())
from bertdistill.app.cli import main
main()
"""


def test_ctrl_c_while_the_program_is_still_being_imported() -> None:
    """Exit status 130 like any interrupt, without a traceback; through `exec`, as while a dataclass is being made."""
    command = [sys.executable, "-P", "-c", INTERRUPTED_IMPORT, "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (130, "", "") == (ended.returncode, ended.stdout, ended.stderr)


def test_files_are_private(finished_folder: Path) -> None:
    """Folders are 0700 and files 0600 in the whole workspace."""
    paths = [finished_folder / "runs", *(finished_folder / "runs").rglob("*")]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in paths if not path.is_symlink()}
    assert [] == [path for path, mode in modes.items() if mode & 0o077]


def test_a_study_without_its_data_is_not_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would fail a moment later and stay in the list; the plan refuses it, too."""
    study = Path(__file__).parent.parent.parent / "sample_configs" / "sst2-minilm.toml"
    with pytest.raises(SystemExit) as ended:
        main(["engine", "run", str(study), "--detach", "-w", str(tmp_path / "ws")])
    assert (2, True) == (ended.value.code, "data.train" in capsys.readouterr().err)
    assert not (tmp_path / "ws").exists()
