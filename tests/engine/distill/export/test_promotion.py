"""Verification of a checkpoint: same file, same score, honest report split, fixed threshold, an export that works."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import make_checkpoint
from tests.workers import work

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import (
    CHECKPOINT,
    ENDED,
    EXIT_COMPLETE,
    EXIT_REFUSED,
    RESULT,
    EventWriter,
    parse_event,
)
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.metrics import LATENCIES
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import FP32, INT4, DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.distill.compression.weights import tensor_bytes
from bertdistill.engine.distill.export import promotion
from bertdistill.engine.distill.export.answer import ask
from bertdistill.engine.distill.export.onnx_file import missing_for_onnx
from bertdistill.engine.distill.export.onnx_int8 import NAME, wide_matrices
from bertdistill.engine.distill.export.promotion import (
    LOOSE_TOLERANCE,
    TOLERANCE,
    Mismatch,
    disagreements,
    verify,
)
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run, Stopped
from bertdistill.engine.distill.trial import run_trial
from bertdistill.engine.families.encoder_plan import Shape, plan_student
from bertdistill.engine.families.encoder_sizes import plan_metrics
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

QA, CLASSIFY = QUESTION_ANSWERING, TEXT_CLASSIFICATION
CPU = torch.device("cpu")
NAMES = ("ada", "bo", "cy", "di", "ed")
PLACES = ("the river", "the tree", "the bridge", "the stone")
SENTENCES = [f"{name} sleeps near {place}." for name in NAMES for place in PLACES]


@dataclass(frozen=True)
class Trained:
    """A finished trial: its spec, what it recorded and the checkpoint that its events announce."""

    spec: AttemptSpec
    metrics: dict[str, float]
    checkpoint: dict[str, Any]

    def order(self, target: Path, **changes: Any) -> AttemptSpec:
        order = Promotion(
            checkpoint=Path(self.checkpoint["folder"]),
            sha256=self.checkpoint["sha256"],
            target=target,
            name="tiny",
            version=3,
            recorded=self.metrics,
            samples=40,
        )
        return replace(self.spec, kind="promote", promote=replace(order, **changes))


def write_squad(path: Path, seed: int) -> None:
    """Five articles of one passage with answerable and unanswerable questions."""
    draw, articles = random.Random(seed), []
    for number in range(5):
        facts = draw.sample(SENTENCES, 4)
        context, questions = " ".join(facts), []
        for i, fact in enumerate(facts):
            name, place = fact.split(" sleeps near ")[0], fact.split(" near ")[1][:-1]
            start = context.index(fact) + fact.index(place)
            answers = [] if i == 0 else [{"text": place, "answer_start": start}]
            question = f"Where does {name} sleep?"
            questions.append({"id": f"{number}-{i}", "question": question, "answers": answers, "is_impossible": i == 0})
        articles.append({"title": f"t{number}", "paragraphs": [{"context": context, "qas": questions}]})
    path.write_text(json.dumps({"version": "v2.0", "data": articles}))


def write_reviews(path: Path, seed: int) -> None:
    draw = random.Random(seed)
    lines = [f"a {draw.choice(('good', 'wonderful'))} {draw.choice(NAMES)} story;pos" for _ in range(20)]
    lines += [f"a {draw.choice(('bad', 'dull'))} {draw.choice(NAMES)} story;neg" for _ in range(20)]
    path.write_text("\n".join(lines) + "\n")


def attempt(spec: AttemptSpec, folder: Path) -> Run:
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    return Run(spec, paths, EventWriter(paths.events), threading.Event(), CPU)


def events_of(run: Run, kind: str) -> list[dict[str, Any]]:
    parsed = (parse_event(line) for line in run.paths.events.read_bytes().splitlines())
    return [event for event in parsed if event and event["k"] == kind]


def train(root: Path, task: str) -> Trained:
    """Prepare a study and run one trial of it, as a worker would."""
    write, suffix = (write_squad, "json") if task == QA else (write_reviews, "txt")
    data = DataSpec(
        train=str(root / f"train.{suffix}"),
        report=str(root / f"report.{suffix}"),
        search_fraction=0.4,
        max_length=64,
        doc_stride=16,
        max_question_length=16,
        labels=[] if task == QA else ["neg", "pos"],  # the teacher only numbers its classes
    )
    write(Path(data.train), 1)
    write(Path(data.report), 2)
    head = "qa" if task == QA else "cls"
    texts = [*SENTENCES, "Where does sleep?", "a good wonderful bad dull story"]
    teacher = make_checkpoint(root / "teacher", "bert", head=head, texts=texts)
    spec = AttemptSpec(
        kind="prepare",
        study="s",
        task=task,
        data=data,
        teacher=TeacherSpec(model=str(teacher)),
        student=StudentSpec(importance_examples=8),
        settings=Settings(
            layers=1,
            heads=3,
            batch_size=4,
            epochs=4.0,
            learning_rate=3e-3,
            evaluations=1,
            precision="fp32",
            weights=FP32 if task == QA else INT4,
        ),
        device=Device(),
        caches=str(root / "caches"),
        trial=7,
        select_metric=TASKS[task].scores[0],
    )
    spec = replace(spec, kind="trial", prepared=prepare(attempt(spec, root / "prepare")))
    run = attempt(spec, root / "trial")
    metrics = run_trial(run)
    best = [event for event in events_of(run, CHECKPOINT) if event["role"] == "best"]
    return Trained(spec, metrics, best[-1])


@pytest.fixture(scope="module", params=TASKS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("study"), request.param)


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("questions"), QA)


def promote(spec: AttemptSpec, folder: Path) -> dict[str, Any]:
    run = attempt(spec, folder)
    return verify(run.spec, run.events, run.paths, stop=run.stop, device=CPU)


def check_int8(report: dict[str, Any], folder: Path) -> None:
    """The file in 8 bits has scores of its own, in the report and in the card; without the packages there is none."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    if missing_for_onnx():
        assert "ONNX in 8 bits" not in card
        assert "onnx_int8_accuracy" not in report
        return
    assert (folder / NAME).stat().st_size == report["onnx_int8_bytes"]
    assert 0 <= report["onnx_int8_changed"] <= report["report_examples"]
    assert f"{report['onnx_int8_changed']:,} of {report['report_examples']:,}" in card
    assert [] == wide_matrices(folder / NAME, small=200)


