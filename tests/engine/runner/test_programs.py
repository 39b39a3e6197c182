"""Studies of programs through the runner: every way in which a trial can end, kills, resumes, early stopping."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench

from bertdistill.engine.contract.events import METRICS_LOGGED, parse_event
from bertdistill.engine.contract.folder import read_object
from bertdistill.engine.pareto.frontier import ranking
from bertdistill.engine.runner.stopping_inputs import judged_by
from bertdistill.engine.steering import actions
from bertdistill.engine.study.config import load_study, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.rows import StudyState, TrialState

SAMPLE = Path(__file__).parents[3] / "sample_configs" / "digits.toml"
PYTHON = (sys.executable, "-I", "-S")

ENDINGS = """
case $1 in
  complete) echo '{"step": 1, "acc": 0.5}'; echo '{"acc": 0.9, "size": 2}';;
  code) exit 76;;
  nan) echo '{"acc": NaN, "size": 1}';;
  missing) echo '{"Acc": 1}';;
  crash) echo "KeyError: 'x'" >&2; exit 3;;
  once) [ -e once ] && echo '{"acc": 0.7, "size": 1}' || { touch once; kill -9 $$; };;
esac
"""


def spec(folder: Path, command: list[str], search: dict[str, Any], **more: Any) -> StudySpec:
    raw: dict[str, Any] = {
        "name": "prog",
        "program": {"command": command, "directory": str(folder)},
        "search": search,
        "objectives": [{"metric": "acc"}, {"metric": "size", "direction": "minimize"}],
        "budget": {"trials": 6},
        "sampler": {"kind": "grid"},
        "runner": {"slots": 1, "retries": 1, "min_free_gb": 0.0, "pause_after_failures": 9, "grace_seconds": 20.0},
        "stopping": {"rule": "none"},
    }
    return study_from_dict({**raw, **more}, where="test")


@pytest.fixture
def benches() -> Iterator[list[Workbench]]:
    """Closed in the end, with whatever still runs."""
    made: list[Workbench] = []
    yield made
    for bench in made:
        bench.close()


def test_every_ending(tmp_path: Path, benches: list[Workbench]) -> None:
    """Complete, infeasible (the optimiser learns), failed after retries with a message, well the second time."""
    words = ["complete", "code", "nan", "missing", "crash", "once"]
    script = tmp_path / "endings.sh"
    script.write_text(ENDINGS)
    made = spec(tmp_path, ["sh", str(script), "{how}"], {"how": {"choices": words}})
    bench = Workbench(tmp_path, made)
    benches.append(bench)
    bench.start().run()
    trials = {trial.params["how"]: trial for trial in bench.trials()}
    found = {how: (trial.state.value, trial.reason, len(bench.attempts(trial.number))) for how, trial in trials.items()}
    assert {
        "complete": ("complete", "", 1),
        "code": ("infeasible", "infeasible", 1),
        "nan": ("infeasible", "diverged", 1),
        "missing": ("failed", "no_result", 2),
        "crash": ("failed", "crashed", 2),
        "once": ("complete", "", 2),
    } == found
    assert {"acc": 0.9, "size": 2.0} == trials["complete"].metrics
    assert 'no value for acc, size; it printed last: {"Acc": 1}' == trials["missing"].detail
    assert "KeyError: 'x'" == trials["crash"].detail
    assert "killed_by_signal_9" == bench.attempts(trials["once"].number)[0].exit_class
    with bench.db.read() as session:
        series = reads.series(session, bench.study().id, trials["complete"].id)
    assert ["acc"] == [one.name for one in series]


SAVES = """
import json, os, signal, sys, time
start = 0
if "BERTDISTILL_RESUME" in os.environ:
    start = int(open(os.environ["BERTDISTILL_RESUME"] + "/step").read())
def save(step):
    folder = os.path.join(os.environ["BERTDISTILL_RUN"], "checkpoints", str(step))
    os.makedirs(folder, exist_ok=True)
    open(folder + "/step", "w").write(str(step))
    print(json.dumps({"checkpoint": folder, "step": step}), flush=True)
