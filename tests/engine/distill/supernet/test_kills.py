"""A preparation killed while it trains a supernet, and while it screens: the next one continues. Two processes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.engine.distill.supernet.studies import events, study

from bertdistill.engine.contract.events import PROGRESS, SCREENED
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run

EPOCHS = 40.0
"""Long enough to be killed between two checkpoints."""
DEADLINE = 600.0


def often(run: Run) -> Run:
    """With a checkpoint twice a second."""
    settings = dataclasses.replace(run.spec.settings, checkpoint_minutes=0.01)
    return dataclasses.replace(run, spec=dataclasses.replace(run.spec, settings=settings))


def kill_when(run: Run, folder: Path, pattern: str) -> bool:
    """Start the preparation as a process and kill it once such a file is in the caches; False if it was faster."""
    folder.mkdir()
    run.spec.write(RunPaths(folder).spec)
    command = [sys.executable, "-P", "-m", "bertdistill.engine.distill.worker", str(folder)]
    with RunPaths(folder).log.open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "TOKENIZERS_PARALLELISM": "false"}
        )
    deadline = time.monotonic() + DEADLINE
    while process.poll() is None and not any(run.caches.glob(pattern)):
        assert time.monotonic() < deadline
    process.kill()
    return process.wait() < 0


@pytest.mark.machines
def test_killed_in_the_training_and_in_the_screening_it_ends_the_same(tmp_path: Path) -> None:
    whole = often(study(tmp_path / "whole", epochs=EPOCHS))
    wanted = prepare(whole)
    run = often(study(tmp_path / "killed", epochs=EPOCHS))
    assert kill_when(run, tmp_path / "first", "supernet/*.training/checkpoints/last")
    assert kill_when(run, tmp_path / "second", "screened/*.parts/*.json")
    found = prepare(run)
    mine, theirs = (load_file(Path(one.supernet.folder) / "model.safetensors") for one in (found, wanted))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert found.supernet.layers == wanted.supernet.layers
    results = [[(event["settings"], event["score"]) for event in events(one, SCREENED)] for one in (run, whole)]
    assert results[0] == results[1]
    assert {"supernet"} & {event["phase"] for event in events(whole, PROGRESS)}
