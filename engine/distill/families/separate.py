"""The two halves of a model with separate layers: its lower layers on one segment, its upper layers on both.

For passages that are read once and asked about often (DeFormer, Cao et al. 2020). It trains and stores nothing.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bertdistill.engine.distill.families.first_position import first_position
from bertdistill.engine.distill.families.model import Outputs, Servable
from bertdistill.engine.distill.families.standalone import layers_of
from bertdistill.engine.families.encoder_plan import SEPARATE_LAYERS

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.batches import Batch

FIRST, SECOND = 0, 1
"""Segment ids: the question with [CLS] and its [SEP], or the passage with the last [SEP]."""


def separate_layers(net: nn.Module) -> int:
    """The number of its layers that read the segments separately; 0 for any other model."""
    return int(getattr(getattr(net, "config", None), SEPARATE_LAYERS, None) or 0)


def segment_states(net: Any, ids: Tensor, mask: Tensor, segment: int) -> Tensor:
    """What the separate layers make of one segment, (batch, length, width); `mask` is 0 at padding."""
    hidden = net.base_model.embeddings(input_ids=ids, token_type_ids=torch.full_like(ids, segment))
    return _through(net, hidden, mask, slice(None, separate_layers(net)))


def joint_logits(net: Any, states: Tensor, mask: Tensor) -> Tensor:
    """The logits of both segments, joined along the positions: (batch, length, 2), or (batch, labels) of a classifier.

    Padding may be between the segments: their positions are part of the states.
    """
    with first_position(net):
        hidden = _through(net, states, mask, slice(separate_layers(net), None))
    if hasattr(net, "qa_outputs"):
        spans: Tensor = net.qa_outputs(hidden)
        return spans
    labels: Tensor = net.classifier(net.dropout(net.base_model.pooler(hidden)))
    return labels


def _through(net: Any, hidden: Tensor, mask: Tensor, layers: slice) -> Tensor:
    """Padding is hidden from the layers as the model itself does it."""
    from transformers.masking_utils import create_bidirectional_mask  # loaded already, with the network that is called

    whole = bool(mask.all())
    allowed = None if whole else create_bidirectional_mask(net.config, inputs_embeds=hidden, attention_mask=mask)
    for layer in list(layers_of(net))[layers]:
        hidden = layer(hidden, allowed)
    return hidden


@dataclass(frozen=True)
class WithPassage:
    """A model that has read the second segment of one input, for measuring what is left. See `model.Servable`."""

    model: Servable
    states: Tensor
    """(1, length, width)."""

    @property
    def net(self) -> nn.Module:
        return self.model.net

    @property
    def inputs(self) -> AbstractSet[str]:
        return self.model.inputs

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        """`batch` is the whole input; only its first segment is read."""
        assert batch.token_types is not None
        first = batch.input_ids[:, batch.token_types[0] == FIRST]
        states = segment_states(self.net, first, torch.ones_like(first), FIRST)
        both = torch.cat([states, self.states], dim=1)
        return Outputs(joint_logits(self.net, both, torch.ones_like(both[..., 0])))


def with_passage(model: Servable, batch: Batch) -> Servable:
    """The model once it has read the second segment of this one unpadded input; itself if none of its layers can."""
    if not separate_layers(model.net) or batch.token_types is None or not bool((batch.token_types == SECOND).any()):
        return model
    second = batch.input_ids[:, batch.token_types[0] == SECOND]
    training = model.net.training
    model.net.eval()
    with torch.inference_mode():
        states = segment_states(model.net, second, torch.ones_like(second), SECOND)
    model.net.train(training)
    return WithPassage(model, states)