step = start
def stop(*_):
    save(step)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
while step < 6:
    step += 1
    print(json.dumps({"step": step, "acc": step / 10}), flush=True)
    if step % 3 == 0:
        save(step)
    while step == 4 and start < 4 and not os.path.exists("go"):
        time.sleep(0.01)
print(json.dumps({"acc": 0.6, "size": start}))
"""


def saving(tmp_path: Path, benches: list[Workbench]) -> Workbench:
    (tmp_path / "saves.py").write_text(SAVES)
    search = {"lr": {"choices": [0.1, 0.2]}}
    bench = Workbench(tmp_path, spec(tmp_path, [*PYTHON, "saves.py"], search, budget={"trials": 1}))
    benches.append(bench)
    bench.start()
    bench.tick_until(lambda: bench.live() and steps(bench)[-1:] == [4], "the fourth step")
    return bench


def steps(bench: Workbench) -> list[int]:
    """The steps of the stored points of the first series."""
    with bench.db.read() as session:
        series = reads.series(session, bench.study().id, bench.trial(0).id)
        return [int(step) for step, _, _ in reads.points_after(session, series[0].id, -1, 99)] if series else []


def test_a_stopped_study_resumes_from_the_programs_checkpoint(tmp_path: Path, benches: list[Workbench]) -> None:
    """SIGTERM, time to save, and the folder of the newest checkpoint when it runs again; the best one is kept."""
    bench = saving(tmp_path, benches)
    bench.ask("stop_study", study_id=bench.study().id)
    bench.tick_until(lambda: not bench.live(), "the stop")
    assert (TrialState.WAITING, 0) == (bench.trial(0).state, bench.trial(0).failures)
    bench.ask("resume", study_id=bench.study().id)
    bench.run()
    trial = bench.trial(0)
    assert (TrialState.COMPLETE, {"acc": 0.6, "size": 4.0}) == (trial.state, trial.metrics)
    with bench.db.read() as session:
        [kept] = reads.checkpoints(session, trial_id=trial.id)
    assert ("best", 6, True) == (kept.role, kept.step, bench.workspace.absolute(kept.folder).is_dir())


@pytest.mark.parametrize("victim", ["program", "worker", "shim"])
def test_kills_lose_nothing(victim: str, tmp_path: Path, benches: list[Workbench]) -> None:
    """kill -9 of any of them, and of the runner with them: every complete line is a point once, and it goes on from the
    last checkpoint."""
    bench = saving(tmp_path, benches)
    [attempt] = bench.live()
    paths = bench.paths(attempt)
    state = read_object(paths.state)
    started = next(
        one for one in map(parse_event, paths.events.read_bytes().splitlines()) if one and one["k"] == "started"
    )
    os.kill(
        {"program": started["pid"], "worker": state["worker"]["pid"], "shim": state["shim"]["pid"]}[victim],
        signal.SIGKILL,
    )
    bench.renew()  # as after a kill of the runner: it knows nothing but what is stored
    bench.tick_until(lambda: len(bench.attempts(0)) == 2, "the next attempt")
    (tmp_path / "go").touch()
    bench.run()
    assert (TrialState.COMPLETE, 2) == (bench.trial(0).state, len(bench.attempts(0)))
    folders = [bench.paths(one).events.read_bytes().splitlines() for one in bench.attempts(0)]
    logged = [one for lines in folders for one in map(parse_event, lines) if one and one["k"] == METRICS_LOGGED]
    assert sorted({one["step"] for one in logged}) == steps(bench) == [1, 2, 3, 4, 5, 6]


def test_a_hopeless_trial_is_stopped_by_what_it_streams(tmp_path: Path, benches: list[Workbench]) -> None:
    """The other objective is known once it is reported; steps are compared with the same steps of complete trials."""
    text = (
        "import json, sys, time\n"
        "level = float(sys.argv[1])\n"
        "print(json.dumps({'step': 0, 'size': 5}), flush=True)\n"
        "for step in range(1, 5):\n"
        "    print(json.dumps({'step': step, 'acc': level + step / 100}), flush=True)\n"
        "    if level < 0.5 and step == 2: time.sleep(60)\n"
        "print(json.dumps({'acc': level + 0.04, 'size': 5}))\n"
    )
    (tmp_path / "curve.py").write_text(text)
    search = {"level": {"choices": [0.9, 0.8, 0.1]}}
    stopping = {"rule": "frontier", "min_trials": 2, "metric": "acc"}
    made = spec(tmp_path, [*PYTHON, "curve.py", "{level}"], search, stopping=stopping, budget={"trials": 2})
    bench = Workbench(tmp_path, made)
    benches.append(bench)
    bench.start()
    for level in (0.9, 0.8):
        actions.queue_trial(bench.workspace, "prog", {"level": level}, who="test")
    bench.run()
    actions.set_budget(bench.workspace, "prog", trials=3, who="test")
    bench.run()
    hopeless = bench.trial(2)
    assert (TrialState.PRUNED, 0.1) == (hopeless.state, hopeless.params["level"])
    assert "acc 0.12 at step 2 may reach 0.14; trial 0 has 0.94 and is no worse in size" == hopeless.detail


def test_the_first_objective_decides_if_none_is_named(tmp_path: Path) -> None:
    """Constraints are not optimised, so they do not."""
    objectives = [{"metric": "t", "threshold": 1, "constraint": True}, {"metric": "acc"}, {"metric": "size"}]
    made = spec(tmp_path, ["t"], {"a": {"choices": [1, 2]}}, objectives=objectives)
    assert [judged_by(made)] == [one for one in made.objectives if one.metric == "acc"]


def test_what_ends_is_told_to_the_program_by_its_slot(tmp_path: Path, benches: list[Workbench]) -> None:
    """Threads and GPU of the slot are in the environment, with what the file adds; a value is one argument."""
    text = (
        "import json, os, sys\n"
        "names = ('OMP_NUM_THREADS', 'CUDA_VISIBLE_DEVICES', 'MINE')\n"
        "json.dump([sys.argv[1:], {name: os.environ.get(name) for name in names}], open('seen.json', 'w'))\n"
        "print(json.dumps({'acc': 1, 'size': 1}))\n"
    )
    (tmp_path / "seen.py").write_text(text)
    program = {"command": [*PYTHON, "seen.py", "{w}"], "directory": str(tmp_path), "environment": {"MINE": "x"}}
    made = spec(tmp_path, [], {"w": {"choices": ["a $HOME; b", "c"]}}, program=program, budget={"trials": 1})
    bench = Workbench(tmp_path, made)
    benches.append(bench)
    bench.start().run()
    words, environment = json.loads((tmp_path / "seen.json").read_text())
    assert [bench.trial(0).params["w"]] == words
    assert ("", "x", True) == (
        environment["CUDA_VISIBLE_DEVICES"],
        environment["MINE"],
        int(environment["OMP_NUM_THREADS"]) >= 1,
    )


def test_the_sample_runs_to_a_frontier(tmp_path: Path, benches: list[Workbench]) -> None:
    """scikit-learn's digits by small forests: the shipped files as they are, but for the interpreter and the size."""
    small = ["budget.trials=2", "search.trees.high=4", "objectives.0.threshold="]
    sample = load_study(SAMPLE, [f"program.command.0={sys.executable}", *small])
    bench = Workbench(tmp_path, dataclasses.replace(sample, baseline={**(sample.baseline or {}), "trees": 2}))
    benches.append(bench)
    bench.start()
    bench.tick_until(lambda: bench.study().state == StudyState.COMPLETE, "the end of the study", 300.0)
    found = [(trial.state, trial.metrics.keys()) for trial in bench.trials()]
    assert [(TrialState.COMPLETE, {"accuracy", "nodes"})] * 2 == found
    rows = ranking([(one.number, one.metrics) for one in bench.trials()], sample.objectives)
    assert any(row.on_frontier for row in rows)
    assert bench.trial(0).metrics["accuracy"] > 0.5
    assert [1, 2] == steps(bench)
