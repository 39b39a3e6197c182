"""A fit has the events and the checkpoint of a training, and can be stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.texts import made_features
from torch import nn

from bertdistill.engine.contract.events import CHECKPOINT, METRICS_LOGGED, PROGRESS, EventWriter, parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.model import Fitted, Outputs
from bertdistill.engine.distill.run import Stopped
from bertdistill.engine.distill.training.fit import fit, one_step
from bertdistill.engine.distill.training.train import Evaluation, Job

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Constant:
    """Gives everything the same logits, those that its fit was told."""

    net: nn.Linear = field(default_factory=lambda: nn.Linear(1, 2))
    inputs: frozenset[str] = frozenset()
    units: str = ""
    after: Callable[[], Any] = lambda: None

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        return Outputs(self.net.bias.expand(len(batch.rows), 2))

    def fit(self, features: Any, settings: Settings, teacher: Mapping[str, Any]) -> None:
        with torch.no_grad():
            self.net.bias.copy_(torch.tensor([0.0, 1.0]))
        self.after()

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
        save_file(self.net.state_dict(), folder / "model.safetensors")


def job(tmp_path: Path, model: Constant, stop: threading.Event, alpha: float = 0.0) -> Job:
    paths = RunPaths(tmp_path / "run")
    paths.folder.mkdir()
    features = made_features(tmp_path, [[5, 6], [7], [8, 9, 10], [5]], [1, 1, 0, -100])
    teacher = {LOGITS: np.zeros((4, 2), np.float16)} if alpha else {}
    return Job(
        model=model,
        features=features,
        settings=Settings(family="linear", alpha=alpha, temperature=1.0),
        paths=paths,
        events=EventWriter(paths.events),
        stop=stop,
        device=CPU,
        precision=torch.float32,
        pad_id=0,
        evaluate=lambda: Evaluation(70.0, {"accuracy": 70.0}, {"predictions.json": "{}"}),
        teacher=teacher,
    )


def events(one: Job, kind: str) -> list[dict[str, Any]]:
    lines = map(parse_event, one.paths.events.read_bytes().splitlines())
    return [event for event in lines if event and event["k"] == kind]


@pytest.mark.parametrize("alpha", [0.0, 0.25])
def test_a_fit_reports_like_a_training(tmp_path: Path, alpha: float) -> None:
    """The terms of the loss over all texts, the scores, and one checkpoint with the fitted weights."""
    model = Constant()
    assert isinstance(model, Fitted)
    one = job(tmp_path, model, threading.Event(), alpha)
    position = fit(one)
    logged = {name: value for event in events(one, METRICS_LOGGED) for name, value in event["values"].items()}
    odds = np.log1p(np.e)
    assert logged["train/hard_loss"] == pytest.approx(odds - 2 / 3)  # the text without a label does not count
    assert ("train/soft_loss" in logged) == bool(alpha)
    if alpha:
        assert logged["train/loss"] == pytest.approx(
            0.75 * logged["train/hard_loss"] + 0.25 * logged["train/soft_loss"]
        )
    assert (4, 70.0) == (logged["examples"], logged["search/accuracy"])
    [saved] = events(one, CHECKPOINT)
    assert ("best", 1, position.best_folder) == (saved["role"], saved["step"], saved["folder"])
    assert torch.equal(torch.tensor([0.0, 1.0]), load_file(Path(saved["folder"]) / "model.safetensors")["bias"])
    assert [0, 4] == [event["done"] for event in events(one, PROGRESS)]
    assert {"accuracy": 70.0} == position.best_metrics
    assert json.loads((Path(saved["folder"]) / "predictions.json").read_text()) == {}


def test_a_stop_during_the_fit_ends_it(tmp_path: Path) -> None:
    """Without a score or a checkpoint: the next attempt starts again."""
    stop = threading.Event()
    one = job(tmp_path, Constant(after=stop.set), stop)
    with pytest.raises(Stopped):
        fit(one)
    assert [] == events(one, CHECKPOINT)


def test_all_texts_are_one_step() -> None:
    """Whatever batches a training would have."""
    plan = one_step(5000)
    assert (1, 5000, (1,)) == (plan.steps, plan.examples(1), plan.evaluate_after)
