"""A family of two layers, as a newcomer would add it: the mean of word embeddings, one hidden layer, the labels."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.model import FAMILY, Outputs
from bertdistill.engine.distill.families.tiny_net import unpacked
from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.families.stored import Contents
from bertdistill.engine.tasks.task import Task

NAME = "two-layers"


@dataclass(frozen=True)
class Sizes:
    vocabulary: int
    hidden: int


@dataclass(frozen=True)
class TwoLayers:
    """The arithmetic."""

    name: str = NAME
    settings: frozenset[str] = TRAINING | {"hidden_size"}

    def fits(self, task: Task) -> bool:
        return not task.spans

    def start_idle(self, *, scratch: bool) -> frozenset[str]:
        return frozenset()

    def units(self, facts: Prepared, settings: Settings) -> str:
        return ""

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> Sizes:
        return Sizes(facts.teacher_shape["vocab_size"], settings.hidden_size or 8)

    def known(self, student: Hashable, task: Task, facts: Prepared) -> dict[str, float]:
        assert isinstance(student, Sizes)
        hidden, labels = student.hidden, task.logits(len(facts.labels))
        encoder = hidden * hidden + hidden
        params = student.vocabulary * hidden + encoder + hidden * labels + labels
        gflops = 2 * (hidden * hidden + hidden * labels) / 1e9
        return {"params": params, "encoder_params": encoder, "size_mb": params * 4 / 1e6, "gflops": gflops}

    def contents(self, student: Hashable, task: Task, facts: Prepared) -> Contents:
        assert isinstance(student, Sizes)
        hidden, labels = student.hidden, task.logits(len(facts.labels))
        return Contents(((hidden, hidden), (labels, hidden)), ((student.vocabulary, hidden),), hidden + labels)

    def idle(self, settings: Settings, student: Hashable) -> frozenset[str]:
        return self.settings - TRAINING


class Net(nn.Module):
    def __init__(self, vocabulary: int, hidden: int, labels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.inner, self.head = nn.Linear(hidden, hidden), nn.Linear(hidden, labels)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        words = self.embedding(ids) * mask[..., None]
        logits: torch.Tensor = self.head(torch.relu(self.inner(words.sum(1) / mask.sum(1, keepdim=True))))
        return logits


@dataclass(frozen=True)
class Model:
    """The network, called with a batch."""

    net: Net
    sizes: dict[str, int]
    inputs: frozenset[str] = field(default_factory=frozenset)
    units: str = ""

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        return Outputs(self.net(batch.input_ids, batch.attention_mask))

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({FAMILY: NAME, **self.sizes}), encoding="utf-8")
        save_file(self.net.state_dict(), folder / "model.safetensors")


class Builder:
    """Networks of the family."""

    def build(self, spec: AttemptSpec) -> Model:
        facts = spec.prepared
        sizes = TwoLayers().plan(facts, spec.settings, scratch=True)
        kept = {"vocabulary": sizes.vocabulary, "hidden": sizes.hidden, "labels": len(facts.labels)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(spec.settings.seed)
            return Model(Net(**kept), kept)

    def load(self, folder: Path) -> Model:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        sizes = {key: config[key] for key in ("vocabulary", "hidden", "labels")}
        model = Model(Net(**sizes), sizes)
        model.net.load_state_dict(unpacked(load_file(folder / "model.safetensors")))
        model.net.eval()
        return model
