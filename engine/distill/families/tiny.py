"""The families `mlp` and `bilstm` in the worker: built from a plan, called with a batch, saved and loaded.

Their networks are in `tiny_net`; it trains nothing and decides no sizes.
"""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import RANDOM
from bertdistill.engine.distill.data.units import frequent_ids
from bertdistill.engine.distill.families.model import Outputs
from bertdistill.engine.distill.families.saving import save_net
from bertdistill.engine.distill.families.seeded import seeded
from bertdistill.engine.distill.families.tiny_net import FAMILY, NETS, load_net
from bertdistill.engine.distill.families.vectors import load_vectors, reduce
from bertdistill.engine.families.bilstm import BILSTM, BiLstmPlan
from bertdistill.engine.families.mlp import MLP, MlpPlan

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.batches import Batch


@dataclass(frozen=True)
class TinyModel:
    """A network of one of the families. See `distill.families.model.Model`."""

    net: nn.Module
    config: dict[str, Any]
    """Everything but the weights, as in config.json."""

    @property
    def inputs(self) -> AbstractSet[str]:
        return frozenset()

    @property
    def units(self) -> str:
        return str(self.config["units"])

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        return Outputs(self.net(batch.input_ids))

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        save_net(self.net, self.config, folder, tokenizer)


@dataclass(frozen=True)
class TinyBuilder:
    """See `distill.families.model.Builder`."""

    family: str

    def build(self, spec: AttemptSpec) -> TinyModel:
        facts, settings = spec.prepared, spec.settings
        plan = (MLP if self.family == MLP.name else BILSTM).plan(facts, settings, scratch=True)
        units = facts.units_of(plan.reading.units)
        kept = torch.from_numpy(frequent_ids(Path(units.frequent))[: plan.reading.rows - 2])
        config: dict[str, Any] = {
            FAMILY: self.family,
            "units": plan.reading.units,
            "tokenizer_size": units.size,
            "special_ids": list(units.special_ids),
            "separator_id": units.separator_id,
            "texts": plan.reading.texts,
            "max_length": spec.data.max_length,
            "embedding_size": plan.reading.embedding_size,
            "word_dropout": settings.word_dropout,
            "id2label": {str(index): name for index, name in enumerate(facts.labels)},
            **_layers(plan, settings.dropout),
        }
        with seeded(settings.seed):
            net = NETS[self.family](config, kept)
            with torch.no_grad():
                # torch's own 1.0 costs two points of accuracy on SST-2 and Emotion.
                net.embedder.embedding.weight[1:].normal_(std=settings.initializer_range)
                if settings.embedding_init != RANDOM:
                    vectors = load_vectors(Path(units.vectors[settings.embedding_init]))[: plan.reading.rows - 2]
                    reduced = reduce(vectors, plan.reading.embedding_size)
                    scale = settings.initializer_range / reduced.std().clamp(min=1e-12)
                    net.embedder.embedding.weight[2 : len(reduced) + 2] = reduced * scale
        return TinyModel(net, config)

    def load(self, folder: Path) -> TinyModel:
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            return TinyModel(load_net(folder), config)
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
            raise ConfigError(f"{folder}: this is not a complete student: {error}") from error


def _layers(plan: MlpPlan | BiLstmPlan, dropout: float) -> dict[str, Any]:
    shape = {"pooling": plan.pooling, "hidden_size": plan.hidden_size}
    if isinstance(plan, BiLstmPlan):
        return shape | {"layers": plan.layers, "ffn_size": plan.ffn_size, "dropout": dropout}
    return shape


MLPS, BILSTMS = TinyBuilder("mlp"), TinyBuilder("bilstm")
