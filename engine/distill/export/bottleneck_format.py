"""The family `bottleneck` in an export: the plain format of transformers, which has its layers, unless packed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from bertdistill.engine.contract.spec import FP32
from bertdistill.engine.distill.export.card import CardFacts, Description
from bertdistill.engine.distill.export.encoder_format import EncoderFormat
from bertdistill.engine.families.bottleneck_sizes import inner
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.families.table import unused
from bertdistill.engine.families.vocabulary import PLANNED


class BottleneckFormat:
    """See `distill.export.format.Format`."""

    def __init__(self, folder: Path) -> None:
        self._encoder = EncoderFormat(folder)
        self._shape = Shape.from_config(self._encoder.config())

    @property
    def outputs(self) -> tuple[str, ...]:
        return self._encoder.outputs

    @property
    def modeling(self) -> str:
        return self._encoder.modeling

    def config(self) -> dict[str, Any]:
        return self._encoder.config()

    def tokenizer(self, tokenizer: Any) -> Any:
        return self._encoder.tokenizer(tokenizer)

    def probe(self, batch: int, length: int) -> dict[str, Tensor]:
        return self._encoder.probe(batch, length)

    def logits(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return self._encoder.logits(inputs)

    def exported(self, folder: Path, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return self._encoder.exported(folder, inputs)

    def write_onnx(self, path: Path) -> None:
        self._encoder.write_onnx(path)

    def describe(self, facts: CardFacts, *, onnx: bool) -> Description:
        shape, narrow, encoder = self._shape, inner(self._shape), self._encoder
        return Description(
            f"A MobileBERT for {facts.task} with {shape.layers} layers of width {shape.hidden_size}; inside a "
            f"layer the width is {narrow.size}, with {shape.heads} attention heads and {narrow.ffn_count} feed-forward "
            f"networks of {shape.ffn_size} neurons",
            encoder.loading(facts, onnx=onnx),
            self._settings(facts),
            "transformers" if encoder.plain else "pytorch",
            ("mobilebert", *[encoder.form] * (encoder.form != FP32)),
        )

    def _settings(self, facts: CardFacts) -> dict[str, Any]:
        """The effective settings; sizes are those of the model."""
        shape, narrow, settings = self._shape, inner(self._shape), facts.settings
        rows = asdict(settings) | {
            "vocab_size": shape.vocab_size,
            "layers": shape.layers,
            "heads": shape.heads,
            "hidden_size": shape.hidden_size,
            "ffn_size": shape.ffn_size,
            "embedding_rank": narrow.embedding_size,
            "bottleneck_size": narrow.size,
            "ffn_count": narrow.ffn_count,
            "normalization": narrow.normalization,
        }
        idle = unused(settings) | ({"layer_list"} if settings.layer_choice != "list" else frozenset())
        idle |= frozenset() if facts.init else {"layer_choice"}
        idle |= frozenset() if settings.vocab_size else PLANNED
        return {name: value for name, value in rows.items() if name not in idle}
