"""The family linear as ONNX: TfIdfVectorizer counts its n-grams, a few operators do the rest.

The graph is built by hand, because ONNX cannot look up sorted keys, which is what the network does. It trains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bertdistill.engine.distill.families.linear_net import Linear

OPSET, IR = 18, 10
INT64 = 7
"""`onnx.TensorProto.INT64`."""
NOTHING = -1
"""Marks a place without text; no n-gram contains it."""
LEAST = 1e-30
"""Length of the vector of a text without any feature, which stays 0."""


def write(net: Linear, path: Path) -> None:
    """`input_ids` and `attention_mask`, int64 (batch, length), to `logits`, float32 (batch, labels)."""
    from onnx import TensorProto, checker, helper, numpy_helper, save  # part of the extra

    shape, labels = ["batch", "length"], net.labels
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])]
    nodes = [helper.make_node(*one, **more) for *one, more in _nodes(net)]
    used = {name for node in nodes for name in node.input}
    constants = [numpy_helper.from_array(value, name) for name, value in _constants(net).items() if name in used]
    graph = helper.make_graph(nodes, "linear", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    checker.check_model(model)
    save(model, str(path))


def _constants(net: Linear) -> dict[str, Any]:
    weights = {name: getattr(net, name).detach().numpy() for name in ("idf", "weight", "bias")}
    numbers = {"nothing": NOTHING, "none": 0, "separator": net.ngrams.separator_id, "base": net.ngrams.base}
    return {
        **weights,
        **{name: np.array(value, np.int64) for name, value in numbers.items()},
        "along": np.array([1], np.int64),
        "one": np.array(1, np.float32),
        "least": np.array(LEAST, np.float32),
        "halves": np.array([[-0.5, 0.5]], np.float32),
    }


def _nodes(net: Linear) -> Iterator[tuple[str, list[str], list[str], dict[str, Any]]]:
    """Operator, inputs, outputs and attributes, in order."""
    ids = "input_ids"
    if net.ngrams.texts == 2:  # ids of the second text are moved behind all others
        yield "Equal", [ids, "separator"], ["ends"], {}
        yield "Cast", ["ends"], ["end_counts"], {"to": INT64}
        yield "CumSum", ["end_counts", "along"], ["ends_before"], {}
        yield "Greater", ["ends_before", "none"], ["second"], {}
        yield "Add", [ids, "base"], ["moved"], {}
        yield "Where", ["second", "moved", ids], ["sided"], {}
        ids = "sided"
    yield "Greater", ["attention_mask", "none"], ["is_text"], {}
    yield "Where", ["is_text", ids, "nothing"], ["units"], {}
    yield "TfIdfVectorizer", ["units"], ["counts"], _pool(net)
    frequency = "counts"
    if net.sublinear:  # 1 + ln(count), and 0 for 0
        yield "Max", ["counts", "one"], ["at_least_one"], {}
        yield "Log", ["at_least_one"], ["logarithm"], {}
        yield "Sign", ["counts"], ["found"], {}
        yield "Add", ["found", "logarithm"], ["frequency"], {}
        frequency = "frequency"
    yield "Mul", [frequency, "idf"], ["values"], {}
    yield "ReduceL2", ["values", "along"], ["length"], {}
    yield "Max", ["length", "least"], ["divisor"], {}
    yield "Div", ["values", "divisor"], ["features"], {}
    yield "MatMul", ["features", "weight"], ["summed"], {}
    yield "Add", ["summed", "bias"], ["scores"], {}
    yield ("Mul", ["scores", "halves"], ["logits"], {}) if net.labels == 2 else ("Identity", ["scores"], ["logits"], {})


def _pool(net: Linear) -> dict[str, Any]:
    ids = [one.flatten() for one in spelt(net)]
    return {
        "mode": "TF",
        "min_gram_length": 1,
        "max_gram_length": net.longest,
        "max_skip_count": 0,
        "ngram_counts": [sum(map(len, ids[:n])) for n in range(net.longest)],  # where each length begins
        "ngram_indexes": net.ngrams.order(net.keys).argsort(stable=True).tolist(),
        "pool_int64s": torch.cat(ids).tolist(),
    }


def spelt(net: Linear) -> list[Tensor]:
    """The features as ids, (features, n) for n from 1 to the longest; those of a second text are moved by the base."""
    orders, base, found = net.ngrams.order(net.keys), net.ngrams.base, []
    for n in range(1, net.longest + 1):
        keys = net.keys[orders == n]
        digits = [keys // 2 // base**place % base for place in reversed(range(n))]
        found.append(torch.stack(digits, dim=1) - 1 + (keys % 2 * base)[:, None])
    return found
