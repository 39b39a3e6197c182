"""Encoders as shapes and plans: which layers, heads and widths of the initial model a student has.

Standard library only: it builds no models and reads no files. Size and cost follow in `encoder_sizes`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.bottleneck_shape import Bottleneck
from bertdistill.engine.families.separate import check_layers_apart
from bertdistill.engine.families.sparsity import Pruning, pruning_of
from bertdistill.engine.families.widths import ffn_widths

ARCHITECTURES = ("bert", "distilbert", "roberta")
"""Those whose sizes are computed before training, and that students can be cut from. A teacher may be of others."""
MOBILE = "mobilebert"
COMPARABLE = (*ARCHITECTURES, MOBILE)
"""Those whose hidden states and attention can be compared with a student's."""
OFFSET = ("roberta", "xlm-roberta", "camembert", "mpnet", "xmod", "data2vec-text", "ibert", "roberta-prelayernorm")
"""Architectures that count positions from pad_id + 1."""
NEW_LAYER = -1
"""In `Plan.kept_layers`: a layer without a counterpart in the initial model, which starts with random weights."""
FFN_SIZES = "ffn_sizes"
"""Our extra key in config.json: feed-forward size of every layer; absent where all have the same."""
EMBEDDING_RANK = "embedding_rank"
"""Another one: rank of the word embeddings, if they are factorised."""
KEPT_WIDTH = "kept_width"
"""Another one: size of the hidden states, if it is below the hidden size, which says how large a head is."""
SEPARATE_LAYERS = "separate_layers"
"""Another one: the number of lower layers in which the two segments of an input attend only to themselves."""
OWN_KEYS = ("kept_heads", FFN_SIZES, KEPT_WIDTH, EMBEDDING_RANK, SEPARATE_LAYERS)
"""The keys of config.json that plain transformers do not know."""

