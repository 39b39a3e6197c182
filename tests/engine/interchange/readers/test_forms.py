"""What each form yields, from files that the packages themselves have written."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from tests.engine.interchange.readers.sources import (
    FILES,
    SOURCES,
    Stored,
    bring,
    csv_points,
    csv_table,
    event_files,
    mlflow_db,
    mlruns,
    stored,
    trackio_db,
    wandb_run,
)

from bertdistill.engine.interchange.checksums import masked
from bertdistill.engine.interchange.importing import Outcome, Wanted
from bertdistill.engine.interchange.readers.forms import form_of, local_path
from bertdistill.engine.interchange.readers.reader import parameter
from bertdistill.store.errors import ForeignError
from bertdistill.store.rows import TrialState


def left_out(done: Outcome) -> dict[str, int]:
    """What was not imported, with its counts."""
    found: dict[str, int] = {what: count for what, count in done.left_out.items() if count}
    for one in done.studies:
        found |= {what: count for what, count in one.left_out.items() if count}
    return found


def imported(folder: Path, source: Path, name: str) -> tuple[Stored, dict[str, int]]:
    """A study after its import, and what was left out."""
    counts = left_out(bring(folder, source))
    return stored(folder, name), counts


@pytest.mark.parametrize("name", SOURCES)
def test_its_form_is_recognised(name: str, tmp_path: Path) -> None:
    assert name.split(" ")[0] == form_of(SOURCES[name](tmp_path)).tracker


@pytest.mark.parametrize("make", [mlflow_db, mlruns])
def test_mlflow(make: Any, tmp_path: Path) -> None:
    """Parameters, tags, notes, states, curves and values that are not finite."""
    found, counts = imported(tmp_path, make(tmp_path), "mnist-red-tuning")
    first, second, live = found.trials
    assert {"lr": 0.1, "optimizer": "adam", "layers": 2, "id": "007"} == first.params
    assert "nlp" == first.settings["team"]
    assert "first\na note" == first.note
    assert [TrialState.COMPLETE, TrialState.FAILED, TrialState.STOPPED] == [one.state for one in found.trials]
    assert ["", "failed", "unfinished"] == [one.reason for one in (first, second, live)]
    assert {"inf": None, "nan": None, "no step": 4.0, "train/loss": 0.25} == first.metrics
    assert [(0, 1.0), (1, 0.5), (2, 1 / 3), (3, 0.25)] == found.curves[0, "train/loss"]
    assert [(0, None)] == found.curves[0, "nan"] == found.curves[0, "inf"]
    assert [(7, 0.5)] == found.curves[1, "train/loss"]
    assert {"deleted runs": 1, "points with a step below 0": 1} == counts


def test_wandb(tmp_path: Path) -> None:
    """Configuration, summary, rows with nested names, and what is not a number."""
    found, counts = imported(tmp_path, wandb_run(tmp_path), "my-project")
    [run] = found.trials
    assert {"lr": 0.1, "layers": 2, "net.act": "gelu", "net.sizes": "[1, 2]"} == run.params
    assert ("first [bold]try[/bold]\na note", ["x", "y z"]) == (run.note, run.tags)
    assert (TrialState.COMPLETE, 0.9, 0.125) == (run.state, run.metrics["best"], run.metrics["loss"])
    assert [(step, 1 / (step + 1)) for step in range(6)] + [(100, 0.125)] == found.curves[0, "loss"]
    assert [(step, step / 8) for step in range(6)] == found.curves[0, "eval/acc"]
    assert ([(3, None)], [(3, 1.0)]) == (found.curves[0, "bad"], found.curves[0, "ok"])
    assert {"histograms": 1, "texts": 1} == counts


@pytest.mark.parametrize("size", [0, 7, 40, 900, 3000])
def test_wandb_while_it_is_written(size: int, tmp_path: Path) -> None:
    """A part of a file is what its last whole record says; the whole file then is what it would have been at once."""
    folder = wandb_run(tmp_path)
    [path] = folder.rglob("*.wandb")
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    if size > 7:
        assert not bring(tmp_path, folder).problems
    path.write_bytes(whole)
    bring(tmp_path, folder)
    (tmp_path / "other").mkdir()
    found = stored(tmp_path, "my-project")
    bring(tmp_path / "other", folder)
    assert stored(tmp_path / "other", "my-project").curves == found.curves
    assert TrialState.COMPLETE == found.trials[0].state


def test_tensorboard(tmp_path: Path) -> None:
    """Scalars in both styles, the parameters of the HParams plugin, and what is not a scalar."""
    found, counts = imported(tmp_path, event_files(tmp_path), "logs")
    run, hparams = found.trials
    assert ("run", "run/hp") == (run.note, hparams.note)
    assert [(step, np.float32(1 / (step + 1))) for step in range(5)] == found.curves[0, "loss/train"]
    assert [(3, 0.5)] == found.curves[0, "new style"]
    assert [(3, 0.123456789012)] == found.curves[0, "double"]
    assert [(0, None)] == found.curves[0, "nan"]
    assert {"lr": 0.25, "layers": 3, "act": "gelu", "bias": 1} == hparams.params
    assert (TrialState.COMPLETE, {"hp/acc": 0.75}) == (hparams.state, hparams.metrics)
    assert {"histograms": 1, "images": 1, "texts": 1} == counts


def test_tensorboard_while_it_is_written_and_damaged(tmp_path: Path) -> None:
    """A cut file is read up to the last whole record; a wrong byte before others is damage, and the others are read."""
    folder = event_files(tmp_path)
    path = next(one for one in folder.rglob("*tfevents*") if one.parent.name == "run")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert not bring(tmp_path, folder).problems
    broken = bytearray(whole)
    broken[len(whole) // 2 + 100] ^= 1
    path.write_bytes(bytes(broken))
    [problem] = bring(tmp_path, folder).problems
    assert str(path) in str(problem)
    assert "damaged at byte" in str(problem)
    assert "head -c" in problem.hint
    path.write_bytes(whole)
    assert not bring(tmp_path, folder).problems
    assert 1 == len(stored(tmp_path, "logs").curves[0, "double"])


def test_trackio(tmp_path: Path) -> None:
    """Rows of JSON, nested numbers, values that are not finite."""
    found, counts = imported(tmp_path, trackio_db(tmp_path), "my-proj")
    assert [("r0", 0.1), ("r1", 0.2)] == [(one.note, one.params["lr"]) for one in found.trials]
    assert "gelu" == found.trials[0].params["net.act"]
    assert [(0, 1.0), (1, 0.5), (2, 1 / 3)] == found.curves[1, "loss"]
    assert [(step, 1.0) for step in range(3)] == found.curves[0, "nested/a"]
    assert [(step, None) for step in range(3)] == found.curves[0, "nan"]
    assert {"texts": 6} == counts


def test_csv(tmp_path: Path) -> None:
    """Optuna's table of trials; an apostrophe before a formula is taken off; a long table; columns without prefixes."""
    found, _ = imported(tmp_path, csv_table(tmp_path), "sweep")
    assert [{"lr": 0.1, "act": "gelu"}, {"lr": 0.01, "act": "=cmd()"}] == [one.params for one in found.trials]
    assert ({"value_0": 0.5, "value_1": 10.0}, TrialState.FAILED) == (found.trials[0].metrics, found.trials[1].state)
    assert ["a b"] == found.trials[1].tags
    found, _ = imported(tmp_path, csv_points(tmp_path), "points")
    assert ([(0, 1.0), (1, 0.5)], [(1, None)]) == (found.curves[0, "loss"], found.curves[0, "acc"])
    plain = tmp_path / "plain.csv"
    plain.write_text("lr;acc\n0.1;0.5\n0.2;0.7\n0.3;0.", "utf-8")
    with pytest.raises(ForeignError, match=r"which columns are metrics\? It has: lr, acc"):
        bring(tmp_path, plain)
    done = bring(tmp_path, plain, Wanted(metrics=("acc",)))
    assert [({"lr": 0.1}, {"acc": 0.5}), ({"lr": 0.2}, {"acc": 0.7})] == [
        (one.params, one.metrics) for one in stored(tmp_path, "plain").trials
    ]
    assert {"lines without an end": 1} == left_out(done)


