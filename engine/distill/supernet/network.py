"""An encoder whose sub-networks are run without cutting them out, several at once where they begin alike.

The heads and neurons of each layer are put in the order of their importance, so that a sub-network is the first ones
of every matrix: a slice and no copy. It trains nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bert.modeling_bert import eager_attention_forward

from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import Outputs
from bertdistill.engine.distill.families.selection import Importance
from bertdistill.engine.distill.families.standalone import NAMES, Names, layers_of
from bertdistill.engine.families.supernet import Cell

Cells = Sequence[Cell]
Orders = Sequence[tuple[Sequence[int], Sequence[int]]]
"""By layer, the places of its heads and of its neurons in another order."""


@dataclass(frozen=True)
class SharedEncoder:
    """A whole encoder without dropout, in the order of importance. See `distill.families.model.Model`."""

    net: PreTrainedModel
    orders: Orders
    units: str = ""

    @property
    def inputs(self) -> AbstractSet[str]:
        return Encoder(self.net).inputs

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        """Of the whole encoder."""
        return Encoder(self.net)(batch, hidden=hidden, attentions=attentions)

    def many(self, batch: Batch, nets: Sequence[Cells]) -> list[Outputs]:
        """Those of each sub-network. Layers that several begin with are computed once."""
        with _running(self.net, nets):
            logits = Encoder(self.net)(batch).logits
        return [Outputs(part) for part in logits.chunk(len(nets))]

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        """As it is, in the order of importance: what a training continues from."""
        Encoder(self.net).save(folder, tokenizer)

    def save_as_before(self, folder: Path, tokenizer: Any) -> None:
        """With heads and neurons in their places, as an ordinary checkpoint. It is not this model any more."""
        reorder(self.net, [(_inverse(heads), _inverse(neurons)) for heads, neurons in self.orders])
        Encoder(self.net).save(folder, tokenizer)


def shared_encoder(net: PreTrainedModel, heads: Importance | None, neurons: Importance | None) -> SharedEncoder:
    """An encoder with its heads and neurons ordered by these importances of (layers, parts), in place.

    Without them their order stays: then every sub-network has all of them. The ties are those of `selection`.
    """
    names = NAMES[_architecture(net)]
    orders = []
    for index, layer in enumerate(layers_of(net)):
        attention: Any = layer.get_submodule(names.attention)
        count, width = getattr(attention, names.heads), _linear(layer, names.feed_forward[0]).weight.shape[0]
        orders.append((_order(heads, index, count), _order(neurons, index, width)))
    reorder(net, orders)
    return SharedEncoder(net, orders)


def reorder(net: PreTrainedModel, orders: Orders) -> None:
    """Put the heads and neurons of each layer in another order, in place; the outputs are equal but for rounding."""
    names = NAMES[_architecture(net)]
    with torch.no_grad():
        for layer, (heads, neurons) in zip(layers_of(net), orders, strict=True):
            attention: Any = layer.get_submodule(names.attention)
            size = attention.attention_head_size
            places = torch.tensor([head * size + offset for head in heads for offset in range(size)])
            inside = [(getattr(attention, name), _linear(layer, names.output)) for name in names.projections]
            before, after = (_linear(layer, part) for part in names.feed_forward)
            for one, _ in inside:
                _move(one, places, 0)
            _move(inside[0][1], places, 1)
            _move(before, torch.tensor(list(neurons)), 0)
            _move(after, torch.tensor(list(neurons)), 1)


def _move(module: Any, places: Tensor, dim: int) -> None:
    places = places.to(module.weight.device)
    module.weight.copy_(module.weight.index_select(dim, places))
    if dim == 0:
        module.bias.copy_(module.bias.index_select(0, places))


def _order(importance: Importance | None, layer: int, count: int) -> list[int]:
    if importance is None:
        return list(range(count))
    order: list[int] = (-importance[layer]).argsort(kind="stable").tolist()
    return order


def _inverse(order: Sequence[int]) -> list[int]:
    return sorted(range(len(order)), key=order.__getitem__)


# ------------------------------------------------------------------------------------------------------ a forward pass


@contextmanager
def _running(net: PreTrainedModel, nets: Sequence[Cells]) -> Iterator[None]:
    """Inside, the encoder of `net` returns the last hidden states of all of these, one after the other.

    Embeddings and masks before it and the head after it stay the network's own, and are computed once.
    """
    owner = net.base_model.get_submodule(NAMES[_architecture(net)].layers.split(".")[0])
    owner.__dict__["forward"] = _Layers(net, nets)
    try:
        yield
    finally:
        del owner.__dict__["forward"]


class _Layers:
    """Replacement of the encoder's `forward`: (batch, length, width) to (nets * batch, length or 1, width)."""

    def __init__(self, net: PreTrainedModel, nets: Sequence[Cells]) -> None:
        self._layers = layers_of(net)
        self._names = NAMES[_architecture(net)]
        self._first_only = type(net).__name__.endswith("ForSequenceClassification")
        self._nets = nets

    def __call__(self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: Any) -> Any:
        ends: dict[int, Tensor] = {}
        self._grow(hidden_states, attention_mask, range(len(self._nets)), 0, ends)
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=torch.cat([ends[index] for index in range(len(self._nets))])
        )

    def _grow(
        self, hidden: Tensor, mask: Tensor | None, which: Sequence[int], depth: int, ends: dict[int, Tensor]
    ) -> None:
        """Run the layer at this depth of each of these sub-networks, and what follows it."""
        alike: dict[Cell, list[int]] = {}
        for index in which:
            alike.setdefault(self._nets[index][depth], []).append(index)
        for cell, members in alike.items():
            on = [index for index in members if len(self._nets[index]) > depth + 1]
            last = self._first_only and not on
            found = run_layer(self._layers[cell.layer], self._names, hidden, mask, cell, first_only=last)
            ends |= {index: found[:, :1] if self._first_only else found for index in members if index not in on}
            if on:
                self._grow(found, mask, on, depth + 1, ends)


