"""The networks of the families mlp and bilstm; exports include this file as `modeling.py`.

It imports only torch, safetensors and tokenizers, because it must also run where the project that trained the model is
not installed.

    from modeling import load
    model = load(".")
    print(model.classify("A wonderful story."))
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FAMILY = "bertdistill_family"
MASKED = -1e4
FAR = 1 << 20


class Embedder(nn.Module):
    """Ids of the tokenizer to rows of the embeddings: 0 is no unit, 1 any unit without a row of its own.

    Special ids are no units. The first text of a pair ends with the first separator, also with one that is spelt out in
    it ("[SEP]"): tokenizers read that as the mark itself.
    """

    kept: Tensor
    row: Tensor

    def __init__(self, config: Mapping[str, Any], kept: Tensor) -> None:
        super().__init__()
        row = torch.ones(config["tokenizer_size"], dtype=torch.long)
        row[kept.long()] = torch.arange(2, len(kept) + 2)
        row[config["special_ids"]] = 0
        self.register_buffer("kept", kept)  # the ids that have a row, in the order of the rows
        self.register_buffer("row", row, persistent=False)
        self.embedding = nn.Embedding(len(kept) + 2, config["embedding_size"], padding_idx=0)
        self.texts, self.separator_id = config["texts"], config["separator_id"]
        self.word_dropout = config.get("word_dropout", 0.0)

    def forward(self, ids: Tensor) -> list[Tensor]:
        """The rows of each text, (batch, length), from the ids of all of them."""
        rows = self.row[ids]
        if self.training and self.word_dropout:
            rows = rows * (torch.rand(rows.shape, device=rows.device) >= self.word_dropout)
        if self.texts == 1:
            return [rows]
        second = (ids == self.separator_id).cumsum(1) > 0
        return [rows * ~second, rows * second]


def joined(texts: list[Tensor]) -> Tensor:
    """One text as it is; two as [a, b, |a - b|, a · b]."""
    if len(texts) == 1:
        return texts[0]
    first, second = texts
    return torch.cat((first, second, (first - second).abs(), first * second), dim=1)


def left_aligned(rows: Tensor) -> tuple[Tensor, Tensor]:
    """The units of each text first, in their order, and their number, at least 1."""
    real = rows > 0
    # Keys that all differ, because ONNX has no stable sort.
    order = torch.arange(rows.shape[1], device=rows.device) + FAR * ~real
    return rows.gather(1, order.argsort(1)), real.sum(1).clamp(min=1)


class Mlp(nn.Module):
    """A bag of words: the mean of the embeddings, or a weighted one, and one hidden layer."""

    def __init__(self, config: Mapping[str, Any], kept: Tensor) -> None:
        super().__init__()
        size, hidden = config["embedding_size"], config["hidden_size"]
        self.embedder = Embedder(config, kept)
        self.attention = nn.Linear(size, 1, bias=False) if config["pooling"] == "attention" else None
        self.hidden = nn.Linear(size if config["texts"] == 1 else 4 * size, hidden)
        self.classifier = nn.Linear(hidden, len(config["id2label"]))

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits, (batch, labels)."""
        texts = [self._pooled(rows) for rows in self.embedder(input_ids)]
        logits: Tensor = self.classifier(torch.relu(self.hidden(joined(texts))))
        return logits

    def _pooled(self, rows: Tensor) -> Tensor:
        units = self.embedder.embedding(rows)  # zero where there is no unit
        if self.attention is None:
            mean: Tensor = units.sum(1) / (rows > 0).sum(1, keepdim=True).clamp(min=1)
            return mean
        scores = self.attention(units).masked_fill((rows == 0)[..., None], MASKED)
        weighted: Tensor = (scores.softmax(1) * units).sum(1)
        return weighted


class BiLstm(nn.Module):
    """A bidirectional LSTM, and one dense layer."""

    def __init__(self, config: Mapping[str, Any], kept: Tensor) -> None:
        super().__init__()
        hidden, layers, drop = config["hidden_size"], config["layers"], config.get("dropout", 0.0)
        self.embedder = Embedder(config, kept)
        self.lstm = nn.LSTM(
            config["embedding_size"],
            hidden,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=drop if layers > 1 else 0.0,
        )
        self.longest = config["pooling"] == "max"
        self.hidden = nn.Linear(2 * hidden if config["texts"] == 1 else 8 * hidden, config["ffn_size"])
        self.dropout = nn.Dropout(drop)
        self.classifier = nn.Linear(config["ffn_size"], len(config["id2label"]))

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits, (batch, labels)."""
        texts = [self._pooled(rows) for rows in self.embedder(input_ids)]
        logits: Tensor = self.classifier(self.dropout(torch.relu(self.hidden(joined(texts)))))
        return logits

    def _pooled(self, rows: Tensor) -> Tensor:
        rows, lengths = left_aligned(rows)
        packed = pack_padded_sequence(
            self.embedder.embedding(rows), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, (last, _) = self.lstm(packed)
        if not self.longest:
            return torch.cat((last[-2], last[-1]), dim=1)
        padded, _ = pad_packed_sequence(states, batch_first=True, padding_value=MASKED)
        return padded.amax(1)


NETS: dict[str, type[Mlp | BiLstm]] = {"mlp": Mlp, "bilstm": BiLstm}


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


def load_net(folder: str | Path) -> Mlp | BiLstm:
    """The network in `folder` (config.json, model.safetensors), ready for inference; every weight must be there."""
    config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    tensors = unpacked(load_file(Path(folder, "model.safetensors")))
    net = NETS[config[FAMILY]](config, tensors["embedder.kept"])
    net.load_state_dict(tensors, strict=True)
    return net.eval()


class Classifier:
    """A network with its tokenizer and the names of its labels."""

    def __init__(self, folder: str | Path) -> None:
        config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
        self.net = load_net(folder)
        self.labels = [config["id2label"][key] for key in sorted(config["id2label"], key=int)]
        self.tokenizer = Tokenizer.from_file(str(Path(folder, "tokenizer.json")))
        self.tokenizer.enable_truncation(config["max_length"])
        self.tokenizer.no_padding()

    @torch.inference_mode()
    def classify(self, text: str, pair: str | None = None) -> dict[str, float]:
        """The probability of every label."""
        ids = torch.tensor([self.tokenizer.encode(text, pair).ids])
        return dict(zip(self.labels, self.net(ids)[0].softmax(-1).tolist(), strict=True))


def load(folder: str | Path) -> Classifier:
    """The model in `folder`."""
    return Classifier(folder)
