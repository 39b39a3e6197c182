"""An encoder with the head of a masked language model, whose output embeddings are the input embeddings.

The head is of the pre-training alone: no student has it, counts it or saves it. It trains nothing.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import TOKEN_TYPES, Outputs
from bertdistill.engine.distill.families.seeded import seeded
from bertdistill.engine.distill.families.standalone import LowRankEmbedding
from bertdistill.engine.families.encoder_plan import KEPT_WIDTH

INITIAL_DEVIATION = 0.02
NAMES: dict[str, dict[str, tuple[str, ...]]] = {
    "bert": {
        "dense": ("cls.predictions.transform.dense",),
        "norm": ("cls.predictions.transform.LayerNorm",),
        "bias": ("cls.predictions.bias", "cls.predictions.decoder.bias"),
    },
    "distilbert": {"dense": ("vocab_transform",), "norm": ("vocab_layer_norm",), "bias": ("vocab_projector.bias",)},
    "roberta": {
        "dense": ("lm_head.dense",),
        "norm": ("lm_head.layer_norm",),
        "bias": ("lm_head.bias", "lm_head.decoder.bias"),
    },
}
"""By architecture, where checkpoints keep the parts of this head."""
OLD = {"weight": "gamma", "bias": "beta"}
"""Names of the parameters of a LayerNorm in checkpoints converted from TensorFlow, such as the 24 published ones."""


class MaskedHead(nn.Module):
    """Hidden states (tokens, width) to logits (tokens, vocabulary): linear, GELU, LayerNorm, embeddings, bias.

    As BERT's. With embeddings of another size than the states, such as those of low rank, the linear layer ends in
    theirs, as in ALBERT.
    """

    def __init__(self, width: int, embeddings: int, vocabulary: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, embeddings)
        self.norm = nn.LayerNorm(embeddings, eps=1e-12)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        nn.init.normal_(self.dense.weight, std=INITIAL_DEVIATION)
        nn.init.zeros_(self.dense.bias)

    def forward(self, states: Tensor, table: Tensor) -> Tensor:
        found: Tensor = self.norm(nn.functional.gelu(self.dense(states))) @ table.T + self.bias
        return found


class MaskedNetwork(nn.Module):
    """The encoder of a student and such a head."""

    def __init__(self, encoder: Any, head: MaskedHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.train()

    def train(self, mode: bool = True) -> MaskedNetwork:
        """Always in evaluation mode: without dropout, students that differ in dropout alone share the result."""
        super().train(False)
        return self

    @property
    def table(self) -> Tensor:
        """The word embeddings, (vocabulary, size)."""
        found = self.encoder.get_input_embeddings()
        weight: Tensor = found.factors.weight if isinstance(found, LowRankEmbedding) else found.weight
        if getattr(self.encoder.config, "trigram_input", False):
            # A MobileBERT reads padding beside the last token, so its embedding must stay 0.
            weight = weight.index_fill(0, torch.tensor(found.padding_idx, device=weight.device), 0)
        return weight

    def logits(self, states: Tensor) -> Tensor:
        """Of hidden states (tokens, width)."""
        found: Tensor = self.head(states, self.table)
        return found


@dataclass(frozen=True)
class MaskedModel:
    """See `distill.families.model.Model`; its logits are the hidden states, which the head reads where it must."""

    net: MaskedNetwork
    inputs: AbstractSet[str]
    units: str = ""

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        inputs: dict[str, Any] = {"input_ids": batch.input_ids}
        if batch.padded:
            inputs["attention_mask"] = batch.attention_mask
        if batch.token_types is not None and TOKEN_TYPES in self.inputs:
            inputs["token_type_ids"] = batch.token_types
        return Outputs(self.net.encoder(**inputs).last_hidden_state)

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        """Write the weights of both parts."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.net.state_dict().items()}
        save_file(tensors, folder / "model.safetensors")


def masked_model(student: Encoder, init: Path | None, seed: int) -> MaskedModel:
    """The student's encoder with a head: that of the checkpoint `init` if it has one of this size, or a new one."""
    encoder: Any = student.net.base_model
    words = encoder.get_input_embeddings()
    table = words.factors.weight if isinstance(words, LowRankEmbedding) else words.weight
    with seeded(seed):
        width = getattr(encoder.config, KEPT_WIDTH, None) or encoder.config.hidden_size
        head = MaskedHead(width, table.shape[1], table.shape[0])
    if init is not None:
        _load_head(head, init, encoder.config.model_type)
    nn.Module.to(head, table.device)
    return MaskedModel(MaskedNetwork(encoder, head), student.inputs, student.units)


def _load_head(head: MaskedHead, folder: Path, architecture: str) -> None:
    """The parts of the head that the checkpoint has in the same size."""
    own = dict(head.named_parameters())
    with torch.no_grad():
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as stored:
                names = set(stored.keys())
                for name, parameter in own.items():
                    for candidate in _stored_names(architecture, name):
                        if candidate in names and stored.get_slice(candidate).get_shape() == list(parameter.shape):
                            parameter.copy_(stored.get_tensor(candidate))


def _stored_names(architecture: str, name: str) -> list[str]:
    part, _, kind = name.partition(".")
    bases = NAMES.get(architecture, {}).get(part, ())
    return [one for base in bases for one in ((f"{base}.{kind}", f"{base}.{OLD[kind]}") if kind else (base,))]
