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
from bertdistill.engine.distill.export.onnx_file import trace
from bertdistill.engine.distill.families import tiny_net
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.tiny import TinyModel
from bertdistill.engine.distill.families.tiny_net import MASKED, BiLstm, joined
from bertdistill.engine.families.table import unused

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


def whole_texts(tokenizer: Any) -> Any:
    """A copy of the tokenizer that neither truncates nor pads: `modeling.py` sets both."""
    own = copy.deepcopy(tokenizer)
    own.backend_tokenizer.no_truncation()
    own.backend_tokenizer.no_padding()
    return own


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
        return whole_texts(tokenizer)

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

    def write_onnx(self, path: Path) -> None:
        net = _Unpacked(self.net) if isinstance(self.net, BiLstm) else self.net
        trace(_Positional(net), self.probe(2, 9), self.outputs, path)

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
            {name: value for name, value in self._settings(facts).items() if name not in unused(facts.settings)},
        )

    def _settings(self, facts: CardFacts) -> dict[str, Any]:
        """The sizes are those of the model."""
        rows = asdict(facts.settings)
        rows |= {key: self._config[key] for key in rows if key in self._config and key != "units"}
        return rows | {"vocab_size": len(config_kept(self.net)) + 2}


def config_kept(net: nn.Module) -> Tensor:
    """The ids that have an embedding of their own."""
    kept: Tensor = net.get_buffer("embedder.kept")
    return kept


class _Positional(nn.Module):
    """A network with positional inputs and a tuple of logits, as the exporter requires."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (self.net(*inputs),)


class _Unpacked(nn.Module):
    """A BiLstm for the ONNX exporter, which cannot trace packed sequences: ONNX's own LSTM takes lengths instead.

    Outside of an export its outputs are meaningless.
    """

    def __init__(self, net: BiLstm) -> None:
        super().__init__()
        self.net, self.layers, self.size = net, net.lstm.num_layers, net.lstm.hidden_size
        for layer in range(self.layers):
            weights, recurrent = (_gates(net.lstm, name, layer) for name in ("weight_ih", "weight_hh"))
            biases = torch.cat([_gates(net.lstm, name, layer) for name in ("bias_ih", "bias_hh")], dim=1)
            for name, value in (("weights", weights), ("recurrent", recurrent), ("biases", biases)):
                self.register_buffer(f"{name}_{layer}", value.detach())

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits, (batch, labels)."""
        texts = [self._pooled(rows) for rows in self.net.embedder(input_ids)]
        logits: Tensor = self.net.classifier(torch.relu(self.net.hidden(joined(texts))))
        return logits

    def _pooled(self, rows: Tensor) -> Tensor:
        rows, lengths = tiny_net.left_aligned(rows)
        batch, width = rows.shape
        states = last = self.net.embedder.embedding(rows).transpose(0, 1)
        for layer in range(self.layers):
            given = [self.get_buffer(f"{name}_{layer}") for name in ("weights", "recurrent", "biases")]
            every, last = torch.onnx.ops.symbolic_multi_out(
                "LSTM",
                [states, *given, lengths.int()],
                attrs={"hidden_size": self.size, "direction": "bidirectional"},
                dtypes=(torch.float32, torch.float32),
                shapes=((width, 2, batch, self.size), (2, batch, self.size)),
            )
            states = every.transpose(1, 2).reshape(width, batch, 2 * self.size)
        if not self.net.longest:
            return torch.cat((last[0], last[1]), dim=1)
        real = torch.arange(width, device=rows.device)[:, None] < lengths[None, :]
        longest: Tensor = states.masked_fill(~real[..., None], MASKED).amax(0)
        return longest


def _gates(lstm: nn.LSTM, name: str, layer: int) -> Tensor:
    """Parameters of both directions, (2, 4 · size, …), in ONNX's order of gates: torch's is i f g o."""
    directions = []
    for suffix in ("", "_reverse"):
        inner, forget, cell, outer = getattr(lstm, f"{name}_l{layer}{suffix}").chunk(4)
        directions.append(torch.cat((inner, outer, forget, cell)))
    return torch.stack(directions)
