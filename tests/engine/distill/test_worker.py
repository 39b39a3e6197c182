"""The worker as a process: a tiny preparation and trial on made data, ends and exit codes, resume after a stop."""

import dataclasses
import importlib.util
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file
from tests.workers import work

from bertdistill.engine.contract import events as ev
from bertdistill.engine.contract import terms
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.metrics import LATENCIES
from bertdistill.engine.contract.spec import DataSpec, Device, FineTuneSpec, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.contract.terms import TERMS
from bertdistill.engine.demo.questions import write_demo
from bertdistill.engine.distill import trial, worker
from bertdistill.engine.distill.families import linear, selection, tiny, transformer
from bertdistill.engine.distill.pretraining import pretrain
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training import schedule, train
from bertdistill.engine.distill.training.terms import hidden_loss, soft_loss
from bertdistill.engine.distill.training.train import Diverged
from bertdistill.engine.families import bilstm, layer_pairs, mlp, sparsity, stages, table, widths
from bertdistill.engine.families import linear as linear_sizes
from bertdistill.engine.families import tiny as tiny_sizes
from bertdistill.engine.families.bottleneck import BottleneckFamily
from bertdistill.engine.families.encoder_plan import plan_student
from bertdistill.engine.families.transformer import Transformer

SETTINGS = Settings(
    layers=1,
    hidden_size=16,
    head_size=8,
    heads=1,
    head_choice="random",
    batch_size=32,
    epochs=2,
    evaluations=2,
    learning_rate=2e-3,
    precision="fp32",
)
DEADLINE = 120.0


def start(folder: Path, spec: AttemptSpec) -> subprocess.Popen[str]:
    folder.mkdir(parents=True)
    spec.write(RunPaths(folder).spec)
    with RunPaths(folder).log.open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bertdistill.engine.distill.worker", str(folder)],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"},
        )


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    path = RunPaths(folder).events
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [event for event in map(parse_event, lines) if event and event["k"] == kind]


def last(folder: Path) -> str:
    """The newest weights, relative to the folder of checkpoints."""
    return str(Path(Path(events(folder, ev.CHECKPOINT)[-1]["folder"]).name, "model.safetensors"))


@pytest.fixture(name="prepared", scope="module")
def _prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AttemptSpec]:
    """A finished preparation by a real worker, and the spec of a trial that stands on it."""
    root = tmp_path_factory.mktemp("study")
    files = write_demo(root / "data", articles=16)
    spec = AttemptSpec(
        kind="prepare",
        study="tiny",
        task="question-answering",
        data=DataSpec(train=str(files.train), report=str(files.report), max_length=128, doc_stride=16),
        teacher=TeacherSpec(
            model="scratch",
            layers=1,
            hidden_size=16,
            ffn_size=32,
            head_size=8,
            vocab_size=400,
            initializer_range=0.1,
            fine_tune=FineTuneSpec(epochs=1, learning_rate=2e-3, batch_size=32),
        ),
        student=StudentSpec(init="scratch"),
        settings=SETTINGS,
        device=Device(threads=1),
        caches=str(root / "caches"),
    )
    code = start(root / "prepare", spec).wait(DEADLINE)
    assert ev.EXIT_COMPLETE == code, RunPaths(root / "prepare").log.read_text()
    facts = events(root / "prepare", ev.RESULT)[0]["facts"]
    return root, dataclasses.replace(spec, kind="trial", trial=0, prepared=Prepared.from_dict(facts))


def test_a_preparation_reports_what_trials_need(prepared: tuple[Path, AttemptSpec]) -> None:
    """Folders exist, counts add up, the teacher is scored and the chance level is that of the split."""
    facts = prepared[1].prepared
    assert Path(facts.outputs, "outputs.npy").is_file()
    assert all(Path(folder).is_dir() for folder in facts.features.values())
    assert facts.train_features >= facts.train_examples > facts.search_examples > 0
    assert 0 <= facts.teacher_metrics["exact"] <= 100
    assert 20 < facts.chance["exact"] < 50
    assert 5 < facts.first_length < facts.mean_length / 2


def test_preparing_again_builds_nothing(prepared: tuple[Path, AttemptSpec]) -> None:
    """A second study on the same teacher and data finds every cache."""
    root, spec = prepared
    before = sorted((str(path), path.stat().st_mtime_ns) for path in (root / "caches").rglob("*.npy"))
    again = root / "prepare-again"
    assert ev.EXIT_COMPLETE == work(again, dataclasses.replace(spec, kind="prepare", prepared=Prepared()))
    assert before == sorted((str(path), path.stat().st_mtime_ns) for path in (root / "caches").rglob("*.npy"))
    assert spec.prepared.to_dict() == events(again, ev.RESULT)[0]["facts"]
    assert not [event for event in events(again, ev.PROGRESS) if event["phase"] == "teacher"]


