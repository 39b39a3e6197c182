"""The last layer of a classifier, computed for the first position alone, because the task head reads no other.

The logits are those of the whole layer: keys and values are of all positions, and what follows the attention treats
every position on its own. It changes no weights, and nothing remains of it outside its context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from bertdistill.engine.distill.families.standalone import NAMES, Names, layers_of


@contextmanager
def first_position(net: nn.Module) -> Iterator[None]:
    """Inside, a forward pass of `net` computes only what its logits depend on.

    No effect on a model whose logits are those of all positions (spans), or of another architecture. The hidden states
    and attentions of the last layer are those of the first position.
    """
    config: Any = net.config
    if config.model_type not in NAMES or not type(net).__name__.endswith("ForSequenceClassification"):
        yield
        return
    last = layers_of(net)[-1]
    last.__dict__["forward"] = (_LastBottleneck if hasattr(last, "bottleneck") else _LastLayer)(
        last, NAMES[config.model_type]
    )
    try:
        yield
    finally:
        del last.__dict__["forward"]


class _LastLayer:
    """Replacement of the layer's `forward`: (batch, length, width) to (batch, 1, width)."""

    def __init__(self, layer: nn.Module, names: Names) -> None:
        self._layer: Any = layer
        self._attention: Any = layer.get_submodule(names.attention)
        self._projections = [getattr(self._attention, name) for name in names.projections]

    def __call__(self, hidden: Tensor, mask: Any = None, *_: Any, attention_mask: Any = None, **__: Any) -> Tensor:
        first = hidden[:, :1]
        context = self._attend((first, hidden, hidden), attention_mask if mask is None else mask)
        layer: Any = self._layer
        if hasattr(layer, "sa_layer_norm"):  # DistilBERT
            inner = layer.sa_layer_norm(self._attention.out_lin(context) + first)
            found: Tensor = layer.output_layer_norm(layer.ffn.ff_chunk(inner) + inner)
        else:
            found = layer.feed_forward_chunk(layer.attention.output(context, first))
        return found

    def _attend(self, read: tuple[Tensor, Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """The attention of the first position to all, (batch, 1, heads * size), from what its projections read."""
        # Loaded already, with the network that is called; at the top they would be loaded for every other family.
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
        from transformers.models.bert.modeling_bert import eager_attention_forward

        attention = self._attention
        query, key, value = (
            project(one).view(*one.shape[:2], -1, attention.attention_head_size).transpose(1, 2)
            for project, one in zip(self._projections, read, strict=True)
        )
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(attention.config._attn_implementation, eager_attention_forward)
        context: Tensor = attend(
            attention,
            query,
            key,
            value,
            None if mask is None else mask[:, :, :1],
            dropout=attention.dropout.p if attention.training else 0.0,
            scaling=attention.scaling,
        )[0]
        return context.reshape(*read[0].shape[:2], -1)


class _LastBottleneck(_LastLayer):
    """The same for a MobileBERT, whose projections read bottlenecks, and which has several feed-forward networks."""

    def __call__(self, hidden: Tensor, mask: Any = None, *_: Any, attention_mask: Any = None, **__: Any) -> Tensor:
        layer: Any = self._layer
        query, key, value, narrow = layer.bottleneck(hidden)
        context = self._attend((query[:, :1], key, value), attention_mask if mask is None else mask)
        inner = layer.attention.output(context, narrow[:, :1])
        for network in getattr(layer, "ffn", ()):
            inner = network(inner)
        found: Tensor = layer.output(layer.intermediate(inner), inner, hidden[:, :1])
        return found