def test_verified_model(tmp_path: Path, trained: Trained) -> None:
    """The recorded score is repeated, the report split scored with intervals around it, and the export answers."""
    task, first = trained.spec.task, TASKS[trained.spec.task].scores[0]
    found = promote(trained.order(tmp_path / "models" / "v3"), tmp_path / "run")
    report, metrics = found["report"], found["metrics"]
    assert "" == report["problem"]
    assert trained.metrics[first] == pytest.approx(report[f"{first}_repeated"], abs=TOLERANCE)
    assert trained.metrics["params"] == metrics["params"]
    assert {*LATENCIES, "throughput", "size_mb", *TASKS[task].scores} <= set(metrics)
    low, high = report["intervals"][first]
    assert low <= metrics[first] <= high
    assert (20 if task == QA else 40, 40) == (report["report_examples"], report["resamples"])
    assert report == json.loads((tmp_path / "run" / "report.json").read_text())
    assert len(json.loads((tmp_path / "run" / "predictions.json").read_text())) == report["report_examples"]
    folder = tmp_path / "models" / "v3"
    assert tensor_bytes(folder / "model.safetensors") == metrics["bytes"]
    assert metrics["compression"] == pytest.approx(4 * trained.spec.prepared.teacher_params / metrics["bytes"])
    if task == CLASSIFY:
        check_int8(report, folder)
    assert report["files"] == sorted(file.name for file in folder.iterdir())
    assert {"modeling.py", "model.safetensors", "README.md"} <= set(report["files"])
    request = {"question": "Where does ada sleep?", "passage": " ".join(SENTENCES[:4])}
    answer = ask(folder, request if task == QA else {"text": "a good ada story"})
    assert answer["best_span"] in request["passage"] if task == QA else answer["label"] in ("neg", "pos")


