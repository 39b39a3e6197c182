"""The teacher's embeddings of single units, from which the embeddings of tiny students can start.

`teacher`: its input embeddings, of a word the mean over its pieces. `teacher-output`: its last hidden states for each
unit alone, averaged over its pieces, as in Model2Vec (github.com/MinishLab/model2vec). It trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertdistill.engine.distill.data.batches import padded_length

FILE = "vectors.npy"
BATCH = 256
LONGEST = 32
"""Pieces of a unit that are read; words are shorter."""


def save_vectors(
    folder: Path,
    kind: str,
    teacher: str,
    pieces: Sequence[list[int]],
    around: list[int],
    progress: Callable[[int, int], None],
) -> None:
    """Write one vector for each unit, given by its pieces in the teacher's vocabulary, as fp16.

    `around` are the ids of an empty text: the first goes before the pieces, the others behind them.
    """
    from transformers import AutoModel  # a trial only reads vectors, and these two take seconds

    from bertdistill.engine.distill.families.transformer import quiet

    with quiet():
        model: Any = AutoModel.from_pretrained(teacher, trust_remote_code=False, dtype=torch.float32).eval()
    found = []
    for start in range(0, len(pieces), BATCH):
        part = [one[:LONGEST] for one in pieces[start : start + BATCH]]
        found.append(_input(model, part) if kind == "teacher" else _output(model, part, around))
        progress(min(start + BATCH, len(pieces)), len(pieces))
    np.save(folder / FILE, torch.cat(found).numpy().astype(np.float16))


def load_vectors(folder: Path) -> Tensor:
    """(units, size), fp32, the most frequent unit first."""
    return torch.from_numpy(np.load(folder / FILE, allow_pickle=False).astype(np.float32))


def reduce(vectors: Tensor, size: int) -> Tensor:
    """The first `size` principal components of the vectors; zeros beyond those that there are."""
    centred = vectors - vectors.mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    axes = axes[:size]
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    reduced = centred @ (axes * largest.sign()).T  # signs are arbitrary and would differ between machines
    return torch.nn.functional.pad(reduced, (0, size - reduced.shape[1]))


@torch.inference_mode()
def _input(model: Any, pieces: Sequence[list[int]]) -> Tensor:
    table: Tensor = model.get_input_embeddings().weight
    return torch.stack([table[one].mean(0) if one else torch.zeros(table.shape[1]) for one in pieces])


@torch.inference_mode()
def _output(model: Any, pieces: Sequence[list[int]], around: list[int]) -> Tensor:
    before, after = around[:1], around[1:]
    width = padded_length(max(len(one) for one in pieces) + len(around))
    ids, mask, own = (torch.zeros(len(pieces), width, dtype=torch.long) for _ in range(3))
    for row, one in enumerate(pieces):
        text = [*before, *one, *after]
        ids[row, : len(text)], mask[row, : len(text)] = torch.tensor(text), 1
        own[row, len(before) : len(before) + len(one)] = 1
    states: Tensor = model(input_ids=ids, attention_mask=mask).last_hidden_state
    return (states * own[..., None]).sum(1) / own.sum(1, keepdim=True).clamp(min=1)
