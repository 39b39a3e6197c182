"""The families `mlp` and `bilstm` in an export: their weights, tokenizer and the small source file that runs them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bertdistill.engine.distill.export.card import CardFacts, Description
from bertdistill.engine.distill.families import tiny_net
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.tiny import TinyModel
from bertdistill.engine.distill.families.tiny_net import MASKED, BiLstm, joined
from bertdistill.engine.families.table import foreign

UNITS = {"": "the pieces of the teacher's tokenizer", "words": "words"}
LOADING = """```python
import sys

folder = "."  # the folder of this file
sys.path.insert(0, folder)
from modeling import load

model = load(folder)
print(model.classify({texts}))
```

`modeling.py` next to this file builds the model; it needs torch, safetensors and tokenizers."""
ONNX = """

`model.onnx` holds the same model for ONNX Runtime: `input_ids` (batch, length), padded with {pad}, to `logits`."""


class TinyFormat:
    """See `distill.export.format.Format`."""

    outputs = ("logits",)
    modeling = tiny_net.__file__

    def __init__(self, folder: Path) -> None:
        model = load_model(folder)
        assert isinstance(model, TinyModel)
        self.net, self._config = model.net, model.config

    def config(self) -> dict[str, Any]:
        return dict(self._config)

    def tokenizer(self, tokenizer: Any) -> Any:
        own = copy.deepcopy(tokenizer)
        own.backend_tokenizer.no_truncation()
        own.backend_tokenizer.no_padding()
        return own

    def probe(self, batch: int, length: int) -> dict[str, Tensor]:
        ids = torch.arange(batch * length).reshape(batch, length) * 7 % self._config["tokenizer_size"]
        if self._config["texts"] == 2 and length > 2:
            ids[:, length // 2] = self._config["separator_id"]
        if batch > 1 and length > 2:
            ids[-1, -2:] = self._config["special_ids"][0]
        return {"input_ids": ids}

    def logits(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return (self.net(inputs["input_ids"]),)

    def exported(self, folder: Path, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        return (tiny_net.load(folder).net(inputs["input_ids"]),)

    def traceable(self) -> nn.Module:
        return (Unpacked(self.net) if isinstance(self.net, BiLstm) else self.net).eval()

    def describe(self, facts: CardFacts, *, onnx: bool) -> Description:
        config, pair = self._config, self._config["texts"] == 2
        kind = "bidirectional LSTM" if isinstance(self.net, BiLstm) else "bag-of-words model (embeddings and an MLP)"
        rows = len(config_kept(self.net)) + 2
        texts = '"A first sentence.", "A second one."' if pair else '"A wonderful story."'
        pad = f"`{config['special_ids'][0]}`"
        return Description(
            f"A {kind} for {facts.task} with {rows:,} embeddings of size {config['embedding_size']}; it reads "
            f"{UNITS.get(config['units'], config['units'])}",
            LOADING.format(texts=texts) + (ONNX.format(pad=pad) if onnx else ""),
            {name: value for name, value in self._settings(facts).items() if name not in foreign(facts.settings)},
        )

    def _settings(self, facts: CardFacts) -> dict[str, Any]:
        """The sizes are those of the model; the temperature has no effect without the soft loss."""
        rows = asdict(facts.settings)
        rows |= {key: self._config[key] for key in rows if key in self._config and key != "units"}
        rows["vocab_size"] = len(config_kept(self.net)) + 2
        return {name: value for name, value in rows.items() if name != "temperature" or facts.settings.alpha}


def config_kept(net: nn.Module) -> Tensor:
    """The ids that have an embedding of their own."""
    kept: Tensor = net.get_buffer("embedder.kept")
    return kept


class Unpacked(nn.Module):
    """A BiLstm without packed sequences, which ONNX exporters cannot trace: each direction reads its own copy.

    The backward direction reads the units of a text in reverse, so that padding comes last for both.
    """

    def __init__(self, net: BiLstm) -> None:
        super().__init__()
        self.net = net
        self.directions = nn.ModuleList()
        for layer in range(net.lstm.num_layers):
            for suffix in ("", "_reverse"):
                one = nn.LSTM(getattr(net.lstm, f"weight_ih_l{layer}").shape[1], net.lstm.hidden_size, batch_first=True)
                one.load_state_dict(
                    {
                        f"{name}_l0": getattr(net.lstm, f"{name}_l{layer}{suffix}")
                        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
                    }
                )
                self.directions.append(one)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits, (batch, labels)."""
        texts = [self._pooled(rows) for rows in self.net.embedder(input_ids)]
        logits: Tensor = self.net.classifier(torch.relu(self.net.hidden(joined(texts))))
        return logits

    def _pooled(self, rows: Tensor) -> Tensor:
        rows, lengths = tiny_net.left_aligned(rows)
        at = torch.arange(rows.shape[1], device=rows.device)[None, :]
        real = at < lengths[:, None]
        mirror = torch.where(real, lengths[:, None] - 1 - at, at)[..., None]
        states = self.net.embedder.embedding(rows)
        for forward, backward in zip(self.directions[::2], self.directions[1::2], strict=True):
            ahead, _ = forward(states)
            back, _ = backward(states.gather(1, mirror.expand_as(states)))
            states = torch.cat((ahead, back.gather(1, mirror.expand_as(back))), dim=2)
        if self.net.longest:
            longest: Tensor = states.masked_fill(~real[..., None], MASKED).amax(1)
            return longest
        half = self.net.lstm.hidden_size
        end = (lengths - 1)[:, None, None].expand(-1, 1, half)
        return torch.cat((states[..., :half].gather(1, end)[:, 0], states[:, 0, half:]), dim=1)