def test_a_trial_refuses_a_damaged_cache(prepared: tuple[Path, AttemptSpec]) -> None:
    """One flipped bit in the teacher's outputs would train silently; the file is named, and no attempt is retried."""
    root, spec = prepared
    damaged = root / "caches" / "outputs" / "damaged"
    shutil.copytree(spec.prepared.outputs, damaged)
    content = bytearray((damaged / "outputs.npy").read_bytes())
    content[-1] ^= 1
    (damaged / "outputs.npy").write_bytes(bytes(content))
    facts = dataclasses.replace(spec.prepared, outputs=str(damaged))
    assert ev.EXIT_REFUSED == work(root / "refused", dataclasses.replace(spec, prepared=facts))
    assert f"{damaged / 'outputs.npy'} is damaged" in events(root / "refused", ev.ENDED)[-1]["detail"]


def test_a_trial_killed_in_the_middle_ends_with_the_same_weights(prepared: tuple[Path, AttemptSpec]) -> None:
    """SIGTERM, then a second attempt from the checkpoint: the best and last numbers are those of an undisturbed run."""
    root, spec = prepared
    whole, first, second = root / "whole", root / "first", root / "second"
    assert ev.EXIT_COMPLETE == work(whole, dataclasses.replace(spec, measure=["latency_ratio", "throughput"]))
    process = start(first, spec)
    deadline = time.monotonic() + DEADLINE
    while not events(first, ev.METRICS_LOGGED):
        assert process.poll() is None
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGTERM)
    assert ev.EXIT_STOPPED == process.wait(DEADLINE)
    assert "stopped" == events(first, ev.ENDED)[-1]["status"]
    resume = str(RunPaths(first).last.resolve())
    assert ev.EXIT_COMPLETE == work(second, dataclasses.replace(spec, attempt=2, resume_from=resume))
    scores, repeated = (events(folder, ev.RESULT)[0]["metrics"] for folder in (whole, second))
    assert scores["search_loss"] == repeated["search_loss"]
    assert scores["exact"] == repeated["exact"]
    assert {*LATENCIES, "throughput", "train_minutes", "peak_memory_mb"} <= set(scores)
    assert 0 < scores["latency_cpu_ms"]
    assert 0 < scores["latency_ratio"]
    steps = [[event["step"] for event in events(folder, ev.CHECKPOINT)] for folder in (whole, second)]
    assert steps[0][-1] == steps[1][-1]
    mine, theirs = (load_file(RunPaths(folder).checkpoints.resolve() / last(folder)) for folder in (whole, second))
    assert all((mine[name] == theirs[name]).all() for name in mine)
    predictions = json.loads((RunPaths(whole).best / "predictions.json").read_text())
    assert spec.prepared.search_examples == len(predictions)
    starts = json.loads((RunPaths(whole).best / "starts.json").read_text())
    assert {key for key, text in predictions.items() if text} == set(starts)


def test_a_trial_with_separate_layers(prepared: tuple[Path, AttemptSpec]) -> None:
    """It says how long an example takes with a passage that it has read before, and what it saved keeps the layers."""
    root, spec = prepared
    settings = dataclasses.replace(spec.settings, layers=3, separate_layers=2, epochs=0.1, evaluations=1)
    spec = dataclasses.replace(spec, settings=settings, measure=["latency_cpu_ms", "latency_cached_ms"])
    assert ev.EXIT_COMPLETE == work(root / "separate", spec)
    scores = events(root / "separate", ev.RESULT)[0]["metrics"]
    assert 0 < scores["latency_cached_ms"]
    assert 2 == json.loads((RunPaths(root / "separate").best / "config.json").read_text())["separate_layers"]


def test_a_promised_size_that_is_not_met_is_refused(prepared: tuple[Path, AttemptSpec]) -> None:
    """The size on the screen is the size of the model, or the trial does not run."""
    root, spec = prepared
    assert ev.EXIT_REFUSED == work(root / "size", dataclasses.replace(spec, expected_params=1))
    assert "but 1 were expected" in events(root / "size", ev.ENDED)[0]["detail"]


