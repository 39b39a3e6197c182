"""Build a student with pruned heads or unequal layers from its folder; exports include this file as `modeling.py`.

It imports only torch, transformers and safetensors, because it must also run where this project is not installed.

    from modeling import load
    model = load(".")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig
from transformers.initialization import no_init_weights
from transformers.pytorch_utils import prune_linear_layer


class Names(NamedTuple):
    """The names of an architecture's layers and, in each of them, the parts of attention and feed-forward network."""

    layers: str
    attention: str
    projections: tuple[str, str, str]
    output: tuple[str, str]
    heads: str
    feed_forward: tuple[tuple[str, str], tuple[str, str]]
    """The linears before and after the activation."""
    ffn_size: str
    """Its size in the config."""


_BERT = Names(
    "encoder.layer",
    "attention.self",
    ("query", "key", "value"),
    ("attention.output", "dense"),
    "num_attention_heads",
    (("intermediate", "dense"), ("output", "dense")),
    "intermediate_size",
)
NAMES = {
    "bert": _BERT,
    "roberta": _BERT,
    "distilbert": Names(
        "transformer.layer",
        "attention",
        ("q_lin", "k_lin", "v_lin"),
        ("attention", "out_lin"),
        "n_heads",
        (("ffn", "lin1"), ("ffn", "lin2")),
        "hidden_dim",
    ),
}


def load(folder: str | Path) -> Any:
    """The model in `folder` (config.json, model.safetensors), ready for inference; every weight must be there."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with no_init_weights():
        model = getattr(transformers, config.architectures[0])(config)
        if getattr(config, "kept_heads", None):
            prune_heads(model, config.kept_heads)
        if getattr(config, "ffn_sizes", None):
            prune_neurons(model, [range(size) for size in config.ffn_sizes])
    model.load_state_dict(load_file(Path(folder) / "model.safetensors"), strict=True)
    return model.eval()


def prune_heads(model: Any, kept_heads: Sequence[Sequence[int]]) -> None:
    """Keep only `kept_heads` (one list of indices per layer): removes rows of query, key, value, columns of the output.

    The attention of these models reshapes with -1 heads, so it works unchanged with fewer of them.
    """
    names = NAMES[model.config.model_type]
    for layer, kept in zip(model.base_model.get_submodule(names.layers), kept_heads, strict=True):
        attention, owner = layer.get_submodule(names.attention), layer.get_submodule(names.output[0])
        size = attention.attention_head_size
        if len(kept) == getattr(attention, names.heads):
            continue
        index: Any = torch.tensor([head * size + offset for head in kept for offset in range(size)], dtype=torch.long)
        for name in names.projections:
            setattr(attention, name, prune_linear_layer(getattr(attention, name), index))
        setattr(owner, names.output[1], prune_linear_layer(getattr(owner, names.output[1]), index, dim=1))
        setattr(attention, names.heads, len(kept))
        if hasattr(attention, "all_head_size"):
            attention.all_head_size = len(index)


def prune_neurons(model: Any, kept: Sequence[Sequence[int]]) -> None:
    """Keep only these feed-forward neurons of each layer: rows of the first linear, columns of the second.

    The config says their number; if it is not the same in all layers, as a list in the key `ffn_sizes`.
    """
    names, sizes = NAMES[model.config.model_type], [len(layer) for layer in kept]
    for layer, neurons in zip(layers_of(model), kept, strict=True):
        for dim, (path, name) in enumerate(names.feed_forward):
            owner = layer.get_submodule(path)
            linear = getattr(owner, name)
            index: Any = torch.tensor(list(neurons), dtype=torch.long)
            if len(index) != linear.weight.shape[dim]:
                setattr(owner, name, prune_linear_layer(linear, index, dim=dim))
    setattr(model.config, names.ffn_size, max(sizes))
    if len(set(sizes)) > 1:
        model.config.ffn_sizes = sizes


def layers_of(model: Any) -> nn.ModuleList:
    """The layers of an encoder, with or without a task head."""
    layers: nn.ModuleList = model.base_model.get_submodule(NAMES[model.config.model_type].layers)
    return layers
