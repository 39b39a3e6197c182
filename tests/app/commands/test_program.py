"""`engine search`, and every command on a study of a program: it does its work, or says what only students have."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.app.commands.typing_words import Type, typist
from tests.fakes import Workbench
from tests.kept import Kept

from bertdistill.app.commands.engine import PANELS
from bertdistill.app.report import study_material
from bertdistill.app.text import format as fmt
from bertdistill.app.views.program_inputs import program_notes
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.search.importances import read_importances
from bertdistill.engine.study.config import study_from_dict

NO_MODELS = "study prog searches a program, which has no models to promote"
NOT_ABOUT_STUDIES = {
    "new",
    "demo",
    "models",
    "ask",
    "passages",
    "score",
    "glossary",
    "doctor",
    "plan",
    "run",
    "search",
    "import",
}
SCRIPT = """
import json, sys
lr, layers = float(sys.argv[1]), int(sys.argv[2])
if layers == 4:
    print('{"infeasible": "too many"}')
else:
    for step in range(3):
        print(json.dumps({"step": step, "score": lr * step}))
    print(json.dumps({"score": 1 - lr, "size": layers}))
"""


def study(folder: Path) -> dict[str, Any]:
    return {
        "name": "prog",
        "program": {"command": [sys.executable, "-I", "-S", "prog.py", "{lr}", "{layers}"], "directory": str(folder)},
        "settings": {"seed": 1},
        "search": {"lr": {"low": 0.01, "high": 1.0}, "layers": {"low": 1, "high": 4}},
        "objectives": [{"metric": "score"}, {"metric": "size", "direction": "minimize"}],
        "budget": {"trials": 6},
        "sampler": {"kind": "random", "seed": 1},
        "runner": {"slots": 2, "min_free_gb": 0.0},
    }


KEPT: dict[str, Kept] = {}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A study of a program that has run; the first test runs it, the others copy it. No runner is started."""
    (tmp_path / "prog.py").write_text(SCRIPT)
    spec = study_from_dict(study(tmp_path), where="test")
    bench = Workbench(tmp_path, spec)
    if "done" in KEPT:
        bench.close()
        KEPT["done"].restore(bench.workspace, tmp_path)
    else:
        bench.start().run()
        KEPT["done"] = Kept(bench.workspace, bench.db, tmp_path)
        bench.close()
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(bench.workspace.path))
    monkeypatch.setattr(study_material, "ask_importances", read_importances)  # without a process of its own
    monkeypatch.chdir(tmp_path)
    return bench.workspace


