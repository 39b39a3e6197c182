"""What it costs to look through and clean up a workspace of a gigabyte, with the commands that a person would type.

    python benchmarks/cleanup.py [--studies 4] [--trials 40] [--checkpoint-mb 6] [--folder DIR]

The studies are run by a real runner with the workers of the tests, which write checkpoints of the given size and train
nothing; a model is promoted; caches of 40 MB a study are added, one of them shared by two studies, and a leftover.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.fakes import fake_environment, study_spec

from bertdistill.engine.contract.sizes import Sizes
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.runner.runner import Runner
from bertdistill.engine.steering import actions
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db

CACHE_BYTES = 40_000_000
PROGRAM = [sys.executable, "-P", "-m", "bertdistill.engine"]


@dataclass(frozen=True)
class Line:
    """One command: what it printed last, its seconds, and what the workspace holds afterwards."""

    words: str
    said: str
    wall: float
    cpu: float
    after: int


def build(folder: Path, studies: int, trials: int, checkpoint_mb: float) -> Workspace:
    """Run the studies to their end, then promote a trial of the first."""
    workspace = Workspace(folder / "runs")
    size = int(checkpoint_mb * 1e6)
    os.environ.update(fake_environment(folder, checkpoint_bytes=size, checkpoint_every=3, evaluate_every=6))
    for number in range(studies):
        spec = study_spec(folder, name=f"s{number}", budget={"trials": trials})
        actions.start_study(workspace, spec, who="benchmark")
    with closing(open_db(workspace.path)) as db, closing(Runner(workspace, db, LocalLauncher())) as runner:
        while runner.tick():
            runner.wake.wait(0.01)
    version = actions.promote(workspace, "s0", 0, "model", who="benchmark", alias="production")
    while actions.settle_promotion(workspace, version.id).state == "verifying":
        time.sleep(0.05)
    _add_caches(workspace, studies)
    return workspace


def _add_caches(workspace: Workspace, studies: int) -> None:
    """Teacher outputs of each study, except that the second uses those of the first; features that no study names."""
    for name in [*(f"outputs/{n}" for n in range(studies)), "features/unused", "teachers/stopped.training"]:
        (workspace.caches / name).mkdir(parents=True, exist_ok=True)
        (workspace.caches / name / "data.npy").write_bytes(os.urandom(CACHE_BYTES))
    with closing(open_db(workspace.path)) as db, db.write() as session:
        for number in range(studies):
            study = reads.study(session, f"s{number}")
            outputs = workspace.caches / "outputs" / str(0 if number == 1 else number)
            writes.set_prepared(session, study.id, {**(study.prepared or {}), "outputs": str(outputs)})


def run(workspace: Workspace, *words: str) -> Line:
    """One command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*PROGRAM, *words, "-w", str(workspace.path)], capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return Line(" ".join(words), said[-1] if said else "", wall, cpu, Sizes().of(workspace.path))


def newest(workspace: Workspace) -> str:
    """The number of the newest request, which `undo` takes."""
    with closing(open_db(workspace.path, read_only=True)) as db, db.read() as session:
        return str(reads.newest_request(session))


def clean(workspace: Workspace) -> list[Line]:
    """Look, prune, delete, restore and remove for good."""
    lines = [run(workspace, "disk"), run(workspace, "prune", "--dry-run"), run(workspace, "prune", "--yes")]
    lines.append(run(workspace, "undo", newest(workspace)))
    lines.append(run(workspace, "delete", "s0", "--yes"))
    lines.append(run(workspace, "delete", "s1", "s2", "--yes"))
    lines.append(run(workspace, "undo", newest(workspace)))
    lines.append(run(workspace, "disk"))
    lines.append(run(workspace, "prune", "--yes", "--keep-days", "0"))
    lines.append(run(workspace, "disk"))
    return lines


def main() -> None:
    """Build, clean, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--checkpoint-mb", type=float, default=6.0)
    parser.add_argument("--folder", type=Path, help="keep the workspace here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        workspace = build(folder, given.studies, given.trials, given.checkpoint_mb)
        print(f"{Sizes().of(workspace.path) / 1e9:.2f} GB\n")
        print("| command | wall | CPU | left | said |\n|---|---|---|---|---|")
        for line in clean(workspace):
            said = re.sub(r"\s+", " ", line.said).replace(str(folder), "…")[:100]
            print(f"| `{line.words}` | {line.wall:.2f} s | {line.cpu:.2f} s | {line.after / 1e9:.3f} GB | {said} |")


if __name__ == "__main__":
    main()
