"""Attention head importance: the expected absolute gradient of the loss with respect to a mask on the head.

Michel, Levy and Neubig 2019, "Are Sixteen Heads Really Better than One?", equation 3: I_h = E |dL(x) / d mask_h|,
normalised by the L2 norm of each layer. It prunes nothing, and uses the given examples, which are training examples.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from bertdistill.engine.distill.families.standalone import NAMES, layers_of

FILE = "importance.npy"

Batch = TypeVar("Batch")


def head_importance(
    model: nn.Module, batches: Iterable[Batch], loss_fn: Callable[[nn.Module, Batch], Tensor]
) -> npt.NDArray[np.float32]:
    """Importance (layers, heads), each row of L2 norm 1. `loss_fn(model, batch)` is the mean loss of the batch.

    The mask has one value for each example and head, so the mean is over examples and not over signed batch sums.
    Dropout is off; weights, gradients and training mode of the model are unchanged. Raises ValueError
    without batches.
    """
    masks: list[Tensor] = []
    sums: Tensor | None = None
    with _masked(model, masks):
        for batch in batches:
            masks.clear()
            loss = loss_fn(model, batch)
            gradients = torch.autograd.grad(loss, masks)
            step = torch.stack([(gradient.abs() * len(gradient)).double().sum(0).cpu() for gradient in gradients])
            sums = step if sums is None else sums + step
    if sums is None:
        raise ValueError("head importance needs at least one batch of examples")
    norms = sums.norm(dim=1, keepdim=True).clamp_min(1e-30)  # a layer without gradients keeps its zeros
    values: npt.NDArray[np.float32] = (sums / norms).float().numpy()
    return values


def save_importance(folder: Path, values: npt.NDArray[np.float32]) -> None:
    """Write `importance.npy` into `folder` atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{FILE}.{os.getpid()}.tmp"
    with temporary.open("wb") as file:
        np.save(file, values)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)


def load_importance(folder: Path) -> npt.NDArray[np.float32]:
    """Read `importance.npy` from `folder`: (layers, heads)."""
    values: npt.NDArray[np.float32] = np.load(folder / FILE, allow_pickle=False)
    return values


@contextmanager
def _masked(model: nn.Module, masks: list[Tensor]) -> Iterator[None]:
    """Inside, every forward pass appends one mask of ones (batch, heads) per layer to `masks`, in layer order."""
    names = NAMES[_architecture(model)]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    training = model.training
    with ExitStack() as stack:
        for layer in layers_of(model):
            attention: Any = layer.get_submodule(names.attention)
            output: Any = layer.get_submodule(names.output[0]).get_submodule(names.output[1])
            handle = output.register_forward_pre_hook(_mask_hook(masks, attention.attention_head_size))
            stack.callback(handle.remove)
        stack.callback(model.train, training)
        model.eval()
        for parameter in trained:  # only the masks need gradients, which saves the memory of weight gradients
            parameter.requires_grad_(False)
            stack.callback(parameter.requires_grad_, True)
        yield


def _mask_hook(masks: list[Tensor], size: int) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]:
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
