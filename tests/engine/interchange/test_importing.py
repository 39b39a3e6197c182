"""Every form is imported into one study of logged runs, exactly once, whatever happens in between."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.engine.interchange.readers.sources import (
    NOW,
    SOURCES,
    bring,
    csv_points,
    everything,
    ignore,
    listing,
    mlflow_db,
    mlruns,
    stored,
    wandb_run,
)

from bertdistill.engine.contract.errors import ActionRefused, InvalidRequest
from bertdistill.engine.contract.imported import LOCK, series_name, study_name
from bertdistill.engine.contract.names import name_problem
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange import importing
from bertdistill.engine.interchange.importing import Wanted, run_import
from bertdistill.engine.interchange.readers import wandb_files
from bertdistill.engine.interchange.readers.forms import form_of
from bertdistill.engine.launch import process
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.runner.digest import SERIES_NAME
from bertdistill.store import writes
from bertdistill.store.db import open_db
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import TrialState


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_is_only_read(name: str, tmp_path: Path) -> None:
    """Not a byte, not a time and no new file."""
    folder = tmp_path / "source"
    folder.mkdir()
    source = SOURCES[name](folder)
    before = listing(folder)
    done = bring(tmp_path, source)
    assert sum(one.new for one in done.studies) > 0
    assert before == listing(folder)


@pytest.mark.parametrize("name", SOURCES)
def test_again_adds_nothing(name: str, tmp_path: Path) -> None:
    """Neither rows nor a write: the database does not change."""
    source = SOURCES[name](tmp_path)
    bring(tmp_path, source)
    before = everything(tmp_path)
    done = bring(tmp_path, source)
    assert [(0, 0, 0)] * len(done.studies) == [(one.new, one.changed, one.points) for one in done.studies]
    assert before == everything(tmp_path)


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it, and the transaction is not committed."""


