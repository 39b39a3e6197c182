"""What the start of an attempt costs, cold and warm, and what that makes of the demo.

    python benchmarks/start.py [--against PYTHON] [--repeat 3]
    python benchmarks/start.py --demo [--classify] [--against PYTHON] [--trials 4]

`--against` is the Python of another checkout, whose attempts are measured beside ours. An attempt is one step of a
student of the demo's reviews; its start ends with its event `started`: the model is built, the data is open. With
`--demo` both checkouts run the demo study at once, so that both find the machine equally busy.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import RESULT, STARTED, parse_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths, read_object, write_json
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.demo.reviews import LABELS, write_reviews
from bertdistill.engine.launch.local import WORKER_MODULE, LocalLauncher, worker_environment
from bertdistill.engine.launch.warm import Warm

DEVICE = Device(threads=1)
ENVIRONMENT = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
FAMILIES = ("mlp", "transformer")
NEEDED = ("kind", "study", "task", "data", "teacher", "student", "settings", "device", "caches")
"""Of an attempt's spec: what has no default."""
_PR_SET_CHILD_SUBREAPER = 36


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one attempt in seconds: CPU and wall time until it had started, CPU in all."""

    cpu: float
    wall: float
    whole: float


def prepared(folder: Path) -> AttemptSpec:
    """A preparation of all families by a real worker, and the spec of a trial that uses it."""
    files = write_reviews(folder / "data")
    settings = Settings(epochs=0.01, evaluations=1, batch_size=32, hidden_size=32, head_size=8, layers=1, ffn_size=64)
    spec = AttemptSpec(
        kind="prepare",
        study="start",
        task="text-classification",
        data=DataSpec(train=str(files.train), report=str(files.report), max_length=40, labels=list(LABELS)),
        teacher=TeacherSpec(outputs=str(files.teacher), vocab_size=300),
        student=StudentSpec(init="scratch"),
        settings=settings,
        device=DEVICE,
        caches=str(folder / "caches"),
        families=list(FAMILIES),
    )
    paths = attempt(folder / "prepare", spec)
    wait(LocalLauncher(environ=ENVIRONMENT), paths)
    [facts] = [event["facts"] for event in events(paths) if event["k"] == RESULT]
    return dataclasses.replace(spec, kind="trial", trial=0, prepared=Prepared.from_dict(facts))


def attempt(folder: Path, spec: AttemptSpec) -> RunPaths:
    """Its folder. The spec has only what is not the default, so that an older checkout can read it."""
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    bare = AttemptSpec(**{name: getattr(spec, name) for name in NEEDED})
    bare.write(paths.spec)
    plain = read_object(paths.spec)
    spec.write(paths.spec)
    whole = read_object(paths.spec)
    told = {key: one for key, one in whole.items() if one != plain[key] or key in ("version", *NEEDED)}
    facts = {key: one for key, one in whole["prepared"].items() if one != plain["prepared"][key]}
    write_json(paths.spec, told | {"prepared": facts})
    return paths


def events(paths: RunPaths) -> list[dict[str, object]]:
    lines = paths.events.read_bytes().splitlines() if paths.events.exists() else []
    return [event for event in map(parse_event, lines) if event]


def wait(launcher: LocalLauncher, paths: RunPaths) -> Cost:
    """Start the attempt and watch it to its end."""
    began, cpu, wall = time.monotonic(), 0.0, 0.0
    handle = launcher.start(paths, DEVICE, grace=60)
    while launcher.alive(paths, handle):
        if not wall and any(event["k"] == STARTED for event in events(paths)):
            cpu, wall = cpu_seconds(paths), time.monotonic() - began
        time.sleep(0.01)
    end = read_object(paths.exit)
    assert end["kind"] == "complete", paths.log.read_text()
    return Cost(cpu, wall, end.get("cpu_seconds", float("nan")))


def cpu_seconds(paths: RunPaths) -> float:
    """CPU time of the worker so far."""
    pid = read_object(paths.state)["worker"]["pid"]
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")


def loaded(warm: Warm, folder: Path) -> str:
    """Wait until warm workers can start; what loading took."""
    began = time.monotonic()
    warm.expect(worker_environment(ENVIRONMENT, DEVICE, folder))
    [parent] = warm._parents.values()
    while not parent.ready:
        if reason := parent.look():
            raise SystemExit(reason)
        time.sleep(0.01)
    proc = Path(f"/proc/{parent.process.pid}")
    fields = (proc / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
    cpu = sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")
    [memory] = [line.split()[1] for line in (proc / "status").read_text().splitlines() if line.startswith("VmRSS")]
    return f"{cpu:.1f} s CPU, {time.monotonic() - began:.1f} s, {int(memory) / 1024:.0f} MiB"


def torch_alone() -> float:
    """CPU seconds of an interpreter that imports torch."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-P", "-c", "import torch"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def starts(folder: Path, against: str, repeat: int) -> None:
    spec, warm = prepared(folder), Warm(WORKER_MODULE)
    before = LocalLauncher(command=(against, "-P", "-m", WORKER_MODULE), environ=ENVIRONMENT)
    ways = {
        **({"before, cold": before} if against else {}),
        "cold": LocalLauncher(environ=ENVIRONMENT),
        "warm": LocalLauncher(environ=ENVIRONMENT, warm=warm),
    }
    print(f"import torch alone: {statistics.median(torch_alone() for _ in range(repeat)):.1f} s CPU")
    print(f"loading for warm workers, once a runner: {loaded(warm, folder)}\n")
    print("| family | start | CPU s | s | CPU s of the whole attempt |\n|---|---|---|---|---|")
    for family in FAMILIES:
        trial = dataclasses.replace(spec, settings=dataclasses.replace(spec.settings, family=family))
        for name, launcher in ways.items():
            costs = [wait(launcher, attempt(folder / f"{family}-{name}-{n}", trial)) for n in range(repeat)]
            cpu, wall, whole = (
                statistics.median(values) for values in zip(*map(dataclasses.astuple, costs), strict=True)
            )
            print(f"| {family} | {name} | {cpu:.2f} | {wall:.2f} | {whole:.1f} |")
    warm.close()


