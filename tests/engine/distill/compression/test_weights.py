"""Weights packed for a file: the formula in plain Python, bytes against the arithmetic, and what is left untouched."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import make_checkpoint
from torch import nn

from bertdistill.engine.contract.spec import FP16, FP32, INT4, INT8, WEIGHTS
from bertdistill.engine.distill.compression.weights import embeddings_of, packed, rounded, save_packed, tensor_bytes
from bertdistill.engine.distill.families import standalone, tiny_net
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.standalone import unpacked
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.transformer import load_student


def plainly_rounded(row: list[float], levels: int) -> list[float]:
    """One row or group: the largest magnitude is `levels` steps, a step is an fp16 number, ties go to even."""
    step = float(np.float16(np.float32(max(map(abs, row))) / np.float32(levels)))
    if step == 0:
        return [0.0] * len(row)
    steps = [max(-levels, min(levels, round(float(np.float32(one) / np.float32(step))))) for one in row]
    return [float(np.float32(one) * np.float32(step)) for one in steps]


def plain(matrix: torch.Tensor, levels: int, group: int) -> torch.Tensor:
    rows = [
        [one for start in range(0, len(row), group) for one in plainly_rounded(row[start : start + group], levels)]
        for row in matrix.tolist()
    ]
    return torch.tensor(rows)


def some_matrix(rows: int, columns: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(5)
    scales = 10 ** torch.linspace(-9, 1, rows)[:, None]
    return torch.randn(rows, columns, generator=draw) * scales


@pytest.mark.parametrize("columns", [2, 30, 32, 70, 96])
def test_rounding_is_the_plain_formula(columns: int) -> None:
    """Bit for bit: 8 bits with one scale a row, 4 bits with one for every 32 columns, whatever the magnitude."""
    matrix = some_matrix(40, columns)
    matrix[3] = 0
    assert torch.equal(unpacked(packed({"w": matrix}, INT8, ()))["w"], plain(matrix, 127, columns))
    assert torch.equal(unpacked(packed({"w": matrix}, INT4, ()))["w"], plain(matrix, 127, columns))
    assert torch.equal(unpacked(packed({"w": matrix}, INT4, {"w"}))["w"], plain(matrix, 7, 32))
    assert torch.equal(unpacked(packed({"w": matrix}, FP16, ()))["w"].float(), matrix.half().float())


def test_a_number_is_off_by_at_most_half_a_step() -> None:
    """And by the rounding of the scale, where it is not too small for fp16."""
    matrix = some_matrix(64, 64)[48:]
    error = (unpacked(packed({"w": matrix}, INT8, ()))["w"] - matrix).abs()
    assert bool((error <= matrix.abs().amax(1, keepdim=True) / 127 * (0.5 + 127 * 2**-11)).all())


def test_odd_rows_vectors_and_integers() -> None:
    """Embeddings of odd width stay in 8 bits, vectors become fp16, integers stay what they are."""
    state = {"e": some_matrix(4, 5), "bias": torch.tensor([1 / 3, 1e9]), "ids": torch.tensor([2**40])}
    found = packed(state, INT4, {"e"})
    assert {"e.int8": torch.int8, "e.scales": torch.float16, "bias": torch.float16, "ids": torch.int64} == {
        name: tensor.dtype for name, tensor in found.items()
    }
    assert [float(np.float16(1 / 3)), 65504.0] == found["bias"].tolist()
    assert torch.equal(found["ids"], state["ids"])


@pytest.mark.parametrize("form", WEIGHTS)
def test_rounding_is_stable_and_symmetric(form: str) -> None:
    """A packed network that is packed again is the same one; negative weights are the mirror of positive ones."""
    matrix = some_matrix(30, 64)
    once = unpacked(packed({"w": matrix}, form, {"w"}))["w"].float()
    assert torch.equal(-once, unpacked(packed({"w": -matrix}, form, {"w"}))["w"].float())
    if form != INT4:  # whose coarse scale may change where no number reaches the last step
        assert torch.equal(once, unpacked(packed({"w": once}, form, {"w"}))["w"].float())


def test_every_exported_file_unpacks_alike() -> None:
    """`modeling.py` stands alone, so two of them have their own copy."""
    assert inspect.getsource(standalone.unpacked) == inspect.getsource(tiny_net.unpacked)


@pytest.mark.parametrize("form", WEIGHTS)
def test_rounded_weights_are_there_only_within(form: str) -> None:
    """The parameters are the same objects, so that an optimiser keeps them; also after an exception."""
    net = nn.Sequential(nn.Embedding(7, 32), nn.Linear(32, 3))
    before, objects = {name: one.clone() for name, one in net.state_dict().items()}, list(net.parameters())
    wanted = unpacked(packed(before, form, embeddings_of(net)))

    def interrupted() -> None:
        with rounded(net, form):
            assert all(torch.equal(one, wanted[name].float()) for name, one in net.state_dict().items())
            assert (form == FP32) == torch.equal(net.state_dict()["1.weight"], before["1.weight"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(torch.equal(one, before[name]) for name, one in net.state_dict().items())
    assert all(mine is other for mine, other in zip(net.parameters(), objects, strict=True))


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("form", WEIGHTS)
def test_a_folder_gives_the_rounded_network(tmp_path: Path, kind: Any, form: str) -> None:
    """Bit for bit what was evaluated, and in fp32; config.json says the format."""
    net, kept = load_student(make_checkpoint(tmp_path / "init", kind, head="cls"))
    save_packed(Encoder(net, kept), form, tmp_path / "best")
    config = json.loads((tmp_path / "best" / "config.json").read_text())
    assert ("" if form == FP32 else form) == config.get("bertdistill_weights", "")
    found = load_model(tmp_path / "best").net.state_dict()
    with rounded(net, form):
        assert all(torch.equal(one, found[name]) for name, one in net.state_dict().items())
    assert {torch.float32} == {one.dtype for one in found.values()}


def test_bytes_of_a_file_are_those_of_its_tensors(tmp_path: Path) -> None:
    """Without the header, which is some kB of names."""
    net, kept = load_student(make_checkpoint(tmp_path / "init", "bert", head="cls"))
    save_packed(Encoder(net, kept), INT8, tmp_path)
    tensors = load_file(tmp_path / "model.safetensors").values()
    assert math.fsum(one.numel() * one.element_size() for one in tensors) == tensor_bytes(
        tmp_path / "model.safetensors"
    )
