"""An ONNX file in 8 bits beside the one in fp32: onnxruntime's dynamic quantisation, checked and scored as it will run.

Its activations are rounded too, by scales computed for each input, so its scores are its own. It needs the packages of
the extra `onnx`.
"""

from __future__ import annotations

import contextlib
import logging
import platform
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.data.examples import Examples
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.export.card import number
from bertdistill.engine.distill.export.scoring import scores_of
from bertdistill.engine.distill.families.model import TOKEN_TYPES, Outputs
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.tasks import SCORERS, Scored
from bertdistill.engine.distill.training.evaluate import features_for
from bertdistill.engine.distill.training.measure import example_batch, latency
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.tasks.table import TASKS

NAME = "model-int8.onnx"
CPU = torch.device("cpu")
MOST_LOST = 2.0
"""Points of the first score; a file that loses more is not kept."""
SMALL = 4096
"""Numbers of a matrix that may stay in fp32, such as segment embeddings that the exporter folded into others."""


@dataclass(frozen=True)
class OnnxModel:
    """A session of ONNX Runtime in one thread. See `distill.families.model.Servable`."""

    session: Any
    net: nn.Module = field(default_factory=nn.Identity)

    @property
    def names(self) -> list[str]:
        """Of its inputs."""
        return [one.name for one in self.session.get_inputs()]

    @property
    def inputs(self) -> AbstractSet[str]:
        return {TOKEN_TYPES} if "token_type_ids" in self.names else frozenset()

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        types = torch.zeros_like(batch.input_ids) if batch.token_types is None else batch.token_types
        given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "token_type_ids": types}
        found = self.session.run(None, {name: given[name].numpy() for name in self.names})
        return Outputs(torch.from_numpy(found[0] if len(found) == 1 else np.stack(found, axis=-1)))


def open_onnx(path: Path) -> OnnxModel:
    """The model in a file."""
    import onnxruntime  # part of the extra

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return OnnxModel(onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]))


def quantise(source: Path, target: Path) -> None:
    """Write the model in `source` with 8-bit matrices: one scale for each output channel, one for each embedding table.

    They have 7 bits on a CPU whose instructions would overflow with 8.
    """
    import onnx  # part of the extra
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    del model.graph.value_info[:]  # the shapes there are those before a Gemm becomes a MatMul, which is then refused
    for node in model.graph.node:
        del node.metadata_props[:]  # where it was in our source: as large as a small model
    with _quiet():
        quantize_dynamic(model, target, weight_type=QuantType.QInt8, per_channel=True, reduce_range=needs_seven_bits())


def needs_seven_bits() -> bool:
    """Whether this CPU adds pairs of products of 8-bit numbers in 16 bits: x86 without VNNI."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        return "vnni" not in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return True


def wide_matrices(path: Path, small: int = SMALL) -> list[str]:
    """Names of the matrices of a file that are not in 8 bits, but for those of at most `small` numbers."""
    import onnx  # part of the extra

    wide = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    return [
        one.name
        for one in onnx.load(path).graph.initializer
        if one.data_type in wide and len(one.dims) > 1 and np.prod(one.dims) > small
    ]


@dataclass(frozen=True)
class Reported:
    """The report split as the model in fp32 answered it."""

    examples: Examples
    features: Features
    scored: Scored
    null_threshold: float | None
    """Above it the model abstains."""
    units: str
    """What the model reads."""


@dataclass(frozen=True)
class Int8:
    """What there is to say about a file. Scores are those of the report split."""

    bytes: int
    scores: Mapping[str, float]
    changed: int
    """Predictions that differ from those of the model."""
    examples: int
    cpu_ms: float
    ratio: float
    """CPU time relative to that of the ONNX file in fp32."""
    bits: int

    def rows(self) -> dict[str, str]:
        """For the model card."""
        found = {f"{name}, report split": number(name, value) for name, value in self.scores.items()}
        found["predictions that differ from the model's"] = f"{self.changed:,} of {self.examples:,}"
        found["file"] = f"{self.bytes / 1e6:,.1f} MB"
        found["CPU time of one example, one thread"] = f"{self.cpu_ms:.2f} ms, {self.ratio:.2f} of model.onnx"
        return found | {"bits of a weight": f"{self.bits}"}

    def facts(self) -> dict[str, float]:
        """Flat, for a table."""
        found: dict[str, float] = {f"onnx_int8_{name}": value for name, value in self.scores.items()}
        found |= {"onnx_int8_changed": self.changed, "onnx_int8_bytes": self.bytes, "onnx_int8_bits": self.bits}
        return found | {"onnx_int8_latency_cpu_ms": self.cpu_ms, "onnx_int8_time_ratio": self.ratio}


def verified(run: Run, source: Path, reported: Reported) -> Int8 | str:
    """Write NAME beside the fp32 ONNX file `source`, score and time it; or the reason why there is none."""
    target = source.with_name(NAME)
    quantise(source, target)
    if wide := wide_matrices(target):
        target.unlink()
        return f"No {NAME}: {len(wide)} of its matrices are not in 8 bits ({wide[0]})."
    found, first = _measured(run, target, source, reported), TASKS[run.spec.task].scores[0]
    lost = reported.scored.metrics[first] - found.scores[first]
    if lost <= MOST_LOST:
        return found
    target.unlink()
    return f"No {NAME}: it loses {lost:.2f} points of {first} on the report split, more than {MOST_LOST:g}."


def _measured(run: Run, target: Path, source: Path, reported: Reported) -> Int8:
    small, large, features = open_onnx(target), open_onnx(source), reported.features
    spec, facts = run.spec, run.spec.prepared.units_of(reported.units)
    outputs = predict(
        small,
        features_for(small, features),
        device=CPU,
        pad_id=facts.pad_id,
        stop=run.stop,
        progress=run.progress("report split in 8 bits", "windows"),
    )
    scored = SCORERS[spec.task](reported.examples, features, outputs, spec.data, null_threshold=reported.null_threshold)
    example = example_batch(small, features, facts.mean_length, facts.pad_id)
    time = latency(small, example, reference=(large, example))
    assert time.ratio is not None
    before = reported.scored.predictions
    return Int8(
        bytes=target.stat().st_size,
        scores=scores_of(spec.task, scored.metrics),
        changed=sum(answer != before[key] for key, answer in scored.predictions.items()),
        examples=len(before),
        cpu_ms=time.cpu_ms,
        ratio=time.ratio,
        bits=7 if needs_seven_bits() else 8,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without onnxruntime's advice to optimise the model first, on the root logger."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)
