"""What the export must know of a family: the files of its models, how to run them, and what their card says.

A family is one module here with a `Format`, and one row in `formats`. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from bertdistill.engine.distill.export.card import CardFacts, Description


class Format(Protocol):
    """The model of one folder, as its export holds it."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its logits."""
        ...

    @property
    def modeling(self) -> str:
        """The source file that is exported as `modeling.py`; "" if the plain transformers format is enough."""
        ...

    def config(self) -> dict[str, Any]:
        """config.json without what every export has."""
        ...

    def tokenizer(self, tokenizer: Any) -> Any:
        """A copy of the tokenizer of its units, with the inputs and the maximum length of this model."""
        ...

    def probe(self, batch: int, length: int) -> dict[str, Tensor]:
        """Synthetic inputs by name, each (batch, length) or shorter, with padding in the last row if there is room."""
        ...

    def logits(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Its outputs."""
        ...

    def exported(self, folder: Path, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The outputs of the exported copy in `folder`, loaded as its users load it."""
        ...

    def write_onnx(self, path: Path) -> None:
        """Write the model with the inputs of `probe` and `outputs`, of any batch size and length."""
        ...

    def describe(self, facts: CardFacts, *, onnx: bool) -> Description:
        """Its part of the card."""
        ...
