"""The interface of a network in the worker: it is called with a batch, trained, saved and loaded.

A family is one module here with a `Builder`, and one row in `table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.spec import Settings

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.batches import Batch
    from bertdistill.engine.distill.data.features import Features

FAMILY = "bertdistill_family"
"""Key of config.json that names the family of the network; without it, it is a transformer."""
FORM = "bertdistill_weights"
"""Key of config.json that names the number format of the file, see `settings.weights`; without it, it is fp32."""
TOKEN_TYPES = "token_types"
"""Input: segment ids."""


class Projections(NamedTuple):
    """Queries, keys and values of one layer, each (batch, length, heads · head size)."""

    query: Tensor
    key: Tensor
    value: Tensor
    heads: int


@dataclass(frozen=True)
class Outputs:
    """One forward pass.

    `logits`: (batch, length, 2) where answers are spans, else (batch, labels). `hidden`: of the embeddings and of each
    layer, (batch, length, width). `attentions`: of each layer, (batch, heads, length, length). `projections`: of some
    layers, counted from 1. The last three are empty unless requested.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...] = ()
    attentions: tuple[Tensor, ...] = ()
    projections: Mapping[int, Projections] = field(default_factory=dict)


class Servable(Protocol):
    """Anything that can be scored, measured and queried: a model, a cascade of two, a sub-network."""

    @property
    def net(self) -> nn.Module:
        """Everything that must be on the device; its mode applies to all parts."""
        ...

    @property
    def inputs(self) -> AbstractSet[str]:
        """Fields of a batch that it reads besides ids and mask, such as TOKEN_TYPES."""
        ...

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs: ...


class Model(Servable, Protocol):
    """A servable that can also be trained."""

    @property
    def units(self) -> str:
        """What it reads: "" for the teacher's tokens, or the name of other units in `Prepared.units`."""
        ...

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        """Write config.json, model.safetensors and optionally the tokenizer into `folder`."""
        ...


def own_tokenizer(model: Model) -> Any | None:
    """The tokenizer of a model that no preparation has, such as one with a smaller vocabulary."""
    return getattr(model, "tokenizer", None)


@runtime_checkable
class Fitted(Model, Protocol):
    """A model that is fitted to the training data as a whole instead of being trained step by step."""

    def fit(self, features: Features, settings: Settings, teacher: Mapping[str, npt.NDArray[np.float16]]) -> None:
        """Replace the weights. `teacher` holds its signals, aligned with `features`; targets below 0 are no labels."""
        ...


class Builder(Protocol):
    """One family of networks."""

    def build(self, spec: AttemptSpec) -> Model:
        """The student of `spec.settings` with its initial weights, which depend only on `settings.seed`."""
        ...

    def load(self, folder: Path) -> Model:
        """The model written by `Model.save`, in evaluation mode; ConfigError if it is not complete."""
        ...
