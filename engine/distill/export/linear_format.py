"""The family `linear` in an export: its n-grams and weights, tokenizer and the small source file that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bertdistill.engine.distill.export import linear_onnx
from bertdistill.engine.distill.export.card import CardFacts, Description
from bertdistill.engine.distill.export.tiny_format import LOADING, UNITS, whole_texts
from bertdistill.engine.distill.families import linear_net
from bertdistill.engine.distill.families.linear import LinearModel
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.families.table import unused

ONNX = """

`model.onnx` holds the same model for ONNX Runtime: `input_ids` and `attention_mask` (batch, length) to `logits`. It
fills a row of {features:,} floats for each text, so it is slower and needs more memory than `modeling.py`."""


class LinearFormat:
    """See `distill.export.format.Format`."""

    outputs = ("logits",)
    modeling = linear_net.__file__

    def __init__(self, folder: Path) -> None:
        model = load_model(folder)
        assert isinstance(model, LinearModel)
        self.net, self._config = model.net, model.config

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def tokenizer(self, tokenizer: Any) -> Any:
        return whole_texts(tokenizer)

    def probe(self, batch: int, length: int) -> dict[str, Tensor]:
        """Its own n-grams one after another, the longest first: other ids would be no features."""
        known = torch.cat([one.flatten() for one in reversed(linear_onnx.spelt(self.net))]) % self.net.ngrams.base
        ids = known[torch.arange(batch * length) % len(known)].reshape(batch, length)
        mask = torch.ones_like(ids)
        if self._config["texts"] == 2 and length > 2:
            ids[:, length // 2] = self._config["separator_id"]
        if batch > 1 and length > 2:
            mask[-1, -2:] = 0
        return {"input_ids": ids, "attention_mask": mask}

    def logits(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return (self.net(inputs["input_ids"], inputs["attention_mask"]),)

    def exported(self, folder: Path, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return (linear_net.load(folder).net(inputs["input_ids"], inputs["attention_mask"]),)

    def write_onnx(self, path: Path) -> None:
        linear_onnx.write(self.net, path)

    def describe(self, facts: CardFacts, *, onnx: bool) -> Description:
        config = self._config
        texts = '"A first sentence.", "A second one."' if config["texts"] == 2 else '"A wonderful story."'
        longest = f" of up to {config['ngrams']}" if config["ngrams"] > 1 else ""
        left_out = unused(facts.settings) | {"seed"}
        return Description(
            f"TF-IDF and logistic regression for {facts.task} over {len(self.net.keys):,} n-grams{longest} of "
            f"{UNITS.get(config['units'], config['units'])}",
            LOADING.format(texts=texts) + (ONNX.format(features=len(self.net.keys)) if onnx else ""),
            {name: value for name, value in asdict(facts.settings).items() if name not in left_out},
            tags=("tf-idf", "logistic-regression"),
        )
