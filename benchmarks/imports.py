"""How fast the files of other trackers are imported: points per minute of CPU time, for each form.

`python benchmarks/imports.py [--points 1000000] [--only mlflow]`. It writes a source of 10 runs with 5 metrics in each
form, as the tracker itself would (their packages are not needed), imports it into a new workspace, and once more to
show what looking for news costs. Goal: 10 million points a minute.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sqlite3
import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange.checksums import masked
from bertdistill.engine.interchange.importing import Wanted, run_import
from bertdistill.engine.interchange.readers.forms import form_of
from bertdistill.store.db import open_db

RUNS = 10
METRICS = ("train/loss", "train/accuracy", "eval/loss", "eval/accuracy", "lr")
STARTED = 1.7e9


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--only", choices=sorted(SOURCES), default="")
    options = parser.parse_args()
    print("| form | points | source MB | CPU s | million points a CPU minute | again, CPU s |")
    print("|---|---|---|---|---|---|")
    for name, write in SOURCES.items():
        if options.only in ("", name):
            with tempfile.TemporaryDirectory() as folder:
                print(f"| {name} | {' | '.join(measured(Path(folder), write, options.points))} |", flush=True)


def measured(folder: Path, write: Callable[[Path, int], Path], points: int) -> tuple[str, ...]:
    """Points, size, CPU seconds, rate, CPU seconds of a second import."""
    source = write(folder, points // RUNS // len(METRICS))
    size = sum(one.stat().st_size for one in ([source] if source.is_file() else source.rglob("*")))
    first, stored = import_once(folder, source)
    again, none = import_once(folder, source)
    assert none == 0
    return (
        f"{stored:,}",
        f"{size / 1e6:.0f}",
        f"{first:.1f}",
        f"{stored / first * 60 / 1e6:.1f}",
        f"{again:.2f}",
    )


def import_once(folder: Path, source: Path) -> tuple[float, int]:
    """CPU seconds, and how many points were stored."""
    workspace = Workspace(folder / "workspace")
    db = open_db(workspace.path)
    begun = time.process_time()
    done = run_import(db, workspace, form_of(source), source, Wanted(), now=time.time(), tell=lambda one: None)
    took = time.process_time() - begun
    db.close()
    return took, sum(one.points for one in done.studies)


# -------------------------------------------------------------------------------------------------------------- sources


def values(steps: int) -> Iterator[tuple[int, float, list[float]]]:
    """Step, time and values of each step."""
    for step in range(steps):
        yield step, STARTED + step / 10, [1 / (step + number + 1) for number in range(len(METRICS))]


def mlflow_database(folder: Path, steps: int) -> Path:
    path = folder / "mlflow.db"
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name, lifecycle_stage);"
        "CREATE TABLE experiment_tags (key, value, experiment_id);"
        "CREATE TABLE runs (run_uuid PRIMARY KEY, name, status, start_time, end_time, lifecycle_stage, experiment_id);"
        "CREATE TABLE params (key, value, run_uuid, PRIMARY KEY (key, run_uuid));"
        "CREATE TABLE tags (key, value, run_uuid, PRIMARY KEY (key, run_uuid));"
        "CREATE TABLE metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid VARCHAR(32), step BIGINT,"
        " is_nan BOOLEAN, PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));"
        "CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);"
        "INSERT INTO experiments VALUES (1, 'bench', 'active')"
    )
    for run in range(RUNS):
        row = (f"{run:032x}", f"run {run}", "FINISHED", int(STARTED * 1000), int(STARTED * 1000), "active", 1)
        database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        database.executemany(
            "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, 0)",
            (
                (name, value, int(at * 1000), row[0], step)
                for step, at, found in values(steps)
                for name, value in zip(METRICS, found, strict=True)
            ),
        )
    database.commit()
    database.close()
    return path


def mlflow_files(folder: Path, steps: int) -> Path:
    experiment = folder / "mlruns" / "1"
    for run in range(RUNS):
        at_run = experiment / f"{run:032x}"
        for number, name in enumerate(METRICS):
            path = at_run / "metrics" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as file:
                file.writelines(f"{int(at * 1000)} {found[number]} {step}\n" for step, at, found in values(steps))
        (at_run / "meta.yaml").write_text(f"run_id: {run:032x}\nstatus: 3\nstart_time: {int(STARTED * 1000)}\n")
    (experiment / "meta.yaml").write_text("name: bench\nlifecycle_stage: active\n")
    return folder / "mlruns"


def trackio(folder: Path, steps: int) -> Path:
    path = folder / "bench.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id, timestamp, run_name, step, metrics)")
    database.execute("CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id, run_name, config, created_at)")
    database.execute("CREATE INDEX idx_metrics_run_step ON metrics (run_id, step)")
    for run in range(RUNS):
        database.executemany(
            "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?, ?)",
            (
                (str(run), "2026-11-29T23:50:11.557889+00:00", f"r{run}", step, _json(found))
                for step, _, found in values(steps)
            ),
        )
    database.commit()
    database.close()
    return path


def _json(found: list[float]) -> bytes:
    return json.dumps(dict(zip(METRICS, found, strict=True)), separators=(",", ":")).encode()


def optuna(folder: Path, steps: int) -> Path:
    path = folder / "optuna.db"
    database = sqlite3.connect(path)
    for table, columns in {
        "studies": "study_id INTEGER PRIMARY KEY, study_name",
        "study_directions": "direction, study_id, objective",
        "study_user_attributes": "study_id, key, value_json",
        "study_system_attributes": "study_id, key, value_json",
        "trials": "trial_id INTEGER PRIMARY KEY, number, study_id, state, datetime_start, datetime_complete",
        "trial_params": "trial_id, param_name, param_value, distribution_json, UNIQUE (trial_id, param_name)",
        "trial_values": "trial_id, objective, value, value_type, UNIQUE (trial_id, objective)",
        "trial_user_attributes": "trial_id, key, value_json, UNIQUE (trial_id, key)",
        "trial_intermediate_values": "trial_intermediate_value_id INTEGER PRIMARY KEY, trial_id, step,"
        " intermediate_value, intermediate_value_type, UNIQUE (trial_id, step)",
    }.items():
        database.execute(f"CREATE TABLE {table} ({columns})")
    database.execute("INSERT INTO studies VALUES (1, 'bench')")
    database.execute("INSERT INTO study_directions VALUES ('MINIMIZE', 1, 0)")
    for trial in range(RUNS * len(METRICS)):
        at = "2026-11-29 23:49:44.204949"
        database.execute("INSERT INTO trials VALUES (?, ?, 1, 'COMPLETE', ?, ?)", (trial, trial, at, at))
        database.executemany(
            "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value) VALUES (?, ?, ?)",
            ((trial, step, found[0]) for step, _, found in values(steps)),
        )
    database.commit()
    database.close()
    return path


def tensorboard(folder: Path, steps: int) -> Path:
    for run in range(RUNS):
        path = folder / "logs" / f"run{run}" / "events.out.tfevents.1"
        path.parent.mkdir(parents=True)
        path.write_bytes(
            _framed(
                [
                    _event(step, at, name, value)
                    for step, at, found in values(steps)
                    for name, value in zip(METRICS, found, strict=True)
                ]
            )
        )
    return folder / "logs"


def _event(step: int, at: float, name: str, value: float) -> bytes:
    tag = name.encode()
    inner = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", value)
    summary = b"\x0a" + bytes([len(inner)]) + inner
    return b"\x09" + struct.pack("<d", at) + b"\x10" + _varint(step) + b"\x2a" + bytes([len(summary)]) + summary


def _framed(messages: list[bytes]) -> bytes:
    heads = [struct.pack("<Q", len(one)) for one in messages]
    data = b"".join(heads + messages)
    lengths = [len(one) for one in [*heads, *messages]]
    starts = [0, *itertools.accumulate(lengths)][:-1]
    sums = masked(data, starts, lengths).astype("<u4").tobytes()
    count = len(messages)
    return b"".join(
        heads[i] + sums[4 * i : 4 * i + 4] + messages[i] + sums[4 * (count + i) : 4 * (count + i) + 4]
        for i in range(count)
    )


def wandb(folder: Path, steps: int) -> Path:
    for run in range(RUNS):
        path = folder / "wandb" / f"offline-run-20261129_235004-{run:08x}" / f"run-{run:08x}.wandb"
        path.parent.mkdir(parents=True)
        records = [_field(17, _field(1, f"{run:08x}") + _field(3, "bench"))]
        for step, at, found in values(steps):
            items = [_item(name, value) for name, value in zip(METRICS, found, strict=True)]
            items += [_item("_step", step), _item("_timestamp", at), _item("_runtime", step / 10)]
            records.append(_field(2, b"".join(_field(1, one) for one in items)))
            records.append(_field(3, b"".join(_field(1, one) for one in items)))
        records.append(_field(18, b""))
        path.write_bytes(leveldb(records))
    return folder / "wandb"


def _item(name: str, value: float) -> bytes:
    return _field(2, name) + _field(16, json.dumps(value))


def _field(number: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def leveldb(records: list[bytes]) -> bytes:
    """Records in blocks of 32 KiB, as the files of W&B have them."""
    found = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        begun, at = False, 0
        while at < len(record) or not begun:
            left = 32_768 - len(found) % 32_768
            if left < 7:
                found += bytes(left)
                left = 32_768
            piece = record[at : at + left - 7]
            at += len(piece)
            kind = (4 if at == len(record) else 3) if begun else (1 if at == len(record) else 2)
            found += struct.pack("<IHB", zlib.crc32(piece, zlib.crc32(bytes([kind]))), len(piece), kind) + piece
            begun = True
    return bytes(found)


def csv_long(folder: Path, steps: int) -> Path:
    path = folder / "points.csv"
    with path.open("w") as file:
        file.write("run,metric,step,value,time\n")
        for run in range(RUNS):
            for step, at, found in values(steps):
                file.writelines(f"{run},{n},{step},{v},{at}\n" for n, v in zip(METRICS, found, strict=True))
    return path


SOURCES: dict[str, Callable[[Path, int], Path]] = {
    "optuna": optuna,
    "mlflow": mlflow_database,
    "mlflow files": mlflow_files,
    "wandb": wandb,
    "tensorboard": tensorboard,
    "trackio": trackio,
    "csv": csv_long,
}

if __name__ == "__main__":
    os.nice(5)
    main()
