"""Pre-training in trials: once for all that would do the same, resumed to the last bit, rebuilt when damaged."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file
from tests.engine.distill.training.jobs import StopAfter
from tests.preparing import LINES, make_run, split_report
from tests.tiny import TEXTS, make_checkpoint
from transformers import AutoTokenizer, BertConfig, BertForPreTraining

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import CHECKPOINT, METRICS_LOGGED, NOTICE, PROGRESS, EventWriter, parse_event
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import DataSpec, PretrainSpec, Settings, TeacherSpec
from bertdistill.engine.demo.questions import write_demo
from bertdistill.engine.distill.data.caches import lock_of
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.export.answer import classify
from bertdistill.engine.distill.export.promotion import verify
from bertdistill.engine.distill.families.encoder import ENCODERS
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.pretraining import pretrain as module
from bertdistill.engine.distill.pretraining.network import masked_model
from bertdistill.engine.distill.run import Run, Stopped
from bertdistill.engine.distill.trial import run_trial
from bertdistill.engine.distill.vocabularies import for_trial
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.tasks.text_classification import TASK

CPU = torch.device("cpu")
SETTINGS = Settings(
    layers=1,
    hidden_size=16,
    head_size=8,
    batch_size=16,
    epochs=1.0,
    finetune_epochs=1.0,
    evaluations=2,
    learning_rate=1e-3,
    finetune_learning_rate=5e-3,
    pretrain_epochs=2.0,
    pretrain_learning_rate=1e-2,
    pretrain_batch_size=16,
    precision="fp32",
)
STEPS = 8
"""Of the pre-training: 54 texts in four batches, twice. Then four of distillation and four of fine-tuning."""


@pytest.fixture(scope="module", name="spec")
def _spec(tmp_path_factory: pytest.TempPathFactory) -> AttemptSpec:
    """Of a trial, after a preparation that collected the training texts."""
    root = tmp_path_factory.mktemp("study")
    teacher = make_checkpoint(root / "teacher", "bert", head="cls", texts=[*LINES, *TEXTS])
    run = split_report(make_run(root / "run", TeacherSpec(model=str(teacher))))
    wanted = {
        "pretrain": [PretrainSpec("train")],
        "families": ["transformer"],
        "vocabularies": {"cut": [95]},
    }
    spec = dataclasses.replace(run.spec, **wanted)
    facts = prepare(dataclasses.replace(run, spec=spec))
    # As a later runner reads them.
    facts = Prepared.from_dict(json.loads(json.dumps(facts.to_dict())))
    return dataclasses.replace(spec, kind="trial", trial=0, prepared=facts, select_metric="accuracy", settings=SETTINGS)


def attempt(spec: AttemptSpec, folder: Path, stop: Any = None, **settings: Any) -> Run:
    """An attempt whose caches of trials are beside its folder."""
    folder.mkdir(parents=True)
    paths = RunPaths(folder)
    changed = dataclasses.replace(spec.settings, **settings)
    own = dataclasses.replace(spec, settings=changed, caches=str(folder.parent / "caches"))
    return Run(own, paths, EventWriter(paths.events), stop or threading.Event(), CPU)


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    found = [parse_event(line) for line in run.paths.events.read_bytes().splitlines()]
    return [event for event in found if event and event["k"] == kind]


def curve(run: Run, series: str) -> dict[int, float]:
    logged = events(run, METRICS_LOGGED)
    return {event["step"]: event["values"][series] for event in logged if series in event["values"]}


def made(folder: Path) -> list[Path]:
    """The finished results of pre-training beside an attempt."""
    kept = sorted((folder / "caches" / "pretrained").glob("[0-9a-f]*"))
    return [one for one in kept if one.is_dir() and not one.suffix]


def test_equal_students_are_pretrained_once(spec: AttemptSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their dropout, losses and rates: the second starts from the same weights and shows the same curve."""
    first = attempt(spec, tmp_path / "first")
    metrics = run_trial(first)
    monkeypatch.setattr(module, "train", lambda job: pytest.fail("it was trained again"))
    second = attempt(spec, tmp_path / "second", dropout=0.3, alpha=0.9, learning_rate=1e-4, batch_size=8)
    run_trial(second)
    (folder,) = made(tmp_path)
    assert ["manifest.json", "curve.jsonl", "encoder.safetensors", "state.json"] == sorted(
        (one.name for one in folder.iterdir()), key=lambda name: (name != "manifest.json", name)
    )
    assert [folder] == [one for one in folder.parent.iterdir() if one.is_dir()]  # its checkpoints are gone
    losses = curve(first, "train/mlm")
    assert sorted(losses) == list(range(1, STEPS + 1))
    assert losses[STEPS] < losses[1]
    assert len(curve(first, "train/mlm_held_out")) == 4
    assert losses == curve(second, "train/mlm")
    assert any("was done before" in event["text"] for event in events(second, NOTICE))
    assert "pre-training" in {event["phase"] for event in events(first, PROGRESS)}
    assert all("/checkpoints/" in event["folder"] for event in events(first, CHECKPOINT))
    seconds = json.loads((folder / "state.json").read_text())["seconds"]
    assert metrics["train_minutes"] * 60 > seconds > 0


