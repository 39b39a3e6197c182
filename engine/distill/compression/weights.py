"""Weights in the number format that a student is stored in: packed for its file, rounded for every evaluation.

Only weights are rounded, after training or in the middle of it; training continues with the fp32 ones. Files are
unpacked by `distill.families.standalone.unpacked`, whose result is the same on every machine: one multiplication of two
fp32 numbers for each weight. How many bytes a file has is `engine.families.stored`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bertdistill.engine.contract.spec import FP16, FP32, INT4
from bertdistill.engine.distill.families.model import FORM, Model
from bertdistill.engine.distill.families.standalone import unpacked
from bertdistill.engine.families.stored import GROUP

LARGEST_FP16 = 65504.0
INT8_LEVELS, INT4_LEVELS = 127, 7
"""The largest numbers in use; the smallest are their negatives, so that 0 stays 0."""


def packed(state: Mapping[str, Tensor], form: str, embeddings: Collection[str]) -> dict[str, Tensor]:
    """The tensors of a model file in this number format; `embeddings` are the names of those.

    Matrices become `NAME.int8` (rows, columns) or, embeddings in 4 bits, `NAME.int4` (rows, columns / 2) with their
    `NAME.scales`; other numbers become fp16, and integers stay.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        plain = tensor.detach().cpu().contiguous()
        if form == FP32 or not plain.is_floating_point():
            found[name] = plain
        elif form == FP16 or plain.ndim != 2:
            found[name] = _half(plain)
        elif form == INT4 and name in embeddings and plain.shape[1] % 2 == 0:
            found[f"{name}.int4"], found[f"{name}.scales"] = _int4(plain)
        else:
            found[f"{name}.int8"], found[f"{name}.scales"] = _int8(plain)
    return found


def _half(tensor: Tensor) -> Tensor:
    return tensor.clamp(-LARGEST_FP16, LARGEST_FP16).half()


def _int8(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric, one scale a row: (rows, columns) int8 and (rows, 1) fp16."""
    scales = _half(matrix.abs().amax(1, keepdim=True) / INT8_LEVELS)
    return _steps(matrix, scales, INT8_LEVELS).to(torch.int8), scales


def _int4(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Symmetric, one scale for every GROUP columns; even columns in the low four bits, plus 8, odd ones in the high.

    (rows, columns / 2) uint8 and (rows, groups) fp16.
    """
    rows, columns = matrix.shape
    groups = nn.functional.pad(matrix, (0, -columns % GROUP)).reshape(rows, -1, GROUP)
    scales = _half(groups.abs().amax(2, keepdim=True) / INT4_LEVELS)
    steps = (_steps(groups, scales, INT4_LEVELS) + 8).to(torch.uint8).reshape(rows, -1)[:, :columns]
    return (steps[:, ::2] | steps[:, 1::2] << 4).contiguous(), scales[..., 0].contiguous()


def _steps(numbers: Tensor, scales: Tensor, levels: int) -> Tensor:
    """Whole multiples of the scales as they are stored; 0 where a scale is."""
    wide = scales.float()
    return (numbers / torch.where(wide > 0, wide, torch.inf)).round().clamp(-levels, levels)


def embeddings_of(net: nn.Module) -> frozenset[str]:
    """Names of the weights of embeddings."""
    return frozenset(f"{name}.weight" for name, part in net.named_modules() if isinstance(part, nn.Embedding))


@contextmanager
def rounded(net: nn.Module, form: str) -> Iterator[None]:
    """Within it the weights are those that the file of this format gives; after it, exactly what they were."""
    if form == FP32:
        yield
        return
    own = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
    net.load_state_dict(unpacked(packed(own, form, embeddings_of(net))))
    try:
        yield
    finally:
        net.load_state_dict(own)


def save_packed(model: Model, form: str, folder: Path) -> None:
    """Save the model with its weights in this format; config.json says which."""
    model.save(folder)
    if form == FP32:
        return
    tensors = packed(model.net.state_dict(), form, embeddings_of(model.net))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {FORM: form}
    if form == FP16 and "dtype" in config:
        config["dtype"] = "float16"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def tensor_bytes(file: Path) -> int:
    """Bytes of a safetensors file without its header."""
    with file.open("rb") as opened:
        return file.stat().st_size - 8 - int.from_bytes(opened.read(8), "little")
