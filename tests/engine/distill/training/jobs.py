"""A tiny training job for tests: spans over random tokens, with dropout, so that a lost random state would show."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForQuestionAnswering

from bertdistill.engine.contract.events import EventWriter, parse_event
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.training.train import Evaluation, Job

COUNT = 60
LENGTHS = np.random.default_rng(1).integers(4, 20, size=COUNT)


@dataclass
class StopAfter:
    """A stop flag that is set once it was asked so many times."""

    asks: int

    def is_set(self) -> bool:
        self.asks -= 1
        return self.asks < 0


NEVER = threading.Event()


def make_features() -> Features:
    generator = np.random.default_rng(2)
    total = int(LENGTHS.sum())
    starts = generator.integers(1, 4, size=COUNT)
    return Features(
        folder=Path(),
        input_ids=generator.integers(5, 60, size=total).astype(np.uint16),
        token_types=None,
        offsets=np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64),
        example_index=np.arange(COUNT, dtype=np.int32),
        targets=np.stack([starts, starts], axis=1).astype(np.int32),
        char_spans=None,
    )


def make_model(dropout: float = 0.1) -> Encoder:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=60,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    return Encoder(BertForQuestionAnswering(config))


def make_job(folder: Path, **changes: Any) -> Job:
    """A tiny distillation with dropout, so that a lost random state would show."""
    folder.mkdir(exist_ok=True)
    model = changes.get("model") or make_model()
    features = make_features()
    teacher = np.random.default_rng(3).normal(size=(len(features.input_ids), 2)).astype(np.float16)
    scores = iter(range(100))
    defaults: dict[str, Any] = {
        "model": model,
        "features": features,
        "settings": Settings(batch_size=8, epochs=3, evaluations=3, learning_rate=1e-3, accumulation=2),
        "paths": RunPaths(folder),
        "events": EventWriter(RunPaths(folder).events),
        "stop": NEVER,
        "device": torch.device("cpu"),
        "precision": torch.float32,
        "pad_id": 0,
        "evaluate": lambda: Evaluation(float(next(scores)), {"exact": 1.0}, {"predictions.json": "{}"}),
        "teacher": {LOGITS: teacher},
    }
    return Job(**{**defaults, **changes})


def weights(job: Job) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in job.model.net.state_dict().items()}


def events(job: Job, kind: str) -> list[dict[str, Any]]:
    parsed = [parse_event(line) for line in job.paths.events.read_bytes().splitlines()]
    return [event for event in parsed if event and event["k"] == kind]
