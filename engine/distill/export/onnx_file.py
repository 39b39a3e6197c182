"""The ONNX file of an exported model: whether it can be written, and whether its outputs are those of the model.

The `Format` of a family writes it; `trace` does that for networks that PyTorch can trace.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from bertdistill.engine.distill.export.format import Format

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
TOLERANCE = 1e-3


def missing_for_onnx() -> list[str]:
    """Packages of the extra `onnx` that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


def write_checked(model: Format, path: Path, say: Callable[[str], None]) -> bool:
    """Write the file and compare its outputs with the model's; reports the reason if there is none."""
    if missing := missing_for_onnx():
        say(
            f"No ONNX file: {', '.join(missing)} not installed. Install the extra: pip install 'bertdistill-tui[onnx]'."
        )
        return False
    model.write_onnx(path)
    difference = _difference(model, path)
    if difference < TOLERANCE:
        return True
    path.unlink()
    say(f"No ONNX file: its outputs differ from the model's by {difference:.2g}, more than {TOLERANCE}.")
    return False


def trace(net: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], path: Path) -> None:
    """Write a network with `forward(*inputs)` and a tuple of outputs; batch size and length stay free."""
    free = tuple({0: "batch", 1: "length"} for _ in inputs)
    with _only_errors("torch.onnx"):
        torch.onnx.export(
            net.eval(),
            tuple(inputs.values()),
            path,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=(free,),  # one entry for *inputs
            external_data=False,
            dynamo=True,
            verbose=False,
        )


def _difference(model: Format, path: Path) -> float:
    """Largest difference of any logit over two shapes."""
    import onnxruntime  # part of the extra

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for batch, length in ((1, 5), (3, 17)):
        inputs = model.probe(batch, length)
        got = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        with torch.inference_mode():
            wanted = model.logits(inputs)
        seen = inputs.get("attention_mask", torch.ones(())).bool().numpy()  # outputs at padding are never read
        for mine, other in zip(wanted, got, strict=True):
            gap = np.abs(mine.numpy() - other)
            largest = max(largest, float(gap[seen].max() if gap.shape == seen.shape else gap.max()))
    return largest


@contextmanager
def _only_errors(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
