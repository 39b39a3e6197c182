"""The commands about the disk: what they say before they do it, what scripts must say, and what they leave."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes import Workbench, fake_environment, study_spec

from bertdistill.app.cli import main
from bertdistill.store import reads, writes
from bertdistill.store.db import DATABASE_NAME, open_db

Type = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """A complete study of four trials, a teacher that it needs, one that nobody needs, and a broken-off training."""
    for name, value in fake_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    made = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 4}), checkpoint_bytes=200_000).start().finish()
    (made.workspace.caches / "reports" / "scored").mkdir(parents=True)
    monkeypatch.setenv("BERTDISTILL_WORKSPACE", str(made.workspace.path))
    for key, size in (("used", 300_000), ("unused", 500_000), ("broken.training", 700_000)):
        folder = made.workspace.caches / "teachers" / key
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"w" * size)
    (made.workspace.caches / "teachers" / "used" / "again").hardlink_to(
        made.workspace.caches / "teachers" / "used" / "model.safetensors"
    )
    with made.db.write() as session:
        facts = dict(made.study().prepared or {}) | {"teacher_folder": f"{made.workspace.caches}/teachers/used"}
        writes.set_prepared(session, made.study().id, facts)
    yield made
    made.close()


@pytest.fixture
def engine(bench: Workbench, capsys: pytest.CaptureFixture[str]) -> Type:
    """Type a command of the engine: exit status, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["engine", *words])
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


def test_disk_tells_who_holds_what(bench: Workbench, engine: Type) -> None:
    """Every byte once, with who needs it; a hard link counts once, and what nothing needs is marked."""
    found = json.loads(engine("disk", "--json")[1])
    by_name = {one["name"]: one for one in found["holdings"]}
    assert (["toy"], True) == (by_name["used"]["studies"], by_name["used"]["needed"])
    assert by_name["scored"]["needed"]
    assert (False, False) == (by_name["unused"]["needed"], by_name["caches/teachers/broken.training"]["needed"])
    assert 300_000 <= by_name["used"]["size_bytes"] < 400_000
    assert by_name["toy/1"]["checkpoint_bytes"] >= 200_000
    inodes = {status.st_ino: status for status in (path.lstat() for path in bench.workspace.path.rglob("*"))}
    disk = sum(status.st_blocks * 512 for status in inodes.values())
    assert found["size_bytes"] == sum(one["size_bytes"] for one in found["holdings"])
    assert abs(found["size_bytes"] - disk) < 100_000  # the write-ahead log moves meanwhile
    text = engine("disk")[1]
    assert ("no study needs it" in text, "toy/1" in text) == (True, True)


def test_a_script_must_say_yes(bench: Workbench, engine: Type) -> None:
    """Without a terminal nothing is deleted; a dry run says what would be."""
    status, out, err = engine("delete", "toy/1")
    assert (2, True, True) == (status, "trial toy/1" in out, "Add --yes" in err)
    assert 0 == engine("delete", "toy/1", "--dry-run")[0]
    assert 2 == engine("prune")[0]
    assert [0, 1, 2, 3] == [one.number for one in bench.trials()]


def test_delete_and_undo(bench: Workbench, engine: Type) -> None:
    """It names the command that brings it back; the newest deletion needs no name."""
    status, out, err = engine("delete", "toy", "--yes")
    assert (0, True, True) == (status, "study toy: 4 trials" in out, "its caches" in out)
    assert "undo 1" in err
    assert "this workspace has no studies" in engine("trials")[2]
    status, out, _ = engine("undo")
    assert (0, "#2 undo #1: delete study toy\n", 4) == (status, out, len(bench.trials()))
    [told] = json.loads(engine("delete", "toy/1", "--json", "--dry-run")[1])
    assert ("trial", "toy/1") == (told["what"], told["name"])


