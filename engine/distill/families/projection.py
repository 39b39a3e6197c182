"""A narrower residual stream: the initial model's hidden states projected onto their principal components.

Every module that reads or writes hidden states x (embeddings, linears, LayerNorms, task head) is rewritten for z = P'x,
where the columns of P are the leading eigenvectors of E[xx'] over the outputs of all LayerNorms on training texts.
Linears are exact for an x that P keeps. LayerNorms are not, because their scale is by coordinate: scale and bias are
the least squares fit to P' LayerNorm(y) of the normalised P'y, whose standard deviation is taken to be the same for all
tokens. SliceGPT (Ashkboos et al. 2024, arXiv 2401.15024) does this to models with RMSNorm, where the rotation is exact.

It trains nothing and decides no sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bertdistill.engine.distill.families import standalone
from bertdistill.engine.families.encoder_plan import NEW_LAYER

FILE = "projection.safetensors"

Batch = TypeVar("Batch")


@dataclass(frozen=True)
class Projection:
    """The principal components of a model's hidden states, and its LayerNorms as seen along them; for every width.

    With u the normalised input of a LayerNorm and x its output, along component p: E[p'u], Var(p'u), Cov(p'u, p'x) and
    E[p'x], each (LayerNorms, width). The LayerNorms are that of the embeddings, then two of each layer.
    """

    basis: Tensor
    """(width, width): a component a column, the leading one first."""
    mean: Tensor
    variance: Tensor
    covariance: Tensor
    target: Tensor

    def save(self, folder: Path) -> None:
        """Write `projection.safetensors` into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file({name: value.contiguous() for name, value in vars(self).items()}, folder / FILE)

    @staticmethod
    def load(folder: Path) -> Projection:
        """What `save` wrote."""
        return Projection(**load_file(folder / FILE))


@torch.no_grad()
def projection_of(model: nn.Module, batches: Iterable[Batch], run: Callable[[nn.Module, Batch], Tensor]) -> Projection:
    """That of `model` on these batches. `run(model, batch)` runs it and returns the mask of tokens (batch, length).

    A LayerNorm that is computed for the first position only is seen there only. Raises ValueError without batches.
    """
    norms = norms_of(model)
    width = norms[0].normalized_shape[0]
    moments = [torch.zeros(width + 1, width + 1, dtype=torch.float64) for _ in norms]
    with _normalised(norms) as seen:
        for batch in batches:
            seen.clear()
            mask = run(model, batch).bool().cpu()
            for moment, states in zip(moments, seen, strict=True):
                rows = states.double().cpu()[mask[:, : states.shape[1]]]
                rows = torch.cat((rows, torch.ones(len(rows), 1, dtype=rows.dtype)), dim=1)
                moment += rows.T @ rows  # the last row and column hold the sums, and its corner the count
    if not moments[0][-1, -1]:
        raise ValueError("a projection needs at least one batch of examples")
    return _along_components(norms, [moment / moment[-1, -1] for moment in moments])


def _along_components(norms: Sequence[nn.LayerNorm], moments: Sequence[Tensor]) -> Projection:
    scales = [norm.weight.double().cpu() for norm in norms]
    means = [moment[:-1, -1] for moment in moments]
    spreads = [moment[:-1, :-1] - torch.outer(mean, mean) for moment, mean in zip(moments, means, strict=True)]
    targets = [scale * mean + norm.bias.double().cpu() for norm, scale, mean in zip(norms, scales, means, strict=True)]
    total = torch.zeros_like(spreads[0])
    for scale, spread, target in zip(scales, spreads, targets, strict=True):
        second = scale[:, None] * spread * scale + torch.outer(target, target)
        total += second / second.trace()  # so that no layer counts more because its states are larger
    basis = torch.linalg.eigh(total)[1].flip(1)

    def diagonals(matrices: Iterable[Tensor]) -> Tensor:
        return torch.stack([(basis * (matrix @ basis)).sum(0) for matrix in matrices]).float()

    return Projection(
        basis.float(),
        mean=(torch.stack(means) @ basis).float(),
        variance=diagonals(spreads),
        covariance=diagonals(spread * scale for scale, spread in zip(scales, spreads, strict=True)),
        target=(torch.stack(targets) @ basis).float(),
    )


@torch.no_grad()
def project(model: Any, projection: Projection, width: int, kept_layers: Sequence[int]) -> None:
    """Narrow the residual stream of `model` to `width`. `kept_layers`: of each layer its index in the initial model.

    The dense layer of a classification head, whose outputs are not hidden states, keeps those that the classes weigh
    most.
    """
    basis = projection.basis[:, :width]
    parts = list(standalone.stream_of(model))
    wide = [getattr(owner, name) for owner, name, _ in parts]
    standalone.narrow(model, width)
    narrow = [getattr(owner, name) for owner, name, _ in parts]
    pooled = _pooled(parts, wide, width)
    for (_, _, kind), old, new in zip(parts, wide, narrow, strict=True):
        if kind != "norm":
            weight, bias = _projected(kind, old, basis, pooled)
            new.weight.copy_(weight)
            if bias is not None:
                new.bias.copy_(bias)
    rows = [0, *(row for layer in kept_layers for row in _rows(layer))]
    for row, norm in zip(rows, norms_of(model), strict=True):
        weight, bias = (torch.ones(width), torch.zeros(width)) if row < 0 else _fitted(projection, row, width)
        norm.weight.copy_(weight)
        norm.bias.copy_(bias)


def _rows(layer: int) -> tuple[int, int]:
    """Rows of the two LayerNorms of a layer; -1 for one that is initialised afresh."""
    return (-1, -1) if layer == NEW_LAYER else (2 * layer + 1, 2 * layer + 2)


def _fitted(projection: Projection, row: int, width: int) -> tuple[Tensor, Tensor]:
    """Scale and bias of a narrow LayerNorm: the regression of each target on what the LayerNorm normalises to."""
    mean, variance, covariance, target = (
        values[row, :width].double()
        for values in (projection.mean, projection.variance, projection.covariance, projection.target)
    )
    deviation = (variance + mean**2).mean().sub(mean.mean() ** 2).sqrt()  # over the coordinates, as LayerNorm's
    slope = covariance / variance.clamp_min(1e-6 * float(variance.max()))
    return slope * deviation, target - slope * (mean - mean.mean())


def _projected(kind: str, old: Any, basis: Tensor, pooled: Tensor | None) -> tuple[Tensor, Tensor | None]:
    weight: Tensor = old.weight
    if kind == "embeds":
        return weight @ basis, None
    bias: Tensor = old.bias
    match kind:
        case "reads":
            return weight @ basis, bias
        case "writes":
            return basis.T @ weight, basis.T @ bias
        case "pools":
            return (weight @ basis)[pooled], bias[pooled]
    return weight[:, pooled], bias  # "classifies"


def _pooled(parts: Sequence[tuple[Any, str, str]], wide: Sequence[Any], width: int) -> Tensor | None:
    """Indices of the outputs of the head's dense layer that have the largest weights in the classes, ascending."""
    weights = [module.weight for (_, _, kind), module in zip(parts, wide, strict=True) if kind == "classifies"]
    return weights[0].square().sum(0).topk(width).indices.sort().values if weights else None


def norms_of(model: Any) -> list[nn.LayerNorm]:
    """The LayerNorms of an encoder in the order of the computation: of the embeddings, then two of each layer."""
    return [getattr(owner, name) for owner, name, kind in standalone.stream_of(model) if kind == "norm"]


@contextmanager
def _normalised(norms: Sequence[nn.LayerNorm]) -> Iterator[list[Tensor]]:
    """Inside, a forward pass lists the input of every LayerNorm, normalised but neither scaled nor shifted."""
    seen: list[Tensor] = []

    def keep(norm: nn.LayerNorm, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        seen.append(nn.functional.layer_norm(inputs[0].float(), norm.normalized_shape, eps=norm.eps))

    with ExitStack() as stack:
        for norm in norms:
            stack.callback(norm.register_forward_hook(keep).remove)
        yield seen
