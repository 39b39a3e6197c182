"""The ONNX file in 8 bits: when it is kept, how its model is called, and on which CPU it has 7 bits.

`test_promotion` writes and scores a real one, where the packages are installed.
"""

from __future__ import annotations

import platform
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.export import onnx_int8
from bertdistill.engine.distill.export.onnx_int8 import NAME, Int8, OnnxModel, needs_seven_bits, verified
from bertdistill.engine.distill.run import Run


@dataclass
class Input:
    name: str


@dataclass
class Session:
    """ONNX Runtime's, as far as it is used."""

    names: tuple[str, ...]
    outputs: list[Any]
    given: Mapping[str, Any] | None = None

    def get_inputs(self) -> list[Input]:
        return [Input(name) for name in self.names]

    def run(self, outputs: None, given: Mapping[str, Any]) -> list[Any]:
        self.given = given
        return self.outputs


def batch() -> Batch:
    ids = torch.tensor([[2, 7, 3], [2, 3, 0]])
    return Batch(np.arange(2), True, ids, (ids > 0).long(), None, torch.zeros(2, dtype=torch.long))


def test_a_session_is_called_with_the_inputs_that_it_names() -> None:
    """Segment ids are zeros where a tokenizer has none; a classifier has one output."""
    logits = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    session = Session(("input_ids", "attention_mask", "token_type_ids"), [logits])
    model = OnnxModel(session)
    assert torch.equal(model(batch()).logits, torch.from_numpy(logits))
    assert {"token_types"} == model.inputs
    assert session.given is not None
    assert ([[1, 1, 1], [1, 1, 0]], 0) == (
        session.given["attention_mask"].tolist(),
        int(session.given["token_type_ids"].sum()),
    )
    assert frozenset() == OnnxModel(Session(("input_ids",), [logits])).inputs


def test_the_two_outputs_of_spans_are_one() -> None:
    """(batch, length, 2), as of any model."""
    start, end = np.ones((2, 3), np.float32), np.zeros((2, 3), np.float32)
    found = OnnxModel(Session(("input_ids",), [start, end]))(batch()).logits
    assert (2, 3, 2) == tuple(found.shape)
    assert bool((found[..., 0] == 1).all())


@pytest.mark.parametrize(("machine", "seven"), [("x86_64", None), ("AMD64", None), ("arm64", False)])
def test_seven_bits_are_for_x86_without_vnni(machine: str, seven: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other CPUs do not add products in 16 bits. Where the flags cannot be read, 7 bits are safe."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    for flags, expected in (("avx2", True), ("avx512f avx512_vnni", False), (None, True)):
        monkeypatch.setattr(Path, "read_text", _reader(flags))
        assert needs_seven_bits() == (expected if seven is None else seven)


def _reader(flags: str | None) -> Any:
    def read(self: Path, encoding: str) -> str:
        if flags is None:
            raise FileNotFoundError(self)
        return f"flags: {flags}"

    return read


@pytest.mark.parametrize(
    ("wide", "accuracy", "reason"),
    [
        ([], 88.0, ""),
        ([], 86.5, ""),
        ([], 85.9, "it loses 2.10 points of accuracy on the report split, more than 2."),
        (["embeddings"], 88.0, "1 of its matrices are not in 8 bits (embeddings)."),
    ],
)
def test_a_file_that_is_no_good_is_not_kept(
    wide: list[str], accuracy: float, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the reason is given."""
    made = Int8(10, {"accuracy": accuracy}, 3, 20, 1.0, 0.5, 8)
    monkeypatch.setattr(onnx_int8, "quantise", lambda source, target: target.write_bytes(b"x"))
    monkeypatch.setattr(onnx_int8, "wide_matrices", lambda path: wide)
    monkeypatch.setattr(onnx_int8, "_measured", lambda *_: made)
    found = verified(_run(tmp_path), tmp_path / "model.onnx", _Reported(_Scored({"accuracy": 88.0})))  # type: ignore[arg-type]  # only the scores are read
    assert (f"No {NAME}: {reason}" if reason else made) == found
    assert (tmp_path / NAME).exists() == (not reason)


@dataclass
class _Scored:
    metrics: dict[str, float]


@dataclass
class _Reported:
    scored: _Scored


def _run(folder: Path) -> Run:
    spec = AttemptSpec(
        kind="promote",
        study="s",
        task="text-classification",
        data=DataSpec(),
        teacher=TeacherSpec(),
        student=StudentSpec(),
        settings=Settings(),
        device=Device(),
        caches="",
    )
    paths = RunPaths(folder)
    return Run(spec, paths, EventWriter(paths.events), threading.Event(), torch.device("cpu"))
