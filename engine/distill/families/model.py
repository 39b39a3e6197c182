"""What a network is to the rest of the worker: something that is called with a batch, trained, saved and loaded again.

A family is one module here with a `Builder`, and one row in `table`.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from bertdistill.engine.contract.spec import AttemptSpec

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.batches import Batch

TOKEN_TYPES = "token_types"
"""Input: segment ids."""


@dataclass(frozen=True)
class Outputs:
    """One forward pass.

    `logits`: (batch, length, 2) where answers are spans, else (batch, labels). `hidden`: of the embeddings and of each
    layer, (batch, length, width). `attentions`: of each layer, (batch, heads, length, length). The last two are empty
    unless they were asked for.
    """

    logits: Tensor
    hidden: tuple[Tensor, ...] = ()
    attentions: tuple[Tensor, ...] = ()


class Servable(Protocol):
    """What can be scored, measured and asked: a model, a cascade of two, a sub-network."""

    @property
    def net(self) -> nn.Module:
        """Everything that has to be on the device; its mode is that of all of its parts."""
        ...

    @property
    def inputs(self) -> AbstractSet[str]:
        """Fields of a batch that it reads beyond ids and mask, such as TOKEN_TYPES."""
        ...

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs: ...


class Model(Servable, Protocol):
    """What can be trained as well."""

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        """Write config.json, model.safetensors and perhaps the tokenizer into `folder`."""
        ...


class Builder(Protocol):
    """One family of networks."""

    def build(self, spec: AttemptSpec) -> Model:
        """The student of `spec.settings` with its first weights, which depend on `settings.seed` alone."""
        ...

    def load(self, folder: Path) -> Model:
        """What `Model.save` wrote, in evaluation mode; ConfigError when it is not complete."""
        ...
