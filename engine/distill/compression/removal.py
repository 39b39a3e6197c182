"""Removal of attention heads and feed-forward neurons that zeros have left without effect: a smaller, equal encoder.

A head adds nothing if its columns of the output matrix are 0, and the same vector to every token if its rows of the
value matrix are: the attention weights of a token sum to 1. A neuron adds nothing if its column of the second matrix is
0, and the same to every token if its row of the first one is. What is added to every token moves into the bias.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import Model
from bertdistill.engine.families.encoder_plan import FFN_SIZES


@dataclass(frozen=True)
class Layer:
    """Where heads and neurons of one layer are."""

    value: nn.Linear
    output: nn.Linear
    head_size: int
    first: nn.Linear
    second: nn.Linear

    def heads(self) -> list[int]:
        """Those that have an effect of their own."""
        rows = self.value.weight.view(-1, self.head_size * self.value.in_features)
        columns = self.output.weight.T.reshape(len(rows), -1)
        return _some(rows.any(1) & columns.any(1))

    def neurons(self) -> list[int]:
        return _some(self.first.weight.any(1) & self.second.weight.any(0))


def without_empty(model: Model) -> Model:
    """A copy without empty heads and neurons, or the model itself if it has none. One of each stays in every layer."""
    if not isinstance(model, Encoder) or model.net.config.model_type not in standalone.NAMES:
        return model
    layers = _layers(model.net)
    heads, neurons = [one.heads() for one in layers], [one.neurons() for one in layers]
    whole = [(one.value.out_features // one.head_size, one.first.out_features) for one in layers]
    if whole == [*zip(map(len, heads), map(len, neurons), strict=True)]:
        return model
    net = copy.deepcopy(model.net)
    config: Any = net.config
    activation = ACT2FN[getattr(config, "hidden_act", None) or config.activation]
    for layer, some, others in zip(_layers(net), heads, neurons, strict=True):
        _move_constants(layer, some, others, activation)
    standalone.prune_heads(net, heads)
    if getattr(config, FFN_SIZES, None):
        setattr(config, FFN_SIZES, None)  # which is set again unless all layers have the same number now
    standalone.prune_neurons(net, neurons)
    before = model.kept_heads or [range(config.num_attention_heads)] * len(heads)
    return replace(model, net=net, kept_heads=[[old[i] for i in kept] for old, kept in zip(before, heads, strict=True)])


def _layers(net: nn.Module) -> list[Layer]:
    config: Any = net.config
    names = standalone.NAMES[config.model_type]
    found = []
    for layer in standalone.layers_of(net):
        attention: Any = layer.get_submodule(names.attention)
        value, output, first, second = (
            cast(nn.Linear, layer.get_submodule(path).get_submodule(name))
            for path, name in ((names.attention, names.projections[2]), names.output, *names.feed_forward)
        )
        found.append(Layer(value, output, int(attention.attention_head_size), first, second))
    return found


def _some(kept: Tensor) -> list[int]:
    """Indices where it is true; the first one if it is nowhere."""
    return kept.nonzero().flatten().tolist() or [0]


@torch.no_grad()
def _move_constants(layer: Layer, heads: list[int], neurons: list[int], activation: Callable[[Tensor], Tensor]) -> None:
    """Add to the biases what removed heads and neurons add to every token."""
    gone = torch.ones_like(layer.value.bias, dtype=torch.bool).view(-1, layer.head_size)
    gone[heads] = False
    layer.output.bias.add_(layer.output.weight @ (layer.value.bias * gone.flatten()))
    gone = torch.ones_like(layer.first.bias, dtype=torch.bool)
    gone[neurons] = False
    layer.second.bias.add_(layer.second.weight @ (activation(layer.first.bias) * gone))