@pytest.mark.parametrize("name", ["mlflow", "wandb", "tensorboard", "csv points"])
def test_a_kill_at_any_transaction_changes_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many small transactions as possible; each is the last one of a process once."""
    monkeypatch.setattr(importing, "RUNS_AT_ONCE", 1)
    monkeypatch.setattr(wandb_files, "AT_ONCE", 3)
    source, killed = SOURCES[name](tmp_path), 0
    whole = tmp_path / "whole"
    whole.mkdir()
    bring(whole, source)
    real = writes.store_all
    calls = iter(int, 1)

    def dying(*arguments: object) -> None:
        next(calls)
        raise Killed

    while True:
        allowed = iter([real])  # one transaction for each process

        def one_more(*arguments: object, left: Iterator[object] = allowed) -> None:
            function = next(left, dying)
            function(*arguments)  # type: ignore[operator] # one of two functions with the same arguments

        with monkeypatch.context() as patch:
            patch.setattr(writes, "store_all", one_more)
            try:
                bring(tmp_path, source)
                break
            except Killed:
                killed += 1
    assert killed > 0
    assert everything(whole) == everything(tmp_path)


def test_what_a_live_program_adds(tmp_path: Path) -> None:
    """New points, a new run and the end of a run, while its program holds the database open."""
    source = mlflow_db(tmp_path)
    bring(tmp_path, source)
    with closing(sqlite3.connect(source)) as live:
        [(run,)] = live.execute("SELECT run_uuid FROM runs WHERE status = 'RUNNING'").fetchall()
        live.execute("INSERT INTO metrics VALUES ('train/loss', 0.25, 1796000000000, ?, 3, 0)", (run,))
        live.execute("UPDATE runs SET status = 'FINISHED', end_time = 1796000001000 WHERE run_uuid = ?", (run,))
        live.commit()
        live.execute("BEGIN")
        live.execute("SELECT * FROM runs").fetchall()
        [done] = [one for one in bring(tmp_path, source).studies if one.changed]
    assert (0, 1, 1) == (done.new, done.changed, done.points)
    found = stored(tmp_path, done.study)
    [trial] = [one for one in found.trials if one.note == "live"]
    assert (TrialState.COMPLETE, {"train/loss": 0.25}) == (trial.state, trial.metrics)
    assert [(3, 0.25)] == found.curves[trial.number, "train/loss"]


@pytest.mark.parametrize("more", [0, 40])
def test_a_database_whose_rows_were_renumbered(more: int, tmp_path: Path) -> None:
    """Row numbers get smaller when deleted runs are purged: no point is doubled, and none that is new is lost."""
    source = mlflow_db(tmp_path)
    with closing(sqlite3.connect(source)) as live:
        [(run,)] = live.execute("SELECT DISTINCT run_uuid FROM metrics WHERE key = 'no step'").fetchall()
        live.execute("UPDATE metrics SET rowid = rowid + 20")
        live.commit()
        bring(tmp_path, source)
        live.execute("UPDATE metrics SET rowid = rowid - 20")
        rows = [("no step", float(n), 1796000000000 + n, run, 0, 0) for n in range(more)]
        live.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
        live.commit()
    [done] = [one for one in bring(tmp_path, source).studies if one.source.startswith("mnist")]
    (tmp_path / "other").mkdir()
    bring(tmp_path / "other", source)
    assert stored(tmp_path / "other", done.study).curves == stored(tmp_path, done.study).curves
    assert all(not one.points for one in bring(tmp_path, source).studies)


def test_a_moved_source_is_known(tmp_path: Path) -> None:
    """Its runs have keys, and its study is found by the path that no longer exists."""
    source = mlflow_db(tmp_path)
    bring(tmp_path, source)
    moved = source.rename(tmp_path / "elsewhere.db")
    assert all(not one.new for one in bring(tmp_path, moved).studies)


def test_the_same_name_from_another_source_is_another_study(tmp_path: Path) -> None:
    first, second = bring(tmp_path, mlflow_db(tmp_path)), bring(tmp_path, mlruns(tmp_path))
    names = [one.study for done in (first, second) for one in done.studies if one.new]
    assert ["mnist-red-tuning", "mnist-red-tuning-2"] == names


def test_what_a_person_changed_stays(tmp_path: Path) -> None:
    """A note, tags and a deletion survive a new import with news."""
    source = csv_points(tmp_path)
    bring(tmp_path, source)
    with closing(open_db(tmp_path / "ws")) as db, db.write() as session:
        writes.edit_trial(session, 1, note="mine", tags=["kept"])
        writes.mark_deleted(session, writes.Trial, 2, NOW)
    with source.open("a") as file:
        file.write("a,2,loss,0.25\nb,1,loss,0.5\n")
    [done] = bring(tmp_path, source).studies
    [trial] = stored(tmp_path, done.study).trials
    assert (0, 1, 1, "mine", ["kept"]) == (done.new, done.changed, done.points, trial.note, trial.tags)
    with source.open("a") as file:
        file.write("c,0,loss,1\n")
    assert 1 == bring(tmp_path, source).studies[0].new


def test_values_of_one_step_are_all_kept(tmp_path: Path) -> None:
    """A training that gave no step: MLflow has all its values at step 0."""
    [done] = [one for one in bring(tmp_path, mlflow_db(tmp_path)).studies if one.new]
    assert [(0, 0.0), (1, 2.0), (2, 4.0)] == stored(tmp_path, done.study).curves[0, "no step"]
    assert {"points with a step below 0": 1} == {what: count for what, count in done.left_out.items() if count}


def test_objectives_rank_it(tmp_path: Path) -> None:
    """Those that are asked for; of another import they replace the ones before."""
    source = csv_points(tmp_path)
    bring(tmp_path, source)
    assert "objectives" not in stored(tmp_path, "points").study.spec
    bring(tmp_path, source, Wanted(objectives=(Objective("loss", "minimize"),)))
    assert [{"metric": "loss", "direction": "minimize"}] == stored(tmp_path, "points").study.spec["objectives"]


def test_a_study_of_a_persons_choice(tmp_path: Path) -> None:
    """It joins logged runs, but no search; of several studies one is chosen."""
    source = mlflow_db(tmp_path)
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("INSERT INTO runs (run_uuid, experiment_id, lifecycle_stage) VALUES ('a', 0, 'active')")
        connection.commit()
    with pytest.raises(InvalidRequest, match="several studies: Default, mnist"):
        bring(tmp_path, source, Wanted(study="mine"))
    with pytest.raises(NotFound, match="'other'"):
        bring(tmp_path, source, Wanted(only="other"))
    only = "mnist [red]tuning"
    assert ["mine"] == [one.study for one in bring(tmp_path, source, Wanted(study="mine", only=only)).studies]
    assert "mine" == bring(tmp_path, csv_points(tmp_path), Wanted(study="mine")).studies[0].study
    assert 5 == len(stored(tmp_path, "mine").trials)
    with closing(open_db(tmp_path / "ws")) as db, db.write() as session:
        writes.create_study(session, name="search", task="question-answering", spec={}, now=NOW)
    (tmp_path / "more").mkdir()
    with pytest.raises(InvalidRequest, match="study search is a search"):
        bring(tmp_path, wandb_run(tmp_path / "more"), Wanted(study="search"))
    with pytest.raises(InvalidRequest, match="not a valid name"):
        bring(tmp_path, source, Wanted(study="../up"))


def test_one_import_at_a_time(tmp_path: Path) -> None:
    source, workspace = csv_points(tmp_path), Workspace(tmp_path / "ws")
    workspace.path.mkdir()
    lock = process.try_lock(workspace.path / LOCK)
    assert lock is not None
    with closing(open_db(workspace.path)) as db, pytest.raises(ActionRefused, match="another import"):
        run_import(db, workspace, form_of(source), source, Wanted(), now=NOW, tell=ignore)


def test_hostile_names_become_harmless(tmp_path: Path) -> None:
    """Names of metrics, runs and studies with markup, escape sequences, paths and half of a surrogate pair."""
    path = tmp_path / "a\x1b]0;x\x07[red].csv"
    names = ["\x1b[2Jloss", "loss\u202e", "loss#", "../../etc/passwd", "x" * 500, "損失"]
    rows = [f'"r[bold]\x1b[31m",{step},"{name}",1' for step, name in enumerate(names)]
    path.write_text("run,step,metric,value\n" + "\n".join(rows) + "\n", "utf-8")
    [done] = bring(tmp_path, path).studies
    found = stored(tmp_path, done.study)
    assert "" == name_problem(done.study)
    assert len(names) == len(found.curves)
    assert all(SERIES_NAME.fullmatch(name) for _, name in found.curves)
    assert json.loads(json.dumps(found.trials[0].metrics)) == found.trials[0].metrics


@pytest.mark.parametrize("name", ["", "...", "con", "a b/c", "-x", "é" * 90, "x" * 200, "\x1b[31m"])
def test_any_name_gives_a_valid_one(name: str) -> None:
    assert "" == name_problem(study_name(name))
    assert SERIES_NAME.fullmatch(series_name(name))
