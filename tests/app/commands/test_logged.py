"""Every command on a study of logged runs: it does its work, or says what only a search has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.app.commands.typing_words import Type, typist
from tests.app.conftest import squad_file

import bertdistill
from bertdistill.app.commands.engine import PANELS
from bertdistill.app.report import study_material
from bertdistill.engine.interchange import log as log_module
from bertdistill.engine.search.importances import read_importances

NO_SEARCH = "study mine is a collection of logged runs, not a search"
STUDY_FILE = Path(__file__).parents[3] / "sample_configs" / "demo.toml"
NOT_ABOUT_STUDIES = {"new", "search", "demo", "import", "models", "ask", "passages", "score", "glossary", "doctor"}
"""Commands that look at no study of the workspace, or at promoted models only."""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six runs, the last of which failed, that nobody has stored yet."""
    path = (tmp_path / "ws").resolve()
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(path))
    monkeypatch.setattr(study_material, "ask_importances", read_importances)  # without a process of its own
    for number in range(6):
        params = {"lr": 10.0 ** -(number % 4 + 2), "layers": number % 3 + 1, "act": "gelu" if number % 2 else "relu"}
        run = bertdistill.start("mine", params=params, objectives={"acc": "maximize", "cost": "minimize"})
        for step in range(5):
            run.log({"acc": 0.5 + number / 100 + step / 10, "cost": 5.0 - number, "train/loss": 1.0 / (step + 1)})
        if number < 5:
            run.finish()
    log_module._open_runs.popitem()[1].__exit__(ValueError, ValueError("bad data"), None)
    return path