def test_data_that_changed_after_the_preparation_is_refused(prepared: tuple[Path, AttemptSpec]) -> None:
    """Scores on other questions would not be comparable."""
    root, spec = prepared
    data = dataclasses.replace(spec.data, search_fraction=0.3)
    assert ev.EXIT_REFUSED == work(root / "changed", dataclasses.replace(spec, data=data))
    assert "changed since" in events(root / "changed", ev.ENDED)[0]["detail"]


@pytest.mark.parametrize(
    ("error", "code", "status", "reason"),
    [
        (Stopped(), ev.EXIT_STOPPED, "stopped", "stopped"),
        (Diverged("loss nan"), ev.EXIT_DIVERGED, "infeasible", "diverged"),
        (ConfigError("no such file", hint="look"), ev.EXIT_REFUSED, "refused", "ConfigError"),
        (RuntimeError("CUDA out of memory. Tried"), ev.EXIT_OUT_OF_MEMORY, "infeasible", "cuda_oom"),
        (MemoryError(), ev.EXIT_OUT_OF_MEMORY, "infeasible", "host_oom"),
        (KeyError("x"), ev.EXIT_CRASHED, "failed", "KeyError"),
    ],
)
def test_every_end_has_its_exit_code_and_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, status: str, reason: str
) -> None:
    """The runner reads the event, the shim the code; they must tell the same story."""

    def fail(_: object) -> dict[str, Any]:
        raise error

    monkeypatch.setitem(worker.WORK, "trial", fail)
    spec = AttemptSpec(
        kind="trial",
        study="s",
        task="question-answering",
        data=DataSpec(),
        teacher=TeacherSpec(model="scratch"),
        student=StudentSpec(),
        settings=SETTINGS,
        device=Device(),
        caches=str(tmp_path),
    )
    assert code == work(tmp_path / "run", spec)
    ended = events(tmp_path / "run", ev.ENDED)[0]
    assert (status, reason) == (ended["status"], ended["reason"])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("CUDA error: out of memory"), "cuda_oom"),
        (RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "cuda_oom"),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), "host_oom"),
        (MemoryError(), "host_oom"),
        (RuntimeError("shape mismatch"), ""),
    ],
)
def test_memory_failures_are_told_by_type_or_words(error: Exception, reason: str) -> None:
    """Asynchronous CUDA failures do not come as OutOfMemoryError."""
    assert reason == worker.out_of_memory(error)


def test_a_process_that_was_not_forked_may_use_its_gpu() -> None:
    """Whether or not it has one."""
    assert worker.may_use_gpu()


def test_what_is_loaded_for_all_attempts_exists() -> None:
    """A name that is none would turn warm workers off."""
    assert all(importlib.util.find_spec(name) for name in worker._PRELOADED)


def test_every_setting_is_read_by_the_worker() -> None:
    """The original experiment searched two betas that nothing used; here that fails a test."""
    sources = [
        inspect.getsource(module)
        for module in (
            train,
            transformer,
            trial,
            soft_loss,
            tiny,
            tiny_sizes,
            mlp,
            bilstm,
            linear,
            linear_sizes,
            terms,
            table,
        )
    ]
    sources += [
        inspect.getsource(module)
        for module in (selection, widths, hidden_loss, layer_pairs, sparsity, stages, schedule, pretrain)
    ]
    sources += [inspect.getsource(sys.modules[one.__module__]) for one in (plan_student, Transformer, BottleneckFamily)]
    text = "\n".join(sources)
    weights = {term.key for term in TERMS.values()}
    unread = {field.name for field in dataclasses.fields(Settings) if f"settings.{field.name}" not in text}
    assert {"recipe"} == unread - weights  # a name for other settings


def test_a_damaged_checkpoint_costs_time_and_not_the_trial(prepared: tuple[Path, AttemptSpec], tmp_path: Path) -> None:
    """A resume from changed bytes starts over, says so, and ends complete."""
    root, spec = prepared
    broken = tmp_path / "last-00000003"
    broken.mkdir()
    (broken / "model.safetensors").write_bytes(b"not what was written")
    (broken / "state.json").write_text(json.dumps({"position": {"step": 3}, "sha256": "0" * 64}))
    code = work(root / "damaged", dataclasses.replace(spec, attempt=2, resume_from=str(broken)))
    assert ev.EXIT_COMPLETE == code
    said = [event["text"] for event in events(root / "damaged", ev.NOTICE)]
    assert any("Training restarts" in text for text in said)