def demo(folder: Path, against: str, trials: int, kind: str) -> None:
    """One row each for the checkouts, as JSON of a child that counts what its descendants have used."""
    ways = {**({"before": against} if against else {}), "now": sys.executable}
    begun = {
        name: subprocess.Popen(
            [sys.executable, __file__, "--count", python, str(folder / name), str(trials), kind],
            stdout=subprocess.PIPE,
        )
        for name, python in ways.items()
    }
    print("| demo | s | CPU s of all processes |\n|---|---|---|")
    for name, child in begun.items():
        found = json.loads(child.communicate()[0].splitlines()[-1])
        print(f"| {name} | {found['wall']:.0f} | {found['cpu']:.0f} |")


def count(python: str, workspace: str, trials: str, kind: str) -> None:
    """Run the demo, adopt everything that it leaves behind, and print wall and CPU seconds as JSON."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    program = "import sys; from bertdistill.app.cli import main; main(sys.argv[1:])"
    began = time.monotonic()
    words = [
        "engine",
        "demo",
        *([f"--{kind}"] if kind else []),
        "--plain",
        "-w",
        workspace,
        "--set",
        f"budget.trials={trials}",
    ]
    subprocess.run([python, "-P", "-c", program, *words], env=ENVIRONMENT, stdout=sys.stderr, check=False)
    wall = time.monotonic() - began
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps({"wall": wall, "cpu": usage.ru_utime + usage.ru_stime}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", default="", metavar="PYTHON")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--trials", type=int, default=14)
    parser.add_argument("--classify", action="store_const", const="classify", default="")
    parser.add_argument("--count", nargs=4, default=(), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.count:
        count(*given.count)
        return
    with tempfile.TemporaryDirectory() as folder:
        if given.demo:
            demo(Path(folder), given.against, given.trials, given.classify)
        else:
            starts(Path(folder), given.against, given.repeat)


if __name__ == "__main__":
    main()
