"""Queries, keys and values of chosen layers of an encoder, recorded while it runs. It changes no computation.

Attention itself stays as it is: a kernel that never forms the scores keeps its speed, for they follow from these.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.model import Projections


@contextmanager
def tapped(net: nn.Module, layers: Collection[int]) -> Iterator[dict[int, Projections]]:
    """The projections of these layers, counted from 1, of the last forward pass inside the block."""
    found: dict[int, Projections] = {}
    handles = []
    config: Any = net.config
    names = standalone.NAMES[config.model_type]
    for number, layer in enumerate(standalone.layers_of(net), start=1):
        if number not in layers:
            continue
        attention = layer.get_submodule(names.attention)
        parts: dict[str, Tensor] = {}
        handles += [
            attention.get_submodule(name).register_forward_hook(partial(_keep, parts, name))
            for name in names.projections
        ]
        handles.append(attention.register_forward_hook(partial(_collect, found, number, parts, names)))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _keep(parts: dict[str, Tensor], name: str, module: nn.Module, inputs: Any, output: Tensor) -> None:
    parts[name] = output


def _collect(
    found: dict[int, Projections],
    number: int,
    parts: dict[str, Tensor],
    names: standalone.Names,
    attention: nn.Module,
    *_: Any,
) -> None:
    query, key, value = (parts.pop(name) for name in names.projections)
    found[number] = Projections(query, key, value, int(getattr(attention, names.heads)))
