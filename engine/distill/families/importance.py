"""Importance of heads and feed-forward neurons: the expected absolute gradient of the loss by a mask on each.

Heads: Michel, Levy and Neubig 2019, "Are Sixteen Heads Really Better than One?", equation 3: I_h = E |dL(x) / dmask_h|,
normalised by the L2 norm of each layer.

Neurons: the same with a mask on each activation a after the non-linearity: |sum over tokens of a dL/da|, to first order
the change of the loss without the neuron (Molchanov et al. 2017, arXiv 1611.06440, equation 7). For one example it is
|sum of w dL/dw| over the neuron's outgoing weights, as in DynaBERT (Hou et al. 2020, arXiv 2004.04037, section 2.1).
It is not normalised: the values of all layers are changes of the same loss.

It prunes nothing, and uses the given examples, which are training examples.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bertdistill.engine.distill.families.standalone import NAMES, layers_of

HEADS, NEURONS = "importance.npy", "neurons.npy"
"""Files of a cache folder: (layers, heads) and, if a trial may need it, (layers, neurons)."""

Batch = TypeVar("Batch")
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Importance:
    """Of the heads (layers, heads), each row of L2 norm 1, and of the neurons (layers, feed-forward size)."""

    heads: Array
    neurons: Array | None = None


def importance_of(
    model: nn.Module,
    batches: Iterable[Batch],
    loss_fn: Callable[[nn.Module, Batch], Tensor],
    *,
    neurons: bool = False,
) -> Importance:
    """That of the heads and, in the same passes, of the neurons. `loss_fn(model, batch)` is the mean loss of the batch.

    A mask has one value for each example and head, so the mean is over examples and not over signed batch sums.
    Dropout is off; weights, gradients and training mode of the model are unchanged. Raises ValueError
    without batches.
    """
    sums: list[Tensor] = []
    with _masked(model, neurons=neurons) as every_mask:
        examples = 0
        for batch in batches:
            for masks in every_mask:
                masks.clear()
            loss = loss_fn(model, batch)
            gradients = iter(torch.autograd.grad(loss, [mask for masks in every_mask for mask in masks]))
            step = [_summed([next(gradients) for _ in masks]) for masks in every_mask]
            sums = [old + new for old, new in zip(sums, step, strict=True)] if sums else step
            examples += len(every_mask[0][0])
    if not sums:
        raise ValueError("importance needs at least one batch of examples")
    norms = sums[0].norm(dim=1, keepdim=True).clamp_min(1e-30)  # a layer without gradients keeps its zeros
    return Importance((sums[0] / norms).float().numpy(), (sums[1] / examples).float().numpy() if neurons else None)


def _summed(gradients: list[Tensor]) -> Tensor:
    """The absolute gradients of the examples' own losses (batch, parts) of each layer, summed: (layers, parts)."""
    return torch.stack([(gradient.abs() * len(gradient)).double().sum(0).cpu() for gradient in gradients])


def save_importance(folder: Path, found: Importance) -> None:
    """Write one file for heads and, if they are known, one for neurons into `folder`, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in ((HEADS, found.heads), (NEURONS, found.neurons)):
        if values is not None:
            _save(folder / name, values)


def load_importance(folder: Path) -> Array:
    """That of the heads in `folder`: (layers, heads)."""
    values: Array = np.load(folder / HEADS, allow_pickle=False)
    return values


def load_neurons(folder: Path) -> Array:
    """That of the neurons in `folder`: (layers, feed-forward size)."""
    values: Array = np.load(folder / NEURONS, allow_pickle=False)
    return values


def _save(path: Path, values: Array) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.save(file, values)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def _masked(model: nn.Module, *, neurons: bool) -> Iterator[tuple[list[Tensor], ...]]:
    """Inside, every forward pass appends masks of ones in layer order: (batch, heads), and (batch, neurons)."""
    names = NAMES[_architecture(model)]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    training = model.training
    masks: tuple[list[Tensor], ...] = ([], []) if neurons else ([],)
    with ExitStack() as stack:
        for layer in layers_of(model):
            attention: Any = layer.get_submodule(names.attention)
            readers = ((names.output, attention.attention_head_size), (names.feed_forward[1], 1))
            for ((owner, name), size), found in zip(readers, masks, strict=False):
                output: Any = layer.get_submodule(owner).get_submodule(name)
                stack.callback(output.register_forward_pre_hook(_mask_hook(found, size)).remove)
        stack.callback(model.train, training)
        model.eval()
        for parameter in trained:  # only the masks need gradients, which saves the memory of weight gradients
            parameter.requires_grad_(False)
            stack.callback(parameter.requires_grad_, True)
        yield masks


def _mask_hook(masks: list[Tensor], size: int) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    """Multiplies the input of a linear by masks of `size` values each."""

    def multiply(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        context = inputs[0]
        batch, length, width = context.shape
        mask = torch.ones(batch, width // size, device=context.device, requires_grad=True)
        masks.append(mask)
        heads = context.view(batch, length, -1, size) * mask[:, None, :, None]
        return (heads.reshape(batch, length, width).to(context.dtype),)

    return multiply


def _architecture(model: nn.Module) -> str:
    config: Any = model.config
    return str(config.model_type)