@pytest.mark.parametrize("name", ["study.db", "study.log"])
def test_optuna(name: str, tmp_path: Path) -> None:
    """A study that optuna itself optimises, in between and at its end, from both of its storages."""
    path = tmp_path / name
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage: Any = f"sqlite:///{path}"
    if name.endswith(".log"):
        storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    study = optuna.create_study(study_name="sweep", storage=storage, direction="minimize")
    study.set_user_attr("bertdistill.note", "what for")
    kinds = {
        "x": optuna.distributions.FloatDistribution(0.001, 10.0, log=True),
        "n": optuna.distributions.IntDistribution(1, 6),
        "act": optuna.distributions.CategoricalDistribution(["relu", None, True, 3]),
    }
    for number, act in enumerate(("relu", None, True, 3)):
        study.enqueue_trial({"x": 0.5, "n": number + 1, "act": act})
    for number in range(3):
        trial = study.ask(kinds)
        trial.report(2.0, 0)
        trial.report(float("nan") if number == 1 else 1.0, 1)
        trial.set_user_attr("params", 1000 * number)
        trial.set_user_attr("host", "a")
        if number < 2:
            study.tell(trial, 0.5 if number == 0 else None, state=[None, optuna.trial.TrialState.FAIL][number])
    found, counts = imported(tmp_path, path, "sweep")
    assert {"waiting trials": 1} == counts
    assert [("relu", 1), (None, 2), (True, 3)] == [(one.params["act"], one.params["n"]) for one in found.trials]
    assert all(0.5 == one.params["x"] for one in found.trials)
    assert [TrialState.COMPLETE, TrialState.FAILED, TrialState.STOPPED] == [one.state for one in found.trials]
    assert {"value": 0.5, "params": 0} == found.trials[0].metrics
    assert "a" == found.trials[0].settings["host"]
    assert [(0, 2.0), (1, None)] == found.curves[1, "value"]
    assert [{"metric": "value", "direction": "minimize"}] == found.study.spec["objectives"]
    assert "what for" == found.study.spec["note"]
    trial.report(0.25, 2)
    study.tell(trial, 0.25)
    [done] = bring(tmp_path, path).studies
    found = stored(tmp_path, "sweep")
    assert (0, 1, 1) == (done.new, done.changed, done.points)
    assert (TrialState.COMPLETE, [(0, 2.0), (1, 1.0), (2, 0.25)]) == (found.trials[2].state, found.curves[2, "value"])