def test_the_student_has_these_weights_and_no_head(spec: AttemptSpec, tmp_path: Path) -> None:
    """Its size is what was known before; the head of the pre-training is in no file; the task's head is the seed's."""
    run = attempt(spec, tmp_path / "run")
    before, student = (ENCODERS.build(run.spec) for _ in range(2))
    module.pretrain(run, student)
    known = TRANSFORMER.known(
        TRANSFORMER.plan(run.spec.prepared, run.spec.settings, scratch=True), TASK, run.spec.prepared
    )
    assert known["params"] == sum(one.numel() for one in student.net.parameters())
    stored = load_file(made(tmp_path)[0] / "encoder.safetensors")
    mine, initial = student.net.state_dict(), before.net.state_dict()
    assert mine.keys() == initial.keys()
    for name, tensor in mine.items():
        own = stored.get(name.removeprefix("bert."))
        assert torch.equal(tensor, initial[name] if own is None else own)
    assert {name for name in mine if name.removeprefix("bert.") not in stored} == {
        *("bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias")
    }
    changed = [name for name in stored if not torch.equal(stored[name], initial[f"bert.{name}"])]
    assert "embeddings.word_embeddings.weight" in changed


@pytest.mark.parametrize("asks", [1, 4, 7])
def test_a_stopped_pretraining_continues_in_another_trial(spec: AttemptSpec, tmp_path: Path, asks: int) -> None:
    """To the last bit, with the same curve."""
    whole = attempt(spec, tmp_path / "a" / "whole")
    module.pretrain(whole, ENCODERS.build(whole.spec))
    stopped = attempt(spec, tmp_path / "b" / "stopped", stop=StopAfter(asks + 2))  # two are asked while tokenising
    with pytest.raises(Stopped):
        module.pretrain(stopped, ENCODERS.build(stopped.spec))
    assert not made(tmp_path / "b")
    (begun,) = (tmp_path / "b" / "caches" / "pretrained").glob("*.training")
    assert (begun / "checkpoints" / "last").exists()
    with (begun / "curve.jsonl").open("a") as file:
        file.write('[3, {"train/ml')  # killed in the middle of a line
    other = attempt(spec, tmp_path / "b" / "other", dropout=0.5)
    module.pretrain(other, ENCODERS.build(other.spec))
    one, two = ((made(tmp_path / name)[0] / "encoder.safetensors").read_bytes() for name in "ab")
    assert one == two
    assert curve(whole, "train/mlm") == curve(other, "train/mlm")


