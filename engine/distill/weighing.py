"""What the preparation measures of the initial model on training examples, for students that are cut from it.

Importance of heads and neurons, and the projection of its hidden states: each computed once, cached, and only if a
trial may need it. Nothing is cut here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.distill.data.batches import Batch, by_length, collate, pad_edges
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.importance import importance_of, load_neurons, save_importance
from bertdistill.engine.distill.families.projection import projection_of
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.distill.run import Run, to_device
from bertdistill.engine.distill.training.checkpoints import model_sha256
from bertdistill.engine.distill.training.evaluate import features_for
from bertdistill.engine.distill.training.losses import losses_of
from bertdistill.engine.distill.training.terms.step import Step
from bertdistill.engine.distill.training.train import forward
from bertdistill.engine.families.widths import importance_blocks

TOKENS = 4096
HARD_ONLY = Settings(alpha=0.0)


@dataclass(frozen=True)
class Weighing:
    """The initial model (a folder, or "scratch") and the training examples in its tokens."""

    run: Run
    init: str
    features: Features
    labels: Sequence[str]
    pad_id: int

    def importance(self) -> str:
        """The folder of the importance of its heads and neurons.

        Empty if no trial needs it: from scratch, or if the study keeps all neurons and all heads or draws heads at
        random.
        """
        spec = self.run.spec
        if self.init == SCRATCH or not (spec.importance or spec.neurons):
            return ""
        more = {"neurons": True} if spec.neurons else {}  # without them the key is that of older caches

        def build(temporary: Path) -> None:
            model = self._model("the importance of heads and neurons")
            batches = self._batches(model, "importance")
            save_importance(temporary, importance_of(model.net, batches, _loss(model), neurons=spec.neurons))

        return str(build_once(self.run.caches / "importance" / self._key(**more), build, self.run.warn))

    def projection(self) -> str:
        """The folder of the projection of its hidden states; empty if every student has all of their size."""
        if self.init == SCRATCH or not self.run.spec.projection:
            return ""

        def build(temporary: Path) -> None:
            model = self._model("")

            def tokens(_: nn.Module, batch: Batch) -> Tensor:
                forward(model, batch, precision=torch.float32)
                return batch.attention_mask

            projection_of(model.net, self._batches(model, "projection"), tokens).save(temporary)

        return str(build_once(self.run.caches / "projection" / self._key(), build, self.run.warn))

    @property
    def _count(self) -> int:
        return min(self.run.spec.student.importance_examples, len(self.features))

    def _key(self, **more: Any) -> str:
        return cache_key(
            model=model_sha256(Path(self.init)), features=self.features.folder.name, count=self._count, **more
        )

    def _batches(self, model: Encoder, phase: str) -> Iterator[Batch]:
        """The examples in batches of similar length, with progress."""
        features, count = self.features, self._count
        seen, report, done = features_for(model, features), self.run.progress(phase, "examples"), 0
        chosen = np.sort(np.random.default_rng(0).choice(len(features), count, replace=False))
        edges = pad_edges(features.lengths)
        for part in by_length(features.lengths[chosen], TOKENS):
            done += len(part)
            report(done, count)
            yield collate(seen, chosen[part], edges=edges, pad_id=self.pad_id).to(self.run.device)

    def _model(self, purpose: str) -> Encoder:
        """The initial model with its task head; if `purpose` depends on a new random head, that is reported."""
        model = Encoder(self._with_head(purpose))
        to_device(model.net, self.run.device)
        return model

    def _with_head(self, purpose: str) -> PreTrainedModel:
        task = self.run.spec.task
        try:
            return load_encoder(self.init, task, self.labels, dropout=0.0, need_head=True)
        except ConfigError:
            if purpose:
                self.run.notice(
                    "warning",
                    f"{self.init} has no head for {task}, so {purpose} is computed with a random one, through which "
                    'gradients say less. It is not needed with head_choice = "random" and ffn_size = 0; '
                    'student.init = "teacher" has a head.',
                )
            return load_encoder(self.init, task, self.labels, dropout=0.0)


def blocks_in(folder: str) -> tuple[tuple[float, ...], ...]:
    """`Prepared.ffn_importance` of a folder with the importance of neurons."""
    return tuple(importance_blocks(layer) for layer in load_neurons(Path(folder)).tolist())


def _loss(model: Encoder) -> Callable[[nn.Module, Batch], Tensor]:
    def loss(_: nn.Module, batch: Batch) -> Tensor:
        return losses_of(Step(forward(model, batch, precision=torch.float32), batch, HARD_ONLY)).total

    return loss