@pytest.fixture
def engine(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Type:
    """Exit status, stdout and stderr of a command of the engine."""
    return typist(capsys)


DOES = {
    "status": (["status"], "✓ complete"),
    "watch": (["watch", "prog", "--plain"], "✓ complete"),
    "trials": (["trials", "prog", "--filter", "lr<2 layers<4 seed=1 score>0"], "★"),
    "show": (["show", "prog/0"], "searched"),
    "frontier": (["frontier", "prog"], "★"),
    "report": (["report", "prog", "--format", "md"], "of a program"),
    "export": (["export", "prog", "--format", "toml"], '"{layers}"'),
    "tag": (["tag", "prog/0", "good"], "good"),
    "note": (["note", "prog", "first tries"], "saved"),
    "archive": (["archive", "prog/3"], "archived"),
    "unarchive": (["unarchive", "prog/3"], "restored"),
    "history": (["history", "prog"], "archive"),
    "undo": (["undo"], "archived"),
    "analysis": (["analysis", "prog", "--part", "scenarios"], "best score"),
    "compare": (["compare", "prog/0", "prog/1"], "layers"),
    "disk": (["disk"], "prog/5"),
    "delete": (["delete", "prog/2", "--yes"], "deleted: prog/2"),
    "prune": (["prune", "--yes"], "nothing to prune"),
    "backup": (["backup", "copy.db"], "wrote"),
    "workers": (["workers"], "nothing is waiting"),
    "set": (["set", "prog", "threshold.score=0.5", "range.lr=0.1..0.2", "stopping.metric=score"], "0.1..0.2"),
}
REFUSES = {
    "promote": (["promote", "prog/0", "model"], 2, NO_MODELS),
    "errors": (["errors", "prog/0"], 2, "prog/0 is of a study of a program: no predictions are stored"),
    "cascade": (["cascade", "prog", "0", "1"], 1, "prog is a study of a program; cascades join classifiers"),
    "difficulty": (["difficulty", "prog"], 1, "prog is a study of a program, without a teacher"),
    "ladder": (["ladder", "prog"], 1, "study prog has no complete trial with a family and score"),
    "survey": (["survey", "prog"], 1, "study prog has no complete trial with a score and a size"),
    "rerun": (["rerun", "prog/0", "--set", "layers=2.5"], 2, "layers = 2.5 is not a whole number; allowed: 1 to 4"),
    "queue": (["queue", "prog", "--set", "lr=0.5"], 1, "the budget of 6 trials is used up"),
    "stop": (["stop", "prog"], 1, "is complete"),
    "pause": (["pause", "prog"], 1, "is complete"),
    "resume": (["resume", "prog"], 1, "is complete"),
}
SETUP = {"unarchive": ["archive", "prog/3"], "undo": ["archive", "prog/3"], "history": ["archive", "prog/3"]}


def test_every_command_is_tried() -> None:
    """Whoever adds a command says here what it does with a program."""
    assert {name for panel in PANELS for name in panel} == DOES.keys() | REFUSES.keys() | NOT_ABOUT_STUDIES


@pytest.mark.parametrize("name", DOES)
def test_it_does_its_work(name: str, engine: Type) -> None:
    """As on a study of students; nothing speaks of a teacher."""
    if name in SETUP:
        assert 0 == engine(*SETUP[name])[0]
    words, wanted = DOES[name]
    status, out, err = engine(*words)
    assert (0, True) == (status, wanted in out + err), out + err
    assert "teacher" not in out


@pytest.mark.parametrize("name", REFUSES)
def test_it_says_what_it_cannot_do(name: str, engine: Type) -> None:
    """And nothing changes."""
    words, expected, wanted = REFUSES[name]
    status, _, err = engine(*words)
    assert (expected, True) == (status, wanted in err), err
    assert [] == json.loads(engine("history", "prog", "--json")[1])[1:]


class TestSearch:
    """`engine search FILE -- PROGRAM ARGUMENTS`; the study runs in a runner of the test."""

    @pytest.fixture
    def space(self, tmp_path: Path) -> Path:
        path = tmp_path / "space.toml"
        path.write_text(
            'name = "typed"\nobjectives = [{ metric = "score" }]\n'
            "[search]\nlr = { low = 0.1, high = 1.0 }\nlayers = { low = 1, high = 3 }\n"
            "[budget]\ntrials = 1\n[runner]\nmin_free_gb = 0.0\n"
        )
        return path

    def test_a_command_is_needed(self, space: Path, engine: Type) -> None:
        """Here or in the file."""
        for words in (["search", str(space)], ["run", str(space)]):
            status, _, err = engine(*words)
            assert 2 == status
        status, _, err = engine("search", str(space))
        assert "[program] command is missing, and none is given after --" in err
        assert "-- PROGRAM ARGUMENTS" in err

    @pytest.mark.parametrize(
        ("command", "words"),
        [
            (["nothing-like-this", "{lr}"], "program.command: nothing-like-this is not a program on the PATH"),
            (["./nothing", "{lr}"], "program.command: ./nothing is not a program in "),
            (["python3", "nothing.py", "{lr}"], "program.command: nothing.py is not a file in "),
            (["python3", "prog.py", "{rate}"], "[program] command has {rate}, which is not a parameter"),
        ],
    )
    def test_what_cannot_start_is_refused_before_the_first_trial(
        self, command: list[str], words: str, space: Path, engine: Type
    ) -> None:
        """With the remedy; no study is made."""
        status, _, err = engine("search", str(space), "--", *command)
        assert (2, True) == (status, words in err), err
        assert ["prog"] == [one["study"] for one in json.loads(engine("status", "--json")[1])["studies"]]

    def test_it_is_planned_started_and_resumed_without_the_command(
        self, space: Path, engine: Type, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The study keeps command and folder; what the command leaves out is said; plan and start agree."""
        from bertdistill.app.commands import studies

        started: list[Any] = []
        monkeypatch.setattr("bertdistill.app.commands.search.run_study", lambda ws, spec, *_: started.append(spec))
        status, _, err = engine("search", str(space), "--detach", "--", "python3", "prog.py", "{lr}")
        assert (0, True) == (status, "note: layers: not in the command" in err), err
        [spec] = started
        assert (["python3", "prog.py", "{lr}"], str(Path.cwd())) == (spec.program.command, spec.program.directory)
        sent = replace(spec.program, files=("prog.py",))
        far = replace(spec, program=sent, runner=replace(spec.runner, machines=("gpu1",)))
        amount = fmt.size(Path("prog.py").stat().st_size)
        assert f"note: gpu1: each gets a copy of program.files ({amount}), once" in "".join(program_notes(far))
        from bertdistill.engine.steering import actions

        actions.start_study(workspace, spec, who="test")
        assert 0 == engine("search", str(space))[0]
        assert spec == started[-1]
        assert studies.is_there(workspace, "typed")
        filed = space.with_name("filed.toml")
        filed.write_text(space.read_text() + '[program]\ncommand = ["python3", "prog.py", "{lr}", "{layers}"]\n')
        status, out, _ = engine("plan", str(filed))
        assert (0, True, True) == (status, "#   program        python3 prog.py {lr}" in out, "search lr" in out)