@pytest.mark.parametrize("asks", [2, 7])
def test_a_trial_resumes_in_each_phase(
    spec: AttemptSpec, tmp_path: Path, asks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Distillation and fine-tuning continue to the last bit, and need the pre-training no more."""
    whole = attempt(spec, tmp_path / "whole")
    run_trial(whole)
    stop = StopAfter(10**6)

    def pretrained(run: Run, student: Any, do: Callable[..., float] = module.pretrain) -> float:
        seconds = do(run, student)
        stop.asks = asks
        return seconds

    stopped = attempt(spec, tmp_path / "stopped", stop=stop)
    monkeypatch.setattr(module, "pretrain", pretrained)  # which a trial imports when it needs it
    with pytest.raises(Stopped):
        run_trial(stopped)
    monkeypatch.undo()
    shutil.rmtree(made(tmp_path)[0])
    last = str(stopped.paths.last.resolve())
    assert (4 <= int(last[-8:])) == (asks == 7)
    resumed = attempt(dataclasses.replace(spec, resume_from=last), tmp_path / "resumed")
    run_trial(resumed)
    assert not made(tmp_path)
    assert curve(whole, "train/loss") == curve(stopped, "train/loss") | curve(resumed, "train/loss")
    ended = resumed if resumed.paths.best.exists() else stopped
    one, two = ((run.paths.best / "model.safetensors").read_bytes() for run in (whole, ended))
    assert one == two


def test_a_damaged_result_is_made_again(spec: AttemptSpec, tmp_path: Path) -> None:
    first = attempt(spec, tmp_path / "first")
    module.pretrain(first, ENCODERS.build(first.spec))
    path = made(tmp_path)[0] / "encoder.safetensors"
    right = path.read_bytes()
    path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    second = attempt(spec, tmp_path / "second")
    module.pretrain(second, ENCODERS.build(second.spec))
    assert any("does not match its checksum; it is rebuilt" in event["text"] for event in events(second, NOTICE))
    assert right == path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 7},
        {"mask_probability": 0.3},
        {"pretrain_epochs": 1.0},
        {"pretrain_max_length": 8},
        {"ffn_size": 24},
        {"vocab_size": 95},
    ],
)
def test_what_changes_the_result_changes_its_key(spec: AttemptSpec, tmp_path: Path, change: dict[str, Any]) -> None:
    keys = []
    for name, more in (("plain", {}), ("changed", change)):
        run = for_trial(attempt(spec, tmp_path / name, **more))
        keys.append(module._wanted(run, ENCODERS.build(run.spec)).key)
    assert keys[0] != keys[1]


def test_a_waiting_trial_can_be_stopped(spec: AttemptSpec, tmp_path: Path) -> None:
    """While another one makes the same; it reports what it waits for."""
    run = attempt(spec, tmp_path / "run")
    student = ENCODERS.build(run.spec)
    folder = tmp_path / "caches" / "pretrained" / module._wanted(run, student).key
    folder.parent.mkdir(parents=True)
    with FileLock(lock_of(folder)):
        run.stop.set()
        with pytest.raises(Stopped):
            module.pretrain(run, student)
    assert not folder.exists()


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_without_room_is_refused(spec: AttemptSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is written."""
    run = attempt(spec, tmp_path / "run")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 50_000))
    with pytest.raises(ConfigError, match=r"pre-training [0-9,]+ weights takes 0.00 GB while it runs, and .* 0.00 GB"):
        module.pretrain(run, ENCODERS.build(run.spec))
    assert not made(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"vocab_size": 95, "ffn_size": 24, "embedding_rank": 8},
        {"vocab_size": 95, "family": "bottleneck", "normalization": "layer_norm"},
    ],
)
def test_a_pretrained_student_is_promoted_and_asked(spec: AttemptSpec, tmp_path: Path, change: dict[str, Any]) -> None:
    """As any other: whole, with its own vocabulary, narrower and with embeddings of low rank, or a MobileBERT."""
    run = attempt(spec, tmp_path / "run", **change)
    metrics = run_trial(run)
    best = [event for event in events(run, CHECKPOINT) if event["role"] == "best"][-1]
    order = Promotion(
        checkpoint=run.paths.folder / best["folder"],
        sha256=best["sha256"],
        target=tmp_path / "v1",
        name="tiny",
        version=1,
        recorded=metrics,
        samples=4,
    )
    again = attempt(dataclasses.replace(run.spec, kind="promote", promote=order), tmp_path / "verification")
    found = verify(again.spec, again.events, again.paths, stop=again.stop, device=CPU)
    assert ("", metrics["accuracy"]) == (found["report"]["problem"], found["metrics"]["accuracy"])
    assert not [
        name for name in load_file(order.target / "model.safetensors") if "predictions" in name or "head." in name
    ]
    assert classify(order.target, "a good film")["label"] in ("pos", "neg")
    if run.spec.settings.family == "bottleneck":
        padding = load_file(made(tmp_path)[0] / "encoder.safetensors")["embeddings.word_embeddings.weight"][0]
        assert not padding.any()
    card = (order.target / "README.md").read_text()
    assert "pretrain_epochs" in card
    assert "finetune_epochs" in card


