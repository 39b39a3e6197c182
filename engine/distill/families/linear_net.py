"""The network of the family linear; exports include this file as `modeling.py`.

It imports only torch, safetensors and tokenizers, because it must also run where the project that trained the model is
not installed.

    from modeling import load
    model = load(".")
    print(model.classify("A wonderful story."))
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

NO_KEY = -1


class NGrams:
    """Numbers the n-grams of texts: the same units in the same order, in the same text of a pair, are one key."""

    def __init__(self, tokenizer_size: int, special_ids: Sequence[int], separator_id: int, texts: int) -> None:
        self.base = tokenizer_size + 1
        self.special_ids, self.separator_id, self.texts = list(special_ids), separator_id, texts

    def keys(self, ids: Tensor, mask: Tensor, longest: int) -> Tensor:
        """The keys of all n-grams of 1 to `longest` units, (batch, longest * length), from ids (batch, length).

        NO_KEY where there is none: n-grams contain no special units, and so never reach from one text into the next.
        """
        special = torch.zeros(self.base, dtype=torch.bool, device=ids.device)
        special[self.special_ids] = True
        real = (mask > 0) & ~special[ids]
        side = (ids == self.separator_id).cumsum(1).clamp(max=1) if self.texts == 2 else torch.zeros_like(ids)
        key, whole, found = torch.zeros_like(ids), torch.ones_like(real), []
        for n in range(longest):
            later = functional.pad(ids, (0, n))[:, n:]
            key = key * self.base + later + 1
            whole = whole & functional.pad(real, (0, n))[:, n:]
            found.append(torch.where(whole, key * 2 + side, NO_KEY))
        return torch.cat(found, dim=1)

    def order(self, keys: Tensor) -> Tensor:
        """Number of units of each n-gram."""
        plain = keys // 2
        return 1 + (plain >= self.base).long() + (plain >= self.base**2).long()


class Linear(nn.Module):
    """TF-IDF of n-grams, scaled to length 1 as by scikit-learn's TfidfVectorizer, and a linear map.

    `keys` are those of the features in ascending order, `idf` their inverse document frequencies.
    """

    keys: Tensor
    idf: Tensor

    def __init__(self, config: Mapping[str, Any], keys: Tensor, idf: Tensor) -> None:
        super().__init__()
        self.ngrams = NGrams(config["tokenizer_size"], config["special_ids"], config["separator_id"], config["texts"])
        self.longest, self.sublinear = config["ngrams"], config["term_frequency"] == "sublinear"
        self.labels = len(config["id2label"])
        outputs = 1 if self.labels == 2 else self.labels
        self.register_buffer("keys", keys)
        self.register_buffer("idf", idf)
        self.weight = nn.Parameter(torch.zeros(len(keys), outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def features(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Row, feature and value of everything that is not 0, by row and then by feature."""
        keys = self.ngrams.keys(ids, mask, self.longest)
        place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        rows, columns = torch.nonzero(self.keys[place] == keys, as_tuple=True)
        cells, counts = torch.unique(rows * len(self.keys) + place[rows, columns], return_counts=True)
        rows, feature = cells // len(self.keys), cells % len(self.keys)
        frequency = counts.to(self.idf.dtype)
        value = (1 + frequency.log() if self.sublinear else frequency) * self.idf[feature]
        squares = torch.zeros(len(ids), dtype=value.dtype, device=ids.device).index_add_(0, rows, value * value)
        return rows, feature, value / squares[rows].sqrt()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits, (batch, labels)."""
        rows, feature, value = self.features(input_ids, attention_mask)
        starts = torch.searchsorted(rows, torch.arange(len(input_ids), device=rows.device))
        summed = functional.embedding_bag(feature, self.weight, starts, mode="sum", per_sample_weights=value)
        return self.logits(summed + self.bias)

    def logits(self, scores: Tensor) -> Tensor:
        """(batch, labels): two labels have one score, the log odds of the second."""
        return scores if self.labels != 2 else torch.cat((-scores / 2, scores / 2), dim=1)


def load_net(folder: str | Path) -> Linear:
    """The network in `folder` (config.json, model.safetensors), ready for inference; every weight must be there."""
    config = json.loads(Path(folder, "config.json").read_text(encoding="utf-8"))
    tensors = load_file(Path(folder, "model.safetensors"))
    net = Linear(config, tensors["keys"], tensors["idf"])
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
        logits = self.net(ids, torch.ones_like(ids))
        return dict(zip(self.labels, logits[0].softmax(-1).tolist(), strict=True))


def load(folder: str | Path) -> Classifier:
    """The model in `folder`."""
    return Classifier(folder)
