"""Build a student that was cut, separated or packed from its folder; the `modeling.py` of exports.

It imports only torch, transformers and safetensors, because it must also run where this project is not installed.

    from modeling import load
    model = load(".")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Names:
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
    norms: tuple[tuple[str, str], tuple[str, str]]
    """The LayerNorms after attention and after the feed-forward network."""
    head: tuple[tuple[str, str], tuple[str, str]]
    """The linears of the classification head, seen from the whole model: a dense one, and that of the classes."""


_BERT = Names(
    "encoder.layer",
    "attention.self",
    ("query", "key", "value"),
    ("attention.output", "dense"),
    "num_attention_heads",
    (("intermediate", "dense"), ("output", "dense")),
    "intermediate_size",
    (("attention.output", "LayerNorm"), ("output", "LayerNorm")),
    (("bert.pooler", "dense"), ("", "classifier")),
)
NAMES = {
    "bert": _BERT,
    "mobilebert": replace(_BERT, head=(("mobilebert.pooler", "dense"), ("", "classifier"))),
    "roberta": replace(_BERT, head=(("classifier", "dense"), ("classifier", "out_proj"))),
    "distilbert": Names(
        "transformer.layer",
        "attention",
        ("q_lin", "k_lin", "v_lin"),
        ("attention", "out_lin"),
        "n_heads",
        (("ffn", "lin1"), ("ffn", "lin2")),
        "hidden_dim",
        (("", "sa_layer_norm"), ("", "output_layer_norm")),
        (("", "pre_classifier"), ("", "classifier")),
    ),
}


def load(folder: str | Path) -> Any:
    """The model in `folder` (config.json, model.safetensors), ready for inference; every weight must be there."""
    import transformers  # here, because it takes seconds and whoever only asks for the names of layers needs none of it
    from transformers.initialization import no_init_weights

    config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with no_init_weights():
        model = getattr(transformers, config.architectures[0])(config)
        if getattr(config, "kept_heads", None):
            prune_heads(model, config.kept_heads)
        if getattr(config, "ffn_sizes", None):
            prune_neurons(model, [range(size) for size in config.ffn_sizes])
        if getattr(config, "kept_width", None):
            narrow(model, config.kept_width)
        if getattr(config, "embedding_rank", None):
            factorise(model, config.embedding_rank)
        if getattr(config, "separate_layers", None):
            separate(model, config.separate_layers)
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
    from transformers.pytorch_utils import prune_linear_layer

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
    from transformers.pytorch_utils import prune_linear_layer

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


def narrow(model: Any, width: int) -> None:
    """Give the hidden states this size, with new weights; the config says so in the key `kept_width`.

    Its own hidden size stays, because it says how large an attention head is.
    """
    for owner, name, kind in list(stream_of(model)):
        setattr(owner, name, _narrowed(getattr(owner, name), kind, width))
    model.config.kept_width = width


class LowRankEmbedding(nn.Module):
    """Embeddings as a table of (rows, rank) times a matrix: (batch, length) to (batch, length, width)."""

    def __init__(self, rows: int, rank: int, width: int, padding_idx: int | None) -> None:
        super().__init__()
        self.factors = nn.Embedding(rows, rank, padding_idx=padding_idx)
        self.projection = nn.Linear(rank, width, bias=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.projection(self.factors(ids))
        return found


def factorise(model: Any, rank: int) -> LowRankEmbedding:
    """Give the model word embeddings of this rank with new weights; the config says so in the key `embedding_rank`."""
    embeddings = model.base_model.embeddings
    table = embeddings.word_embeddings
    low = LowRankEmbedding(table.num_embeddings, rank, table.embedding_dim, table.padding_idx)
    embeddings.word_embeddings = low
    model.config.embedding_rank = rank
    return low


def separate(model: Any, layers: int) -> None:
    """In the first `layers` layers, let tokens attend only to their own segment (DeFormer, Cao et al. 2020, section 3).

    The positions of the second segment start at 0, as in the authors' code, so that nothing of it depends on the first
    one before the upper layers. The config says so in the key `separate_layers`. For models with segment ids.
    """
    if not 0 < layers < len(layers_of(model)):
        raise ValueError(f"{layers} of {len(layers_of(model))} layers cannot be separate")
    model.base_model.register_forward_pre_hook(_with_segments, with_kwargs=True)
    for layer in list(layers_of(model))[:layers]:
        layer.register_forward_pre_hook(_attend_apart, with_kwargs=True)
    model.config.separate_layers = layers


def _with_segments(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Hook of the encoder: positions of each segment from 0, and the segments for the hooks of its layers."""
    types = kwargs.get("token_type_ids")
    if types is None:
        raise ValueError("a model with separate layers needs token_type_ids: 0 for the first segment, 1 for the second")
    columns = torch.arange(types.shape[1], device=types.device).expand_as(types)
    positions = torch.where(types == 1, types.cumsum(-1) - 1, columns)
    return args, kwargs | {"position_ids": positions, "segments": types}


def _attend_apart(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Hook of a layer: limit its mask to pairs of tokens of the same segment. Without segments there is only one."""
    types = kwargs.pop("segments", None)
    if types is None:
        return args, kwargs
    hidden, mask, *others = args
    own = types[:, None, :, None] == types[:, None, None, :]
    if layer.attention.self.config._attn_implementation == "eager":  # which adds its mask to the scores
        zeros = hidden.new_zeros(own.shape) if mask is None else mask
        mask = zeros.masked_fill(~own, torch.finfo(zeros.dtype).min)
    else:
        mask = own if mask is None else mask & own
    return (hidden, mask, *others), kwargs


def stream_of(model: Any) -> Iterator[tuple[Any, str, str]]:
    """(owner, name, kind) of every module on the hidden states, in the order of the computation.

    embeds, norm; reads, writes: linears whose inputs or outputs are hidden states; pools, classifies: the linears of a
    classification head.
    """
    names, embeddings = NAMES[model.config.model_type], model.base_model.embeddings
    yield from ((embeddings, name, "embeds") for name, one in embeddings.named_children() if type(one) is nn.Embedding)
    yield embeddings, "LayerNorm", "norm"
    for layer in layers_of(model):
        attention = layer.get_submodule(names.attention)
        yield from ((attention, name, "reads") for name in names.projections)
        for (path, name), kind in (
            (names.output, "writes"),
            (names.norms[0], "norm"),
            (names.feed_forward[0], "reads"),
            (names.feed_forward[1], "writes"),
            (names.norms[1], "norm"),
        ):
            yield layer.get_submodule(path), name, kind
    if hasattr(model, "qa_outputs"):
        yield model, "qa_outputs", "reads"
    else:
        for (path, name), kind in zip(names.head, ("pools", "classifies"), strict=True):
            yield model.get_submodule(path), name, kind


def _narrowed(module: Any, kind: str, width: int) -> nn.Module:
    match kind:
        case "embeds":
            return nn.Embedding(module.num_embeddings, width, padding_idx=module.padding_idx)
        case "norm":
            return nn.LayerNorm(width, eps=module.eps)
    inputs = module.in_features if kind == "writes" else width
    return nn.Linear(inputs, width if kind in ("writes", "pools") else module.out_features)


def layers_of(model: Any) -> nn.ModuleList:
    """The layers of an encoder, with or without a task head."""
    layers: nn.ModuleList = model.base_model.get_submodule(NAMES[model.config.model_type].layers)
    return layers