@pytest.fixture
def engine(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Type:
    """Exit status, stdout and stderr of a command of the engine."""
    return typist(capsys)


DOES = {
    "plan": (["plan", "demo.toml"], "study demo: valid"),
    "status": (["status"], "5 complete, 1 failed"),
    "watch": (["watch", "mine", "--plain"], "#4  ✓ complete"),
    "trials": (["trials", "mine", "--filter", "acc>0.92 train/loss<1 act:relu layers=2"], "#4"),
    "show": (["show", "mine/5"], "ValueError: bad data"),
    "frontier": (["frontier", "mine", "--x", "cost", "--y", "train/loss"], "★"),
    "report": (
        ["report", "mine", "--format", "md"],
        "mine is a collection of logged runs with 3 parameters (lr, layers, act).",
    ),
    "export": (["export", "mine"], "acc"),
    "tag": (["tag", "mine/0", "good"], "good"),
    "note": (["note", "mine", "first tries"], "saved"),
    "archive": (["archive", "mine/3"], "archived"),
    "unarchive": (["unarchive", "mine/3"], "restored"),
    "history": (["history", "mine"], "archive"),
    "undo": (["undo"], "archived"),
    "analysis": (["analysis", "mine"], "importance for acc"),
    "compare": (["compare", "mine/0", "mine/4"], "better"),
    "disk": (["disk"], "mine/5"),
    "delete": (["delete", "mine/2", "--yes"], "deleted: mine/2"),
    "prune": (["prune", "--yes"], "nothing to prune"),
    "backup": (["backup", "copy.db"], "wrote"),
    "workers": (["workers"], "nothing is waiting"),
}
REFUSES = {
    "run": ["run", "mine.toml"],
    "stop": ["stop", "mine"],
    "pause": ["pause", "mine"],
    "resume": ["resume", "mine"],
    "rerun": ["rerun", "mine/0", "--set", "lr=1"],
    "queue": ["queue", "mine", "--set", "lr=1"],
    "set": ["set", "mine", "budget.trials=3"],
    "promote": ["promote", "mine/0", "model"],
    "errors": ["errors", "mine/0"],
    "cascade": ["cascade", "mine", "0", "1"],
    "difficulty": ["difficulty", "mine"],
    "ladder": ["ladder", "mine"],
    "survey": ["survey", "mine"],
}
WORDS = {
    "errors": (2, "is of a study of logged runs: no predictions are stored"),
    "cascade": (1, "mine is a study of logged runs; cascades join classifiers"),
    "difficulty": (1, "mine is a study of logged runs, without a teacher"),
    "ladder": (1, "study mine has no complete trial with a family and acc"),
    "survey": (1, "study mine has no complete trial with a score and a size"),
}
SETUP = {"unarchive": ["archive", "mine/3"], "undo": ["archive", "mine/3"], "history": ["archive", "mine/3"]}


def test_every_command_is_tried() -> None:
    """Whoever adds a command says here what it does with logged runs."""
    assert {name for panel in PANELS for name in panel} == DOES.keys() | REFUSES.keys() | NOT_ABOUT_STUDIES


@pytest.mark.parametrize("name", DOES)
def test_it_does_its_work(name: str, engine: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a search; the first command stores the runs."""
    monkeypatch.chdir(tmp_path)
    if name in SETUP:
        assert 0 == engine(*SETUP[name])[0]
    if name == "plan":  # the studies of the workspace are asked what they counted and measured
        assert 0 == engine("status")[0]
        shutil.copy(STUDY_FILE, tmp_path)
        (tmp_path / "demo-data").mkdir()
        squad_file(tmp_path / "demo-data" / "train.json")
    words, wanted = DOES[name]
    status, out, err = engine(*words)
    assert (0, True) == (status, wanted in out + err), out + err


@pytest.mark.parametrize("name", REFUSES)
def test_it_says_what_only_a_search_has(
    name: str, engine: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing changes."""
    monkeypatch.chdir(tmp_path)
    text = STUDY_FILE.read_text().splitlines()
    (tmp_path / "mine.toml").write_text(
        "\n".join('name = "mine"' if line.startswith("name") else line for line in text)
    )
    before = engine("status", "--json")[1]
    status, _, err = engine(*REFUSES[name])
    expected, wanted = WORDS.get(name, (2, NO_SEARCH))
    assert (expected, True) == (status, wanted in err), err
    assert json.loads(before)["studies"] == json.loads(engine("status", "--json")[1])["studies"]
    assert [] == json.loads(engine("history", "mine", "--json")[1])


@pytest.mark.parametrize("part", ["importance", "scenarios", "hypervolume", "parallel", "slices"])
def test_every_analysis_of_logged_runs(part: str, engine: Type) -> None:
    """Over the parameters that were seen; nothing speaks of a teacher or a baseline."""
    for form in ([], ["--json"], ["--csv"]):
        status, out, err = engine("analysis", "mine", "--part", part, *form)
        assert 0 == status, err
        assert "teacher" not in out
        assert out
    if part in ("importance", "parallel", "slices"):
        assert "layers" in out


def test_what_is_deleted_comes_back_and_a_live_run_stays(engine: Type) -> None:
    """A run that is being logged is not deleted."""
    run = bertdistill.start("mine")
    status, _, err = engine("delete", "mine/6", "--yes")
    assert (1, True) == (status, "mine/6 is still being logged" in err)
    status, _, err = engine("delete", "mine", "--yes")
    assert (1, True) == (status, "is still being logged" in err)
    status, _, err = engine("stop", "mine", "--trial", "6")
    assert (2, True) == (status, NO_SEARCH in err)
    run.finish()
    assert 0 == engine("delete", "mine", "--yes")[0]
    assert [] == json.loads(engine("status", "--json")[1])["studies"]
    assert 0 == engine("undo")[0]
    assert 7 == len(json.loads(engine("trials", "mine", "--json")[1]))


def test_a_note_of_the_study_is_undone(engine: Type) -> None:
    """Though it has no study file."""
    for words in (["note", "mine", "first"], ["note", "mine", "second"], ["undo"]):
        assert 0 == engine(*words)[0]
    assert "first" == json.loads(engine("status", "--json")[1])["studies"][0]["note"]


def test_a_live_run_is_seen_without_a_runner(engine: Type) -> None:
    """Each command stores what has been logged by then."""
    run = bertdistill.start("live", objectives=["f1"])
    for step in range(3):
        run.log({"f1": step / 10})
        shown = json.loads(engine("show", "live/0", "--json")[1])
        assert ({"f1": step / 10}, step + 1, "running") == (
            shown["metrics"],
            shown["series"][0]["points"],
            shown["state"],
        )
    [worker] = json.loads(engine("status", "--json")[1])["workers"]
    assert ("live", 3.0, "steps") == (worker["study"], worker["done"], worker["unit"])
    run.finish()


def test_a_workspace_that_cannot_be_written_is_still_read(
    engine: Type, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a warning that new values are missing."""
    engine("status")
    bertdistill.start("mine").finish()

    def refuse(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("bertdistill.engine.launch.process.try_lock", refuse)
    status, out, err = engine("status", "--json")
    assert (0, True) == (status, "new values of logged runs are not shown" in err)
    assert 6 == sum(json.loads(out)["studies"][0]["trials"].values())