def test_a_pruned_model_keeps_its_zeros(tmp_path: Path, trained: Trained) -> None:
    """From the trial through the export, counted beside the dense size, and it answers as before."""
    settings = replace(trained.spec.settings, pruning="gradual", sparsity=0.5, epochs=1.0)
    run = attempt(replace(trained.spec, settings=settings), tmp_path / "trial")
    metrics = run_trial(run)
    best = [event for event in events_of(run, CHECKPOINT) if event["role"] == "best"][-1]
    found = promote(Trained(run.spec, metrics, best).order(tmp_path / "v1"), tmp_path / "run")
    assert "" == found["report"]["problem"]
    stored = load_file(tmp_path / "v1" / "model.safetensors")
    named = {name: tensor for name, tensor in stored.items() if ".layer." in name and tensor.ndim == 2}
    linears = [tensor for name, tensor in named.items() if not name.endswith(".scales")]
    zeros = sum(int((tensor == 0).sum()) for tensor in linears)
    assert zeros == sum(round(0.5 * tensor.numel()) for tensor in linears) > 0
    known = plan_metrics(
        plan_student(Shape.from_dict(run.spec.prepared.init_shape), settings, scratch=False),
        task=run.spec.task,
        labels=2,
        mean_length=9.0,
    )
    for place in (metrics, found["metrics"], known):
        assert (trained.metrics["params"], trained.metrics["params"] - zeros) == (
            place["params"],
            place["nonzero_params"],
        )
    assert "parameters that pruning has not set to 0" in (tmp_path / "v1" / "README.md").read_text()
    if run.spec.task == CLASSIFY:
        assert ask(tmp_path / "v1", {"text": "a good ada story"})["label"] in ("neg", "pos")


def test_threshold_is_that_of_the_search_split(tmp_path: Path, questions: Trained) -> None:
    """Neither verification nor report split tunes it: the recorded one is used, scored with and exported."""
    recorded = questions.metrics | {"null_threshold": -1e5}
    scores = {name: value for name, value in recorded.items() if name not in TASKS[QA].scores}
    spec = questions.order(tmp_path / "v1", recorded=scores | {"null_threshold": -1e5})
    found = promote(spec, tmp_path / "run")
    assert -1e5 == found["metrics"]["null_threshold"]
    assert (100.0, 0.0) == (found["metrics"]["no_answer_exact"], found["metrics"]["has_answer_exact"])
    assert -1e5 == json.loads((tmp_path / "v1" / "config.json").read_text())["null_threshold"]


def test_another_file_is_refused_before_anything_is_scored(tmp_path: Path, questions: Trained) -> None:
    """A checkpoint whose weights are not those recorded is not exported, and the report split not read."""
    copy = tmp_path / "copy"
    shutil.copytree(questions.checkpoint["folder"], copy)
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    with pytest.raises(Mismatch, match="not the recorded file"):
        promote(questions.order(tmp_path / "v1", checkpoint=copy), tmp_path / "run")
    assert not (tmp_path / "v1").exists()
    assert not (tmp_path / "run" / "predictions.json").exists()


def test_another_score_is_refused_unless_forced(tmp_path: Path, trained: Trained) -> None:
    """A record that the checkpoint does not reach is a mismatch; by force it is exported with a remark in the card."""
    first = TASKS[trained.spec.task].scores[0]
    better = trained.metrics | {first: trained.metrics[first] + 1}
    with pytest.raises(Mismatch, match=f"{first} on the validation split was recorded as"):
        promote(trained.order(tmp_path / "v1", recorded=better), tmp_path / "refused")
    assert not (tmp_path / "v1").exists()
    assert not (tmp_path / "refused" / "predictions.json").exists()
    assert first in json.loads((tmp_path / "refused" / "report.json").read_text())["problem"]
    found = promote(trained.order(tmp_path / "v1", recorded=better, force=True), tmp_path / "forced")
    assert first in found["report"]["problem"]
    assert "promoted by force" in (tmp_path / "v1" / "README.md").read_text()


