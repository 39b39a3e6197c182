"""The start of a new MobileBERT: embeddings and task head of its teacher, as far as they fit. It trains nothing.

In MobileBERT both are copied from the teacher, which there has the same embeddings, and only the layers between them
learn by transfer (Sun et al. 2020, arXiv 2004.02984, section 3.5). Of another teacher the word embeddings are
approximated by those of the student's size, and a normalisation by what the student has.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from bertdistill.engine.distill.families.standalone import NAMES
from bertdistill.engine.families.encoder_plan import ARCHITECTURES, OFFSET

TANH_HEADS = ("bert", "roberta")
"""Architectures whose classification head is that of a MobileBERT: a dense layer, tanh, the classes."""


@torch.no_grad()
def start_from(student: Any, teacher: Any) -> None:
    """Copy what fits; nothing if the hidden states have another size, or the teacher is another kind of network."""
    config, theirs = student.config, teacher.config
    if theirs.model_type not in ARCHITECTURES or theirs.hidden_size != config.hidden_size:
        return
    own, other = (model.base_model.embeddings for model in (student, teacher))
    words = other.word_embeddings.weight
    _factorise(words, own, trigram=config.trigram_input)
    first = (theirs.pad_token_id or 0) + 1 if theirs.model_type in OFFSET else 0
    positions = other.position_embeddings.weight[first:][: config.max_position_embeddings]
    own.position_embeddings.weight[: len(positions)] = positions
    types = getattr(other, "token_type_embeddings", None)
    kinds = words.new_zeros(1, words.shape[1]) if types is None else types.weight
    own.token_type_embeddings.weight.copy_(kinds[[min(kind, len(kinds) - 1) for kind in (0, 1)]])
    _normalise(own.LayerNorm, other.LayerNorm, words + positions.mean(0) + kinds[0])
    _copy_head(student, teacher)


def _factorise(words: Tensor, own: Any, *, trigram: bool) -> None:
    """The best approximation of the table: W V of the middle token, nothing of its neighbours."""
    size, hidden = own.embedding_size, words.shape[1]
    rank = min(size, hidden)
    right = torch.linalg.eigh(words.double().T @ words.double())[1].flip(1)[:, :rank].to(words.dtype)
    own.word_embeddings.weight.zero_()
    own.word_embeddings.weight[:, :rank] = words @ right
    linear = own.embedding_transformation
    linear.bias.zero_()
    linear.weight.zero_()
    begin = size if trigram else 0
    linear.weight[:, begin : begin + rank] = right


def _normalise(own: nn.Module, other: Any, sums: Tensor) -> None:
    """The teacher's LayerNorm or, as a scale and a shift alone, what it is on average over `sums` (rows, width)."""
    weight, bias = (own.get_parameter(name) for name in ("weight", "bias"))
    middle, spread = (0.0, 1.0) if isinstance(own, nn.LayerNorm) else (sums.mean(), sums.std(-1, correction=0).mean())
    weight.copy_(other.weight / spread)
    bias.copy_(other.bias - other.weight * middle / spread)


def _copy_head(student: Any, teacher: Any) -> None:
    if hasattr(student, "qa_outputs"):
        student.get_submodule("qa_outputs").load_state_dict(teacher.get_submodule("qa_outputs").state_dict())
        return
    kinds = [str(getattr(model.config, "model_type", "")) for model in (student, teacher)]
    if kinds[1] not in TANH_HEADS:
        return
    mine, theirs = (NAMES[kind].head for kind in kinds)
    for (path, name), (their_path, their_name) in zip(mine, theirs, strict=True):
        source = teacher.get_submodule(their_path).get_submodule(their_name)
        student.get_submodule(path).get_submodule(name).load_state_dict(source.state_dict())
