"""Build a student with pruned heads or packed weights from its folder; exports include it as `modeling.py`.

It imports only torch, transformers and safetensors, because it must also run where this project is not installed.

    from modeling import load
    model = load(".")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoConfig
from transformers.initialization import no_init_weights
from transformers.pytorch_utils import prune_linear_layer


class Names(NamedTuple):
    """The names of an architecture's layers and, in each of them, the parts of the attention."""

    layers: str
    attention: str
    projections: tuple[str, str, str]
    output: tuple[str, str]
    heads: str


_BERT = Names(
    "encoder.layer", "attention.self", ("query", "key", "value"), ("attention.output", "dense"), "num_attention_heads"
)
NAMES = {
    "bert": _BERT,
    "roberta": _BERT,
    "distilbert": Names(
        "transformer.layer", "attention", ("q_lin", "k_lin", "v_lin"), ("attention", "out_lin"), "n_heads"
    ),
}


def load(folder: str | Path) -> Any:
    """The model in `folder` (config.json, model.safetensors), ready for inference; every weight must be there."""
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with no_init_weights():
        model = getattr(transformers, config.architectures[0])(config)
        if getattr(config, "kept_heads", None):
            prune_heads(model, config.kept_heads)
    model.load_state_dict(unpacked(load_file(Path(folder) / "model.safetensors")), strict=True)
    return model.eval()


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file. In 8 bits a row has one scale; in 4 bits, two to a byte and 8 is zero, 32 columns have."""
    found = {}
    for name, tensor in tensors.items():
        base, _, form = name.rpartition(".")
        if form == "int8":
            found[base] = tensor.float() * tensors[f"{base}.scales"].float()
        elif form == "int4":
            steps = torch.stack((tensor & 15, tensor >> 4), dim=2).flatten(1).float() - 8
            scales = tensors[f"{base}.scales"].float().repeat_interleave(32, dim=1)
            found[base] = steps * scales[:, : steps.shape[1]]
        elif form != "scales":
            found[name] = tensor
    return found


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


def layers_of(model: Any) -> nn.ModuleList:
    """The layers of an encoder, with or without a task head."""
    layers: nn.ModuleList = model.base_model.get_submodule(NAMES[model.config.model_type].layers)
    return layers