def run_layer(
    layer: nn.Module, names: Names, hidden: Tensor, mask: Tensor | None, cell: Cell, *, first_only: bool
) -> Tensor:
    """A layer with its first heads and neurons, for all positions or the first one: (batch, length or 1, width).

    See `families.first_position` for when the first one will do.
    """
    attention: Any = layer.get_submodule(names.attention)
    size = attention.attention_head_size
    width = cell.heads * size
    read = hidden[:, :1] if first_only else hidden
    query, key, value = (
        linear(one, project.weight[:width], project.bias[:width]).view(*one.shape[:2], -1, size).transpose(1, 2)
        for project, one in zip(
            (getattr(attention, name) for name in names.projections), (read, hidden, hidden), strict=True
        )
    )
    attend = ALL_ATTENTION_FUNCTIONS.get_interface(attention.config._attn_implementation, eager_attention_forward)
    seen = mask[:, :, :1] if first_only and mask is not None else mask
    context = attend(attention, query, key, value, seen, dropout=0.0, scaling=attention.scaling)[0]
    output, (before, after) = _linear(layer, names.output), (_linear(layer, part) for part in names.feed_forward)
    attended, fed = (_part(layer, part) for part in names.norms)
    inner = attended(linear(context.reshape(*read.shape[:2], -1), output.weight[:, :width], output.bias) + read)
    active = _activation(layer)(linear(inner, before.weight[: cell.neurons], before.bias[: cell.neurons]))
    found: Tensor = fed(linear(active, after.weight[:, : cell.neurons], after.bias) + inner)
    return found


def _part(layer: nn.Module, named: tuple[str, str]) -> Any:
    owner, name = named
    return getattr(layer.get_submodule(owner), name)


_linear = _part


def _activation(layer: Any) -> Any:
    return layer.ffn.activation if hasattr(layer, "ffn") else layer.intermediate.intermediate_act_fn


def _architecture(net: nn.Module) -> str:
    config: Any = net.config
    return str(config.model_type)