def test_a_vanished_checkpoint_is_named(tmp_path: Path, questions: Trained) -> None:
    """The retention rule or a person may have removed it meanwhile."""
    with pytest.raises(ConfigError, match="gone"):
        promote(questions.order(tmp_path / "v1", checkpoint=tmp_path / "gone"), tmp_path / "run")


def test_a_missing_order_is_reported(tmp_path: Path, questions: Trained) -> None:
    """A spec without one is refused before anything is read."""
    with pytest.raises(ConfigError, match="promote is empty"):
        promote(replace(questions.spec, kind="promote", promote=None), tmp_path / "run")


def test_a_stop_leaves_nothing_behind(tmp_path: Path, questions: Trained) -> None:
    """SIGTERM during the verification ends it without an export."""
    run = attempt(questions.order(tmp_path / "v1"), tmp_path / "run")
    run.stop.set()
    with pytest.raises(Stopped):
        verify(run.spec, run.events, run.paths, stop=run.stop, device=CPU)
    assert ["run"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("precision", "device", "tolerance"),
    [
        ("float32", "cpu", TOLERANCE),
        ("", "", TOLERANCE),
        ("bfloat16", "", LOOSE_TOLERANCE),
        ("", "cuda", LOOSE_TOLERANCE),
    ],
)
def test_tolerance_follows_arithmetic_and_device(
    tmp_path: Path, questions: Trained, precision: str, device: str, tolerance: float
) -> None:
    """fp32 on the same kind of device must repeat; bf16 or another device may round differently."""
    found = promote(questions.order(tmp_path / "v1", precision=precision, device=device, force=True), tmp_path / "run")
    assert tolerance == found["report"]["tolerance"]
    assert (precision or "float32") == found["report"]["precision"]


def test_disagreements() -> None:
    """Only scores of the task count, not the threshold; within the tolerance is agreement, missing is not."""
    check: Callable[..., list[str]] = disagreements
    recorded = {"exact": 50.0, "f1": 60.0, "null_threshold": 1.0, "search_loss": 2.0}
    assert [] == check(QA, recorded, {"exact": 50.04, "f1": 59.96, "null_threshold": 9.0}, tolerance=0.05)
    assert ["exact on the validation split was recorded as 50.00 and is 50.06 now"] == check(
        QA, recorded, {"exact": 50.06, "f1": 60.0}, tolerance=0.05
    )
    assert ["f1 on the validation split was recorded as 60.00 and is missing now"] == check(
        QA, recorded, {"exact": 50.0}, tolerance=0.05
    )


def test_in_a_clean_process(tmp_path: Path, questions: Trained) -> None:
    """The worker verifies: exit code and events say how it went, and the model is there."""
    paths = RunPaths(tmp_path / "run")
    paths.folder.mkdir()
    questions.order(tmp_path / "model").write(paths.spec)
    command = [sys.executable, "-P", "-m", "bertdistill.engine.distill.worker", str(paths.folder)]
    done = subprocess.run(command, cwd=paths.folder, capture_output=True, text=True, check=False, timeout=300)
    assert EXIT_COMPLETE == done.returncode, done.stderr
    assert ("complete", 1, True) == (*ended(paths)[:2], (tmp_path / "model").is_dir())


def test_a_worker_says_why_it_refuses(tmp_path: Path, questions: Trained) -> None:
    """For a wrong record; nothing is exported."""
    spec = questions.order(tmp_path / "model", recorded=questions.metrics | {"exact": 101.0})
    assert EXIT_REFUSED == work(tmp_path / "run", spec)
    status, results, last = ended(RunPaths(tmp_path / "run"))
    assert ("refused", 0, False) == (status, results, (tmp_path / "model").exists())
    assert "recorded as 101.00" in last["detail"]
    assert promotion.Mismatch.__name__ == last["reason"]


def ended(paths: RunPaths) -> tuple[str, int, dict[str, Any]]:
    """How a worker ended, how many results it reported, and its last event."""
    events = [event for line in paths.events.read_bytes().splitlines() if (event := parse_event(line))]
    assert ENDED == events[-1]["k"]
    return events[-1]["status"], sum(event["k"] == RESULT for event in events), events[-1]