def test_prune_takes_what_nothing_needs(bench: Workbench, engine: Type) -> None:
    """Checkpoints of dominated trials, the unused teacher and the broken training; undo brings all of it back.

    Scores on the report split stay: without its checkpoint, a trial is not scored again.
    """
    teachers = bench.workspace.caches / "teachers"
    planned = json.loads(engine("prune", "--dry-run", "--json")[1])
    assert ["caches/teachers/unused"] == planned["paths"]["caches"]
    assert ["caches/teachers/broken.training"] == planned["paths"]["leftovers"]
    with bench.db.read() as session:
        before = reads.checkpoints(session, study_id=1)
    status, _, err = engine("prune", "--yes")
    assert (0, True) == (status, "undo 1" in err)
    with bench.db.read() as session:
        kept = reads.checkpoints(session, study_id=1)
    assert planned["parts"]["checkpoints"]["count"] == len(before) - len(kept) > 0
    assert {"used"} == {path.name for path in teachers.iterdir()}
    assert 0 == engine("undo")[0]
    with bench.db.read() as session:
        assert before == reads.checkpoints(session, study_id=1)
    assert {"used", "unused", "broken.training"} == {path.name for path in teachers.iterdir()}
    assert all(bench.workspace.absolute(one.folder).is_dir() for one in before)
    assert 0 == engine("prune", "--yes", "--keep-days", "0")[0]
    assert [] == list(bench.workspace.bin.iterdir())
    assert "nothing to prune" in engine("prune", "--yes")[1]
    assert "--only 'x' is not a part" in engine("prune", "--only", "x")[2]


def test_caches_stay_while_something_is_prepared(bench: Workbench, engine: Type) -> None:
    """What it will need is written nowhere yet; a stopped preparation goes on from its training."""
    with bench.db.write() as session:
        study = writes.create_study(session, name="new", task="t", spec={}, now=1.0)
    assert "caches and leftovers are kept while study new is being prepared" in engine("prune", "--dry-run")[1]
    with bench.db.write() as session:
        session.change(type(study), study.id, state=type(study.state).STOPPED)
    out = engine("prune", "--dry-run")[1]
    assert ("study new would resume from it" in out, "caches   " in out) == (True, True)


def test_weights_of_pretraining_stay_while_trials_may_start_from_them(bench: Workbench, engine: Type) -> None:
    """Trials make them for other trials, and no preparation names them; nor is one taken away that is being made."""
    for key in ("done", "begun.training"):
        folder = bench.workspace.caches / "pretrained" / key
        folder.mkdir(parents=True)
        (folder / "encoder.safetensors").write_bytes(b"w" * 1000)
    made = {"caches/pretrained/done", "caches/pretrained/begun.training"}

    def planned() -> tuple[set[str], list[str]]:
        found = json.loads(engine("prune", "--dry-run", "--json")[1])
        return {path for paths in found["paths"].values() for path in paths} & made, found["kept"]

    assert (made, []) == planned()
    study = bench.study()
    with bench.db.write() as session:
        writes.set_study_spec(session, study.id, study.spec | {"settings": {"pretrain_epochs": 1.0}})
        session.change(type(study), study.id, state=type(study.state).STOPPED)
    assert (set(), [f"weights of pre-training are kept while study {study.name} is not complete"]) == planned()
    with bench.db.write() as session:
        session.change(type(study), study.id, state=type(study.state).COMPLETE)
    assert (made, []) == planned()


def test_backup_while_the_runner_works(bench: Workbench, engine: Type, tmp_path: Path) -> None:
    """All rows, those in the write-ahead log included; what is not a backup is never replaced."""
    copy = tmp_path / "copy.db"
    for _ in range(2):
        assert 0 == engine("backup", str(copy))[0]
    (tmp_path / "back").mkdir()
    shutil.copy(copy, tmp_path / "back" / DATABASE_NAME)
    db = open_db(tmp_path / "back")
    with db.read() as session:
        assert 4 == len(reads.trials(session, reads.study(session, "toy").id))
    db.close()
    other = tmp_path / "letter.txt"
    other.write_text("dear")
    for target in (other, bench.workspace.database, tmp_path, tmp_path / "none" / "x.db"):
        status, _, err = engine("backup", str(target))
        assert (1, True) == (status, "hint: " in err)
    assert "dear" == other.read_text()