def published(folder: Path, texts: list[str]) -> Path:
    """A checkpoint as the 24 published ones are: TensorFlow's names of LayerNorms, a head, vocab.txt alone."""
    plain = make_checkpoint(folder, "bert", texts=texts)
    config = BertConfig.from_pretrained(plain)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        weights = BertForPreTraining(config).state_dict()
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    tensors = {}
    for name, tensor in weights.items():
        if "decoder" not in name:  # the tied matrix and its bias are stored once
            new = next((name.replace(now, then) for now, then in old.items() if now in name), name)
            tensors[new] = tensor + torch.arange(tensor.numel()).view(tensor.shape) * 1e-4
    save_file(tensors, plain / "model.safetensors", metadata={"format": "pt"})
    vocabulary = AutoTokenizer.from_pretrained(plain).get_vocab()
    for path in plain.glob("tokenizer*"):
        path.unlink()
    (plain / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)) + "\n")
    return plain


def test_a_published_checkpoint_is_pretrained_further(tmp_path: Path) -> None:
    """With its own tokens and its own head, whatever its LayerNorms are called."""
    init = published(tmp_path / "published", [*LINES, *TEXTS])
    teacher = make_checkpoint(tmp_path / "teacher", "bert", head="cls", texts=[*LINES, *TEXTS])
    run = split_report(make_run(tmp_path / "run", TeacherSpec(model=str(teacher)), init=str(init)))
    own = dataclasses.replace(run.spec, pretrain=[PretrainSpec("train")], families=["transformer"])
    facts = prepare(dataclasses.replace(run, spec=own))
    settings = Settings(pretrain_epochs=0.5, epochs=0.5, evaluations=1, precision="fp32")
    trial = dataclasses.replace(own, kind="trial", prepared=facts, select_metric="accuracy", settings=settings)
    net = masked_model(ENCODERS.build(trial), init, seed=1).net
    stored = load_file(init / "model.safetensors")
    norm = "encoder.layer.1.output.LayerNorm"
    assert torch.equal(stored[f"bert.{norm}.gamma"], net.encoder.state_dict()[f"{norm}.weight"])
    head = "cls.predictions.transform"
    theirs = [f"{head}.dense.weight", f"{head}.LayerNorm.gamma", f"{head}.LayerNorm.beta", "cls.predictions.bias"]
    mine = [net.head.dense.weight, net.head.norm.weight, net.head.norm.bias, net.head.bias]
    assert all(torch.equal(stored[name], one) for name, one in zip(theirs, mine, strict=True))
    assert 0 <= run_trial(attempt(trial, tmp_path / "trial"))["accuracy"] <= 100


def test_a_student_of_questions_with_a_smaller_vocabulary(tmp_path: Path) -> None:
    """Cut from a DistilBERT without segments, pre-trained on passages and questions in its own pieces."""
    files = write_demo(tmp_path / "data", articles=3, passages=8)
    texts = [
        text
        for part in (files.train, files.report)
        for text in re.findall(r'"(?:context|question)": "(.*?)"', part.read_text())
    ]
    teacher = make_checkpoint(tmp_path / "teacher", "distilbert", head="qa", texts=[*texts, *TEXTS], positions=96)
    run = make_run(tmp_path / "run", TeacherSpec(model=str(teacher)), init="teacher", labels=())
    own = dataclasses.replace(
        run.spec,
        task="question-answering",
        data=DataSpec(train=str(files.train), report=str(files.report), max_length=64, doc_stride=16),
        families=["transformer"],
        vocabularies={"cut": [150]},
        pretrain=[PretrainSpec("train")],
    )
    facts = prepare(dataclasses.replace(run, spec=own))
    settings = Settings(
        layers=1, vocab_size=150, pretrain_epochs=1, pretrain_max_length=24, epochs=0.5, evaluations=1, precision="fp32"
    )
    trial = dataclasses.replace(own, kind="trial", prepared=facts, select_metric="f1", settings=settings)
    done = attempt(trial, tmp_path / "trial")
    assert 0 <= run_trial(done)["f1"] <= 100
    losses = curve(done, "train/mlm")
    assert losses[max(losses)] < losses[1]
    (features,) = (open_features(one) for one in (tmp_path / "caches" / "features").glob("pretrain-*"))
    assert features.lengths.max() == 24
    assert len(features) > facts.corpus.texts
