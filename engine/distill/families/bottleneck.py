"""The family `bottleneck` in the worker: transformers' own MobileBERT, cut from a checkpoint or new.

It trains nothing and decides no sizes: `engine.families.bottleneck` does. A model is called, saved and loaded like any
encoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import MobileBertConfig, PreTrainedModel

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.spec import SCRATCH
from bertdistill.engine.distill.families.embeddings import own_vocabulary, replace_embeddings
from bertdistill.engine.distill.families.encoder import ENCODERS, Encoder
from bertdistill.engine.distill.families.model import FAMILY
from bertdistill.engine.distill.families.seeded import seeded
from bertdistill.engine.distill.families.taught_start import start_from
from bertdistill.engine.distill.families.transformer import (
    CLASSES,
    drop_before_head,
    keep_layers,
    label_overrides,
    load_encoder,
    load_with_head,
    overrides_of,
)
from bertdistill.engine.families.bottleneck import BOTTLENECK
from bertdistill.engine.families.bottleneck_sizes import inner
from bertdistill.engine.families.encoder_plan import MOBILE, NEW_LAYER, Plan
from bertdistill.engine.tasks.table import TASKS


class Bottlenecks:
    """See `distill.families.model.Builder`."""

    def build(self, spec: AttemptSpec) -> Encoder:
        facts, scratch = spec.prepared, spec.student.init == SCRATCH
        plan = BOTTLENECK.plan(facts, spec.settings, scratch=scratch)
        cut = plan.kept_layers[0] != NEW_LAYER
        units = BOTTLENECK.units(facts, spec.settings)
        own = own_vocabulary(facts, units)
        with seeded(spec.settings.seed):
            net = _cut(spec, plan) if cut else _new(spec, plan)
        if own and cut:
            replace_embeddings(net, *own)
        if not cut and not scratch and facts.teacher_folder and facts.init_folder == facts.teacher_folder:
            teacher = load_encoder(facts.teacher_folder, spec.task, facts.labels, need_head=True)
            if own:
                replace_embeddings(teacher, *own)
            start_from(net, teacher)
        _clear_padding(net)
        setattr(net.config, FAMILY, BOTTLENECK.name)
        drop_before_head(net)
        return Encoder(net, units=units, tokenizer=own[1] if own else None)

    def load(self, folder: Path) -> Encoder:
        return ENCODERS.load(folder)


def _cut(spec: AttemptSpec, plan: Plan) -> PreTrainedModel:
    facts = spec.prepared
    net, _ = load_with_head(facts.init_folder, spec.task, facts.labels, "", overrides_of(MOBILE, spec.settings))
    keep_layers(net, plan)
    return net


def _new(spec: AttemptSpec, plan: Plan) -> PreTrainedModel:
    shape = plan.shape
    more: dict[str, Any] = overrides_of(MOBILE, spec.settings) | label_overrides(spec.task, spec.prepared.labels)
    config = MobileBertConfig(
        vocab_size=shape.vocab_size,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.types,
        hidden_size=shape.hidden_size,
        intermediate_size=shape.ffn_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        pad_token_id=shape.pad_id,
        **inner(shape).to_config(),
        **more,
    )
    net: PreTrainedModel = CLASSES[TASKS[spec.task].spans].from_config(config, trust_remote_code=False)
    return net


@torch.no_grad()
def _clear_padding(net: PreTrainedModel) -> None:
    """Padding gets the embedding 0, and no gradient ever changes it.

    The last token of a text is embedded together with what follows it: padding, or the zeros beyond the end. With any
    other embedding the outputs of a text would depend on how far its batch is padded.
    """
    table: Any = net.get_input_embeddings()
    if net.config.pad_token_id is not None:
        table.padding_idx = net.config.pad_token_id
        table.weight[table.padding_idx] = 0


BOTTLENECKS = Bottlenecks()