# ------------------------------------------------------------------------------------------------------- broken sources


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    """Each says which file and what to do."""
    (tmp_path / "text.txt").write_text("hello")
    for source in (tmp_path / "text.txt", tmp_path):
        with pytest.raises(ForeignError, match="holds nothing that can be imported") as error:
            form_of(source)
        assert "optuna" in error.value.hint
    with pytest.raises(ForeignError, match="nothing that mlflow writes"):
        form_of(csv_points(tmp_path), "mlflow")
    with pytest.raises(ForeignError, match="does not exist"):
        local_path(str(tmp_path / "missing"))
    with pytest.raises(ForeignError, match="servers are not read") as error:
        local_path("postgresql://user:secret@host/db")
    assert "secret" not in str(error.value)
    assert tmp_path == local_path(f"sqlite:///{tmp_path}") == local_path(f"file://{tmp_path}")


def test_a_damaged_database(tmp_path: Path) -> None:
    path = mlflow_db(tmp_path)
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(bytes(data))
    with pytest.raises(ForeignError, match=r"damaged|holds nothing"):
        bring(tmp_path, path)


def test_a_database_of_an_old_version(tmp_path: Path) -> None:
    path = mlflow_db(tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE runs RENAME COLUMN lifecycle_stage TO stage")
    with pytest.raises(ForeignError, match="other columns than are known") as error:
        bring(tmp_path, path)
    assert "upgrade a copy" in error.value.hint


def test_a_journal_with_a_bad_line(tmp_path: Path) -> None:
    """A line that is being written is left for later; one that never was an operation is an error."""
    path = tmp_path / "study.log"
    good = '{"op_code":0,"worker_id":"a","study_name":"s","directions":[1]}\n'
    path.write_text(good + '{"op_code":4,"study')
    assert [] == [one.source for one in bring(tmp_path, path).studies]
    path.write_text(good + '{"op_code":99}\n')
    with pytest.raises(ForeignError, match="line 2 is not an operation"):
        bring(tmp_path, path)


def test_a_wandb_file_with_a_wrong_byte(tmp_path: Path) -> None:
    """In the last block of a file it may still be written; before others it is damage."""
    path = wandb_run(tmp_path) / "offline-run-20261130_004218-v0yngf6r" / "run-v0yngf6r.wandb"
    data = bytearray(path.read_bytes())
    data += bytes(40_000)
    data[2000] ^= 1
    path.write_bytes(bytes(data))
    [problem] = bring(tmp_path, path).problems
    assert f"{path}: damaged near byte" in str(problem)


def test_a_write_ahead_log_without_its_index(tmp_path: Path) -> None:
    """As a copy of a folder leaves it: what is only in the log is read, and no file is added."""
    live = trackio_db(tmp_path)
    copy = tmp_path / "copy"
    copy.mkdir()
    with closing(sqlite3.connect(live)) as connection:
        connection.execute("DELETE FROM metrics WHERE run_name = 'r1'")
        connection.commit()
        for end in ("", "-wal"):
            shutil.copyfile(f"{live}{end}", copy / f"my-proj.db{end}")
    found, _ = imported(tmp_path, copy / "my-proj.db", "my-proj")
    assert 1 == len(found.trials)
    assert {"my-proj.db", "my-proj.db-wal"} == {one.name for one in copy.iterdir()}


# -------------------------------------------------------------------------------------------------------- small parts


def slow_checksum(data: bytes) -> int:
    """CRC-32C bit by bit, masked as in TFRecords."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def test_checksums() -> None:
    """Short and long messages together, against a check value (RFC 3720, B.4) and a slow implementation."""
    data = np.random.default_rng(0).bytes(5000)
    starts, lengths = [0, 5, 100, 0, 7, 900], [9, 0, 1, 4096, 4097, 4095]
    wanted = [slow_checksum(data[at : at + length]) for at, length in zip(starts, lengths, strict=True)]
    assert wanted == masked(data, starts, lengths).tolist()
    [zeros] = masked(bytes(32), [0], [32]).tolist()
    unmasked = (zeros - 0xA282EAD8) & 0xFFFFFFFF
    assert struct.pack("<I", ((unmasked >> 17) | (unmasked << 15)) & 0xFFFFFFFF) == bytes.fromhex("aa36918a")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("-3", -3), ("007", "007"), ("1e-3", 0.001), ("0.5", 0.5), (".5", 0.5), ("1_0", "1_0"),
        ("nan", "nan"), ("True", True), ("None", None), ("", ""), ("9" * 400, "9" * 400), ("adam", "adam"),
    ],
)  # fmt: skip
def test_parameters_that_are_text(text: str, value: object) -> None:
    found = parameter(text)
    assert (type(value), value) == (type(found), found)


def test_the_files_name_no_machine() -> None:
    """They are copies of what the packages wrote, without its paths."""
    assert all(b"/tmp/" not in one.read_bytes() for one in FILES.rglob("*") if one.is_file())
