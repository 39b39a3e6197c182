"""The family `transformer` in the worker: a transformers encoder with a task head, called with a batch."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.spec import SCRATCH
from bertdistill.engine.distill.families.embeddings import open_tokenizer, own_vocabulary, replace_embeddings
from bertdistill.engine.distill.families.first_position import first_position
from bertdistill.engine.distill.families.importance import load_importance, load_neurons
from bertdistill.engine.distill.families.model import TOKEN_TYPES, Outputs
from bertdistill.engine.distill.families.projection import Projection
from bertdistill.engine.distill.families.transformer import (
    accepts_token_types,
    build_student,
    load_student,
    save_student,
    save_whole,
)
from bertdistill.engine.families.encoder_plan import COMPARABLE, Shape
from bertdistill.engine.families.supernet import start_of
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.families.vocabulary import size_of

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.batches import Batch

UNITS = "bertdistill_units"
"""Key of config.json: the units that the model reads, if not the teacher's."""


@dataclass(frozen=True)
class Encoder:
    """An encoder with a task head. See `distill.families.model.Model`."""

    net: PreTrainedModel
    kept_heads: Sequence[Sequence[int]] = field(default_factory=list)
    """For every layer, the indices of the kept heads; empty if all are kept."""
    units: str = ""
    tokenizer: Any | None = None
    """Its own, which is saved with it; None if the preparation has it."""

    @property
    def inputs(self) -> AbstractSet[str]:
        return {TOKEN_TYPES} if accepts_token_types(self.net) else frozenset()

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        inputs: dict[str, Any] = {"input_ids": batch.input_ids}
        if batch.padded:  # without padding, a mask would only prevent SDPA's fastest kernel
            inputs["attention_mask"] = batch.attention_mask
        if batch.token_types is not None:
            inputs["token_type_ids"] = batch.token_types
        if hidden:
            inputs["output_hidden_states"] = True
        if attentions:
            inputs["output_attentions"] = True
        with nullcontext() if hidden or attentions else first_position(self.net):
            result = self.net(**inputs)
        logits = result.logits if "logits" in result else torch.stack((result.start_logits, result.end_logits), dim=-1)
        states, weights = result.get("hidden_states"), result.get("attentions")
        return Outputs(logits, states or (), weights or ())

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        config: Any = self.net.config
        tokenizer = tokenizer or self.tokenizer
        if self.units or hasattr(config, UNITS):  # a student of another study may have been the initial model
            setattr(config, UNITS, self.units)
        if config.model_type not in COMPARABLE:
            save_whole(self.net, folder, tokenizer)
            return
        every = [list(range(config.num_attention_heads))] * config.num_hidden_layers
        save_student(self.net, self.kept_heads or every, folder, tokenizer)


class Encoders:
    """See `distill.families.model.Builder`."""

    def build(self, spec: AttemptSpec) -> Encoder:
        facts, scratch = spec.prepared, spec.student.init == SCRATCH
        folder = Path(facts.importance) if facts.importance else None
        units = TRANSFORMER.units(facts, spec.settings)
        own = own_vocabulary(facts, units)
        net, kept = build_student(
            SCRATCH if scratch else start_of(facts, spec.settings),
            spec.settings,
            task=spec.task,
            labels=facts.labels,
            shape=Shape.from_dict((facts.init_shape or facts.teacher_shape) if scratch else facts.init_shape),
            importance=load_importance(folder) if folder else None,
            neurons=load_neurons(folder) if folder and facts.ffn_importance else None,
            projection=Projection.load(Path(facts.projection)) if facts.projection else None,
            embed=(lambda model: replace_embeddings(model, *own)) if own else None,
        )
        return Encoder(net, kept, units, own[1] if own else None)

    def load(self, folder: Path) -> Encoder:
        net, kept = load_student(folder)
        units = str(getattr(net.config, UNITS, ""))
        return Encoder(net, kept, units, open_tokenizer(folder) if size_of(units)[1] else None)


ENCODERS = Encoders()