# The names of each size in the config.json of each architecture.
_KEYS = {
    "bert": ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    "roberta": ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    "distilbert": ("dim", "hidden_dim", "n_layers", "n_heads"),
    MOBILE: ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
}
# Transformers omits defaults from config.json, so a missing key means the value below.
_MISSING = {
    "bert": {"vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "pad_token_id": 0},
    "roberta": {"vocab_size": 50265, "max_position_embeddings": 512, "type_vocab_size": 2, "pad_token_id": 1},
    "distilbert": {"vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 0, "pad_token_id": 0},
    MOBILE: {"vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2, "pad_token_id": 0},
}
_MISSING_SIZES = {
    "bert": (768, 3072, 12, 12),
    "roberta": (768, 3072, 12, 12),
    "distilbert": (768, 3072, 6, 12),
    MOBILE: (512, 512, 24, 4),
}


@dataclass(frozen=True)
class Shape:
    """The sizes of an encoder. `types` is the number of segment embeddings; `heads` is that of an unpruned layer."""

    architecture: str
    vocab_size: int
    positions: int
    types: int
    hidden_size: int
    ffn_size: int
    layers: int
    heads: int
    head_size: int
    pad_id: int = 0
    bottleneck: Bottleneck | None = None
    """Of a MobileBERT, whose heads are narrower than its hidden states."""

    @property
    def longest_input(self) -> int:
        """Maximum tokens of one input. RoBERTa counts positions from pad_id + 1, so 512 of its 514 are usable."""
        return self.positions - (self.pad_id + 1 if self.architecture in OFFSET else 0)

    @property
    def divisible(self) -> bool:
        """Whether students can be cut from it."""
        return self.architecture in ARCHITECTURES

    @property
    def comparable(self) -> bool:
        """Whether students can learn from its layers."""
        return self.architecture in COMPARABLE

    def to_dict(self) -> dict[str, Any]:
        found = dataclasses.asdict(self)
        if self.bottleneck is None:  # as older versions store it
            del found["bottleneck"]
        return found

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Shape:
        narrow = raw.get("bottleneck")
        return Shape(**{**raw, "bottleneck": Bottleneck(**narrow) if narrow else None})

    @staticmethod
    def from_config(config: Mapping[str, Any]) -> Shape:
        """The shape given in a checkpoint's config.json; raises ConfigError if it is not a supported encoder."""
        kind = str(config.get("model_type", ""))
        if kind not in COMPARABLE:
            raise ConfigError(
                f"model type {kind or 'missing'!r} is not supported",
                hint=f"use a checkpoint whose config.json has model_type {', '.join(ARCHITECTURES)} (MiniLM is bert)",
            )
        sizes = [int(config.get(key, missing)) for key, missing in zip(_KEYS[kind], _MISSING_SIZES[kind], strict=True)]
        hidden_size, ffn_size, layers, heads = sizes
        vocab_size, positions, types, pad_id = (
            missing if config.get(key) is None else int(config[key]) for key, missing in _MISSING[kind].items()
        )
        _refuse_unusual(config, layers, heads, hidden_size)
        types = 0 if kind == "distilbert" else types
        narrow = Bottleneck.from_config(config, heads) if kind == MOBILE else None
        width = narrow.size if narrow else hidden_size
        return Shape(
            kind, vocab_size, positions, types, hidden_size, ffn_size, layers, heads, width // heads, pad_id, narrow
        )


def _refuse_unusual(config: Mapping[str, Any], layers: int, heads: int, hidden_size: int) -> None:
    """Refuse options that change the parameter count or the computation in unsupported ways."""
    if config.get("is_decoder") or config.get("add_cross_attention"):
        raise ConfigError("the checkpoint is a decoder", hint="use an encoder")
    positions = config.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise ConfigError(f"position_embedding_type {positions!r} is not supported", hint="use absolute positions")
    if heads < 1 or hidden_size % heads:
        raise ConfigError(f"hidden size {hidden_size} is not a multiple of {heads} heads in config.json")
    kept = config.get("kept_heads")
    if config.get("pruned_heads") or (kept and any(len(layer) != heads for layer in kept)) or layers < 1:
        raise ConfigError(
            "attention heads were already pruned from this checkpoint", hint="start from a checkpoint with all heads"
        )
    if config.get(FFN_SIZES):
        raise ConfigError(
            "the feed-forward layers of this checkpoint have different sizes",
            hint='start from a checkpoint with equal layers, such as a student with ffn_choice = "even"',
        )
    if config.get(KEPT_WIDTH):
        raise ConfigError(
            "the hidden states of this checkpoint were already projected to a smaller size",
            hint="start from a checkpoint with all of its hidden size",
        )
    if config.get(EMBEDDING_RANK):
        raise ConfigError(
            "the word embeddings of this checkpoint are factorised", hint="start from a checkpoint with a whole table"
        )
    if config.get(SEPARATE_LAYERS):
        raise ConfigError(
            "the lower layers of this checkpoint read the two segments of an input separately",
            hint="start from a checkpoint whose layers all see both",
        )


def unpruned_shape(config: Mapping[str, Any]) -> Shape:
    """The shape given in the config.json of a student, without what was cut from it or separated in it."""
    return Shape.from_config({**config, **dict.fromkeys(OWN_KEYS)})


@dataclass(frozen=True)
class Plan:
    """One student: its unpruned shape, the origin of each layer (or `NEW_LAYER`), heads and neurons left in each.

    Only `shape.hidden_size` is the student's own, so it may be less than heads times head_size.
    """

    shape: Shape
    kept_layers: tuple[int, ...]
    heads_left: tuple[int, ...]
    ffn_left: tuple[int, ...]
    embedding_rank: int = 0
    """Of the word embeddings; 0 is a whole table."""
    separate: int = 0
    """The lower layers in which the two segments of an input attend only to themselves."""
    vocabulary: str = ""
    """Where the entries of a smaller vocabulary come from; empty if it is the whole one of the initial model."""
    pruning: Pruning | None = None
    """Of single weights."""

    @property
    def head_size(self) -> int:
        return self.shape.head_size

    @property
    def pruned(self) -> bool:
        return any(left < self.shape.heads for left in self.heads_left)

    @property
    def narrowed(self) -> bool:
        return any(left < self.shape.ffn_size for left in self.ffn_left)

    @property
    def projected(self) -> bool:
        return self.shape.hidden_size < self.shape.heads * self.shape.head_size


def plan_student(
    init: Shape, settings: Settings, *, scratch: bool, ffn_importance: Sequence[Sequence[float]] = ()
) -> Plan:
    """Apply the size settings to the initial model or, from scratch, to a new BERT with the vocabulary of `init`.

    `ffn_importance` is that of `Prepared`. Raises ConfigError if the settings require what the initial model does not
    have.
    """
    shape = _scratch_shape(init, settings) if scratch else _checked_shape(init, settings)
    kept = kept_layers(shape, settings, scratch=scratch)
    left = settings.heads or shape.heads
    if left > shape.heads:
        raise ConfigError(
            f"settings.heads is {left}, but a layer has only {shape.heads} heads", hint=f"use 1 to {shape.heads}"
        )
    widths = (shape.ffn_size,) * len(kept) if scratch else ffn_widths(shape.ffn_size, kept, settings, ffn_importance)
    rank = settings.embedding_rank
    if rank >= shape.hidden_size:
        raise ConfigError(
            f"settings.embedding_rank is {rank}, but the hidden size is only {shape.hidden_size}",
            hint=f"use 1 to {shape.hidden_size - 1}, or 0 for a whole table",
        )
    check_layers_apart(settings.separate_layers, len(kept), architecture=shape.architecture, types=shape.types)
    cut = dataclasses.replace(shape, layers=len(kept))
    return Plan(
        cut,
        kept,
        (left,) * len(kept),
        widths,
        embedding_rank=rank,
        separate=settings.separate_layers,
        pruning=pruning_of(settings),
    )


def _checked_shape(init: Shape, settings: Settings) -> Shape:
    if not init.divisible:
        raise ConfigError(
            f"students cannot be cut from a model of the architecture {init.architecture}",
            hint=f"set student.init to a checkpoint of {', '.join(ARCHITECTURES)} or to "
            '"scratch", or use another family, such as mlp',
        )
    if settings.hidden_size > init.hidden_size:
        raise ConfigError(
            f"settings.hidden_size is {settings.hidden_size}, but the initial model has {init.hidden_size}",
            hint=f'use 1 to {init.hidden_size}, omit hidden_size, or set student.init = "scratch"',
        )
    return dataclasses.replace(init, hidden_size=settings.hidden_size or init.hidden_size)


def _scratch_shape(init: Shape, settings: Settings) -> Shape:
    """A BERT for the tokens of `init`: same vocabulary, padding id and maximum length, two segment types."""
    hidden_size = settings.hidden_size or init.hidden_size
    return bert_shape(
        vocab_size=init.vocab_size,
        positions=init.longest_input,
        hidden_size=hidden_size,
        ffn_size=settings.ffn_size,
        layers=settings.layers or init.layers,
        head_size=settings.head_size,
        pad_id=init.pad_id,
    )


def bert_shape(
    *, vocab_size: int, positions: int, hidden_size: int, ffn_size: int, layers: int, head_size: int, pad_id: int = 0
) -> Shape:
    """A new BERT; `ffn_size` 0 is four times `hidden_size`. Raises ConfigError if the heads do not divide the width."""
    if hidden_size % head_size:
        raise ConfigError(
            f"hidden_size {hidden_size} is not a multiple of head_size {head_size}",
            hint=f"choose a head_size that divides {hidden_size}",
        )
    heads = hidden_size // head_size
    return Shape(
        "bert", vocab_size, positions, 2, hidden_size, ffn_size or 4 * hidden_size, layers, heads, head_size, pad_id
    )


def kept_layers(shape: Shape, settings: Settings, *, scratch: bool) -> tuple[int, ...]:
    """The layers of the initial model that a student has, by index; `NEW_LAYER` for one that it does not have."""
    if settings.layer_choice == "list":
        return _listed_layers(shape, settings, scratch=scratch)
    wanted = settings.layers or shape.layers
    if scratch:
        return (NEW_LAYER,) * wanted
    if settings.layer_choice == "first":
        return tuple(index if index < shape.layers else NEW_LAYER for index in range(wanted))
    if wanted > shape.layers:
        raise ConfigError(
            f"settings.layers is {wanted}, but the initial model has {shape.layers} layers to choose evenly from",
            hint='use layer_choice = "first", which adds new layers, or fewer layers',
        )
    return even_layers(shape.layers, wanted)


def even_layers(layers: int, wanted: int) -> tuple[int, ...]:
    """`wanted` of `layers` indices, evenly spaced, including the first and the last: 6 of 12 are 0 2 4 7 9 11."""
    gaps = max(wanted - 1, 1)
    return tuple((2 * index * (layers - 1) + gaps) // (2 * gaps) for index in range(wanted))


def _listed_layers(shape: Shape, settings: Settings, *, scratch: bool) -> tuple[int, ...]:
    kept = tuple(settings.layer_list)
    if scratch:
        raise ConfigError(
            'settings.layer_choice is "list", but a student from scratch has no layers to list',
            hint="set settings.layers instead",
        )
    if not kept or any(not 0 <= index < shape.layers for index in kept):
        raise ConfigError(
            f"settings.layer_list is {list(kept)}, but the initial model has layers 0 to {shape.layers - 1}",
            hint="list one or more of them",
        )
    if settings.layers not in (0, len(kept)):
        raise ConfigError(
            f"settings.layers is {settings.layers}, but settings.layer_list names {len(kept)} layers",
            hint="omit settings.layers",
        )
    return kept
