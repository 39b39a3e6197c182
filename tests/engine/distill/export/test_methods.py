"""Every method that makes an encoder smaller, through trial, promotion and a question in one clean process."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import make_checkpoint
from transformers import AutoTokenizer

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import CHECKPOINT, EventWriter, parse_event
from bertdistill.engine.contract.folder import RunPaths, file_sha256
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import (
    SUPERNET,
    DataSpec,
    Device,
    Settings,
    StudentSpec,
    SupernetSpec,
    TeacherSpec,
)
from bertdistill.engine.contract.terms import CLS, LOGITS
from bertdistill.engine.distill.compression.weights import tensor_bytes
from bertdistill.engine.distill.export import onnx_file, promotion
from bertdistill.engine.distill.export.answer import ask
from bertdistill.engine.distill.export.promotion import verify
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.trial import run_trial
from bertdistill.engine.families.supernet import architecture
from bertdistill.engine.families.table import FAMILIES, weights_of
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

CPU = torch.device("cpu")
ROWS = [
    (f"a {word} film {n}", f"it was {word} to the end", label)
    for n in range(12)
    for word, label in (("good", "pos"), ("dull", "neg"))
]
COMMON: dict[str, Any] = {"batch_size": 8, "epochs": 1.0, "evaluations": 1, "learning_rate": 1e-3, "precision": "fp32"}
ONE_OF_FOUR = {"sparsity": 0.25, "pruning_scope": "heads-and-neurons"}
METHODS: dict[str, dict[str, Any]] = {
    "PKD": {"hidden_weight": 10.0},
    "TinyBERT": {"layers": 1, "states_weight": 0.1, "attention_weight": 0.01},
    "MiniLM": {"layers": 1, "heads": 2, "relation_weight": 0.1, "relation_heads": 4},
    "ffn_size": {"ffn_size": 24, "ffn_choice": "global"},
    "ffn_list": {"ffn_choice": "list", "ffn_list": [40, 16]},
    "hidden_size": {"hidden_size": 20},
    "embedding_rank": {"embedding_rank": 5},
    "cut vocabulary": {"vocab_size": 66},
    "new vocabulary": {"vocab_size": 66, "vocabulary": "new"},
    "MobileBERT with a new vocabulary": {
        "family": "bottleneck",
        "vocab_size": 66,
        "vocabulary": "new",
        "hidden_weight": 10.0,
    },
    "fp16": {"weights": "fp16"},
    "int8": {"weights": "int8"},
    "int4": {"weights": "int4-embeddings"},
    "magnitude": {"pruning": "magnitude", "sparsity": 0.4},
    "gradual": {"pruning": "gradual", "sparsity": 0.4, "weights": "int8"},
    "movement": {"pruning": "movement", "sparsity": 0.4},
    "iterative (NIP)": {"pruning": "iterative", "pruning_rounds": 2, "sparsity": 0.4},
    "proximal (RPP)": {"pruning": "proximal", "sparsity": 0.4},
    "random": {"pruning": "random", "pruning_when": "after", "sparsity": 0.4},
    "gradual, heads and neurons": {"pruning": "gradual", **ONE_OF_FOUR},
    "movement, heads and neurons": {"pruning": "movement", "weights": "int8", **ONE_OF_FOUR},
    "separate_layers": {"separate_layers": 1, "states_weight": 0.1, "compared_layers": "joint"},
    "together": {
        "separate_layers": 1,
        "ffn_size": 24,
        "hidden_size": 20,
        "vocab_size": 66,
        "weights": "int4-embeddings",
        "pruning": "gradual",
        **ONE_OF_FOUR,
    },
}
SUPERNET_METHODS: dict[str, dict[str, Any]] = {
    "supernet": {"heads": 2, "ffn_size": 24, "vocab_size": 66},
    "supernet, alone": {"layers": 1, "heads": 2},
}
"""Of a preparation of their own, in which only students with both layers are trained together."""
SUPERNET_SPEC = SupernetSpec(epochs=1.0, screen=2)
QUESTION = {"text": "a good film 3", "pair": "it was good to the end"}
"""As `ask` wants it."""
PROMOTE_ALL = """
import json, sys
from pathlib import Path
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.distill import worker
from bertdistill.engine.distill.export import onnx_file, promotion
from bertdistill.engine.distill.export.answer import ask

