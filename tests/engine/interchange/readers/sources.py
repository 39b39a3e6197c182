"""Files that the packages themselves have written (see `files/`), copied for a test, and what an import stores."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.kept import new_db

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange.importing import Imported, Outcome, Wanted, run_import
from bertdistill.engine.interchange.readers.forms import form_of
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.rows import Study, Trial

FILES = Path(__file__).parent / "files"
NOW = 1_800_000_000.0


def database(path: Path, script: str) -> Path:
    """An SQLite file from statements."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((FILES / script).read_text("utf-8"))
        connection.commit()
    return path


def mlflow_db(folder: Path) -> Path:
    return database(folder / "mlflow.db", "mlflow.sql")


def trackio_db(folder: Path) -> Path:
    path = database(folder / "my-proj.db", "trackio.sql")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    return path


def mlruns(folder: Path) -> Path:
    for name, text in json.loads((FILES / "mlruns.json").read_text("utf-8")).items():
        path = folder / "mlruns" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder / "mlruns"


def wandb_run(folder: Path) -> Path:
    path = folder / "wandb" / "offline-run-20261130_004218-v0yngf6r" / "run-v0yngf6r.wandb"
    path.parent.mkdir(parents=True)
    shutil.copyfile(FILES / "run.wandb", path)
    return folder / "wandb"


def event_files(folder: Path) -> Path:
    shutil.copytree(FILES / "logs", folder / "logs")
    return folder / "logs"


def csv_table(folder: Path) -> Path:
    path = folder / "sweep.csv"
    path.write_text(
        "number,state,params_lr,params_act,values_0,values_1,datetime_start,tags\n"
        "0,COMPLETE,0.1,gelu,0.5,10,2026-11-29 23:49:44,\n"
        '1,FAIL,0.01,\'=cmd(),,,2026-11-29 23:49:45,"[""a b""]"\n',
        "utf-8",
    )
    return path


def csv_points(folder: Path) -> Path:
    path = folder / "points.csv"
    path.write_text("run,step,metric,value\na,0,loss,1.0\nb,0,loss,2.0\na,1,loss,0.5\na,1,acc,nan\n", "utf-8")
    return path


SOURCES: dict[str, Callable[[Path], Path]] = {
    "mlflow": mlflow_db,
    "mlflow files": mlruns,
    "trackio": trackio_db,
    "wandb": wandb_run,
    "tensorboard": event_files,
    "csv": csv_table,
    "csv points": csv_points,
}


@dataclass(frozen=True)
class Stored:
    """A study with all its points."""

    study: Study
    trials: list[Trial]
    curves: dict[tuple[int, str], list[tuple[int, float | None]]]
    """Step and value, by number of the trial and name."""


def bring(folder: Path, source: Path, wanted: Wanted | None = None) -> Outcome:
    """Import a source into the workspace in a folder."""
    workspace = Workspace(folder / "ws")
    opened = open_db(workspace.path) if workspace.database.exists() else new_db(workspace.path)
    with closing(opened) as db:
        return run_import(db, workspace, form_of(source), source, wanted or Wanted(), now=NOW, tell=ignore)


def ignore(done: Imported) -> None:
    """Nothing is told."""


def stored(folder: Path, name: str) -> Stored:
    """What is in the workspace now."""
    with closing(open_db(folder / "ws", read_only=True)) as db, db.read() as session:
        study = reads.study(session, name)
        trials = reads.trials(session, study.id)
        numbers = {one.id: one.number for one in trials}
        curves = {
            (numbers[one.trial_id], one.name): [row[:2] for row in reads.points_after(session, one.id, -1, 10**6)]
            for one in reads.series(session, study.id)
            if one.trial_id in numbers
        }
    return Stored(study, trials, curves)


def everything(folder: Path) -> list[tuple[object, ...]]:
    """All that an import stores, for comparison: rows of four tables."""
    with closing(sqlite3.connect(folder / "ws" / "tracker.db")) as connection:
        queries = (
            "SELECT name, spec, state FROM study ORDER BY id",
            "SELECT study_id, number, state, params, metrics, reason, note, tags, started_at, finished_at FROM trial"
            " ORDER BY id",
            "SELECT trial_id, name, points, last_step, last_value, min_value, not_finite FROM series"
            " ORDER BY trial_id, name",
            "SELECT series.trial_id, name, step, value, time FROM metric JOIN series ON series.id = series_id"
            " ORDER BY 1, 2, 3",
            "SELECT series.trial_id, name, bucket, metric_rollup.points, sum_value FROM metric_rollup"
            " JOIN series ON series.id = series_id ORDER BY 1, 2, 3",
        )
        return [row for query in queries for row in connection.execute(query)]


def listing(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and modification time of everything in a folder."""
    return {
        str(one.relative_to(folder)): (one.read_bytes(), one.stat().st_mtime_ns)
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }
