"""What a MobileBERT has besides the sizes of any encoder, and how its config.json names them. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract.errors import ConfigError

NO_NORM, LAYER_NORM = "no_norm", "layer_norm"
QUARTER = 4
"""Inner width and embeddings of the authors' models are a quarter of the hidden size, 128 of 512."""
LARGEST = 1 << 14
"""Far beyond any real MobileBERT: building what a config describes costs time and memory."""
STACKED = 4
"""Their feed-forward networks in a layer."""


@dataclass(frozen=True)
class Bottleneck:
    """The sizes and options that only a MobileBERT has (Sun et al. 2020, arXiv 2004.02984)."""

    size: int
    """Width inside a layer: of its attention and feed-forward networks."""
    embedding_size: int
    ffn_count: int = STACKED
    """Feed-forward networks in a layer, one after the other."""
    normalization: str = NO_NORM
    trigram: bool = True
    """Whether the embeddings of three neighbouring tokens become one hidden state."""
    shared: bool = True
    """Whether queries and keys have a bottleneck of their own."""
    narrow_values: bool = False
    """Whether queries, keys and values all read the bottleneck of the residual stream instead."""
    pooler: bool = True
    """Whether the classification head has a dense layer."""

    @staticmethod
    def from_config(config: Mapping[str, Any], heads: int) -> Bottleneck:
        """Those of a checkpoint with so many heads; ConfigError if its layers are others than students have."""
        if not config.get("use_bottleneck", True):
            raise ConfigError("its layers have no bottleneck", hint="use a MobileBERT with use_bottleneck = true")
        found = Bottleneck(
            size=_size(config, "intra_bottleneck_size", 128),
            embedding_size=_size(config, "embedding_size", 128),
            ffn_count=_size(config, "num_feedforward_networks", STACKED),
            normalization=str(config.get("normalization_type", NO_NORM)),
            trigram=bool(config.get("trigram_input", True)),
            shared=bool(config.get("key_query_shared_bottleneck", True)),
            narrow_values=bool(config.get("use_bottleneck_attention", False)),
            pooler=bool(config.get("classifier_activation", True)),
        )
        if found.normalization not in (NO_NORM, LAYER_NORM):
            raise ConfigError(f"normalization_type {found.normalization!r} is not known", hint="download it again")
        if not (found.shared or found.narrow_values):
            raise ConfigError(
                "its queries and keys read the residual stream, which transformers cannot compute",
                hint="use a MobileBERT with key_query_shared_bottleneck or use_bottleneck_attention",
            )
        if found.size % heads:
            raise ConfigError(
                f"intra_bottleneck_size {found.size} is not a multiple of {heads} heads in config.json",
                hint="download the model again",
            )
        return found

    def to_config(self) -> dict[str, Any]:
        """The same by the names of MobileBertConfig."""
        return {
            "intra_bottleneck_size": self.size,
            "embedding_size": self.embedding_size,
            "num_feedforward_networks": self.ffn_count,
            "normalization_type": self.normalization,
            "trigram_input": self.trigram,
            "key_query_shared_bottleneck": self.shared,
            "use_bottleneck_attention": self.narrow_values,
            "classifier_activation": self.pooler,
        }


def _size(config: Mapping[str, Any], key: str, missing: int) -> int:
    """Transformers omits defaults from config.json."""
    value = config.get(key, missing)
    if type(value) is not int or not 1 <= value <= LARGEST:
        raise ConfigError(
            f"config.json has no usable {key}: it must be 1 to {LARGEST:,}", hint="download the model again"
        )
    return value