promotion.MEASURED = set()  # times take most of it, and are those of other tests
onnx_file.missing_for_onnx = lambda: ["what the test does without"]
question, found = json.loads(sys.argv[1]), {}
for name in sys.argv[2:]:
    folder = Path(name)
    code = worker.main([str(folder)])
    target = json.loads(RunPaths(folder).spec.read_text())["promote"]["target"]
    found[name] = [code, ask(Path(target), question) if code == 0 else None]
print(json.dumps(found))
"""


@dataclasses.dataclass(frozen=True)
class Done:
    """A trial."""

    spec: AttemptSpec
    metrics: dict[str, float]
    best: dict[str, Any]

    @property
    def folder(self) -> Path:
        return Path(self.best["folder"])


def attempt(spec: AttemptSpec, folder: Path) -> Run:
    folder.mkdir(parents=True)
    return Run(spec, RunPaths(folder), EventWriter(RunPaths(folder).events), threading.Event(), CPU)


@pytest.fixture(scope="module", name="done")
def _done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """A trial of each method, of one preparation."""
    root = tmp_path_factory.mktemp("methods")
    for part in ("train", "report"):
        lines = ["sentence1,sentence2,label", *(",".join(row) for row in ROWS)]
        (root / f"{part}.csv").write_text("\n".join(lines).replace("film", "film" if part == "train" else "play"))
    texts = [text for row in ROWS for text in row[:2]]
    teacher = make_checkpoint(root / "teacher", "bert", layers=2, head="cls", texts=[*texts, "words without any use"])
    spec = AttemptSpec(
        kind="prepare",
        study="methods",
        task=TEXT_CLASSIFICATION,
        data=DataSpec(
            train=str(root / "train.csv"),
            report=str(root / "report.csv"),
            search_fraction=0.4,
            max_length=32,
            labels=["neg", "pos"],
        ),
        teacher=TeacherSpec(model=str(teacher)),
        student=StudentSpec(importance_examples=8),
        settings=Settings(**COMMON),
        device=Device(),
        caches=str(root / "caches"),
        signals=[CLS, LOGITS],
        families=["transformer", "bottleneck"],
        vocabularies={"cut": [66], "new": [66]},
        neurons=True,
        projection=True,
        trial=3,
        select_metric="accuracy",
    )
    nets = [architecture(Settings(heads=heads, ffn_size=24, vocab_size=66)) for heads in (2, 4)]
    start = StudentSpec(SUPERNET, importance_examples=8)
    shared = dataclasses.replace(spec, student=start, families=["transformer"], nets=nets, supernet=SUPERNET_SPEC)
    shared = dataclasses.replace(shared, kind="trial", prepared=prepare(attempt(shared, root / "shared")))
    spec = dataclasses.replace(spec, kind="trial", prepared=prepare(attempt(spec, root / "prepare")))
    trials = {name: trial(spec, Settings(**COMMON | own), root / name) for name, own in METHODS.items()}
    return trials | {
        name: trial(shared, Settings(**COMMON | own), root / name) for name, own in SUPERNET_METHODS.items()
    }


def trial(spec: AttemptSpec, settings: Settings, folder: Path) -> Done:
    known = known_of(spec, settings)
    spec = dataclasses.replace(spec, settings=settings, expected_params=int(known["params"]))
    run = attempt(spec, folder)
    metrics = run_trial(run)
    parsed = [parse_event(line) for line in run.paths.events.read_bytes().splitlines()]
    best = [one for one in parsed if one and one["k"] == CHECKPOINT and one["role"] == "best"]
    where = run.paths.folder / best[-1]["folder"]  # it is named relative to the folder of the run
    return Done(spec, metrics, best[-1] | {"folder": str(where)})


def known_of(spec: AttemptSpec, settings: Settings) -> dict[str, float]:
    """What is known before the training."""
    family, task = FAMILIES[settings.family], TASKS[spec.task]
    plan = family.plan(spec.prepared, settings, scratch=False)
    size = family.contents(plan, task, spec.prepared).bytes(weights_of(settings))
    return family.known(plan, task, spec.prepared) | {"bytes": size}


def test_sizes_are_those_that_were_known_before(done: dict[str, Done]) -> None:
    """Parameters, those that are not 0, and the bytes of the file."""
    for name, one in done.items():
        known = known_of(one.spec, one.spec.settings)
        assert known["params"] == one.metrics["params"], name
        assert known["bytes"] == tensor_bytes(one.folder / "model.safetensors"), name
        if name.startswith("proximal"):
            assert "nonzero_params" not in known
        else:
            assert known["nonzero_params"] == one.metrics["nonzero_params"], name


def test_promoted_and_asked_in_a_clean_process(done: dict[str, Done], tmp_path: Path) -> None:
    """Every model is verified as it was recorded, and answers there as it does here."""
    folders = {}
    for number, (name, one) in enumerate(done.items()):
        paths = RunPaths(tmp_path / f"run-{number}")
        paths.folder.mkdir()
        target = tmp_path / f"v{number}"
        order = Promotion(one.folder, one.best["sha256"], target, "tiny", 1, one.metrics, samples=5)
        dataclasses.replace(one.spec, kind="promote", promote=order).write(paths.spec)
        folders[name] = paths.folder
    command = [sys.executable, "-P", "-c", PROMOTE_ALL, json.dumps(QUESTION), *map(str, folders.values())]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert 0 == ran.returncode, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    for number, (name, one) in enumerate(done.items()):
        code, answer = found[str(folders[name])]
        assert 0 == code, (name, RunPaths(folders[name]).events.read_text()[-600:])
        report = json.loads((folders[name] / "report.json").read_text())
        assert "" == report["problem"], name
        assert one.metrics["accuracy"] == report["accuracy_repeated"], name
        here = ask(tmp_path / f"v{number}", QUESTION)
        assert answer["label"] == here["label"], name
        assert answer["probabilities"] == pytest.approx(here["probabilities"]), name


def test_a_promotion_removes_what_pruning_of_single_weights_has_emptied(
    done: dict[str, Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sizes are those of the smaller model, the answers those of the whole one, and the card says so."""
    monkeypatch.setattr(onnx_file, "missing_for_onnx", lambda: ["what the test does without"])
    monkeypatch.setattr(promotion, "MEASURED", set())
    one = done["proximal (RPP)"]
    model = load_model(one.folder)
    layer: Any = standalone.layers_of(model.net)[0]
    size = layer.attention.self.attention_head_size
    with torch.no_grad():
        layer.attention.output.dense.weight[:, :size] = 0
        layer.output.dense.weight[:, 3] = 0
    emptied = tmp_path / "emptied"
    model.save(emptied, AutoTokenizer.from_pretrained(one.spec.prepared.teacher_folder))
    order = Promotion(emptied, file_sha256(emptied / "model.safetensors"), tmp_path / "v1", "tiny", 1, {}, samples=5)
    run = attempt(dataclasses.replace(one.spec, kind="promote", promote=order), tmp_path / "run")
    found = verify(run.spec, run.events, run.paths, device=CPU)["metrics"]
    smaller = load_file(tmp_path / "v1" / "model.safetensors")
    assert found["params"] == sum(tensor.numel() for tensor in smaller.values())
    width = model.net.config.hidden_size  # type: ignore[union-attr]  # of transformers
    assert found["params"] == one.metrics["params"] - (3 * size * (width + 1) + size * width) - (2 * width + 1)
    linears = [tensor for name, tensor in smaller.items() if ".layer." in name and tensor.ndim == 2]
    assert found["nonzero_params"] == found["params"] - sum(int((tensor == 0).sum()) for tensor in linears)
    card = (tmp_path / "v1" / "README.md").read_text(encoding="utf-8")
    assert "neurons that pruning left without effect were removed" in card
    answers = [ask(folder, QUESTION)["probabilities"] for folder in (emptied, tmp_path / "v1")]
    assert answers[0] == pytest.approx(answers[1], abs=1e-6)
