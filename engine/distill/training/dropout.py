"""Fast dropout on CPUs, for hidden states and inside attention, used in training.

It changes neither the distribution of a model's outputs nor any weight, and has no effect on a GPU or in evaluation.

On a CPU torch draws dropout's Bernoulli numbers one by one on one thread, 9 ns each: a quarter of a training step of a
bf16 student. Here one 64-bit number gives four masks of 15 bits (0.4 ns each), seeded from torch's own generator, so
that a checkpoint's random state still determines everything that follows. Attention is computed for a few examples at a
time, so that its scores stay in the CPU cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

NAME = "bertdistill_cpu"
"""The value of `config._attn_implementation` meanwhile."""
RESOLUTION = 1 << 15
"""A dropout rate is rounded to a multiple of 1 / RESOLUTION; kept values are scaled by the rounded rate."""
CHUNK_SCORES = 1 << 20
"""Attention scores processed together: 4 MB in fp32."""

_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@contextmanager
def cheap_dropout(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, forward passes of `model` in training mode on a CPU use the dropout of this module."""
    config: Any = getattr(model, "config", None)
    if device.type != "cpu" or getattr(config, "_attn_implementation", None) != "sdpa":
        yield
        return
    _register()
    modules = [module for module in model.modules() if type(module) is nn.Dropout]
    for module in modules:
        module.__dict__["forward"] = _Forward(module)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"
        for module in modules:
            del module.__dict__["forward"]


def dropout(hidden: Tensor, rate: float) -> Tensor:
    """`hidden` with a fraction `rate` of its values set to 0 and the others scaled up; any shape."""
    if rate == 0:
        return hidden
    result: Tensor = _Dropout.apply(hidden, rate)  # type: ignore[no-untyped-call]  # torch leaves apply untyped
    return result


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *, rate: float, scale: float
) -> Tensor:
    """Softmax attention whose weights are dropped at `rate`.

    `query`: (batch, heads, positions, size); `key`, `value`: (batch, heads, length, size); `mask`: (batch, 1, 1,
    length), true on tokens. Returns (batch, positions, heads, size).
    """
    result: Tensor = _Attention.apply(query, key, value, mask, rate, scale)  # type: ignore[no-untyped-call]  # as above
    return result


class _Forward:
    """Replacement of `nn.Dropout.forward`."""

    def __init__(self, module: nn.Dropout) -> None:
        self._module = module

    def __call__(self, hidden: Tensor) -> Tensor:
        return dropout(hidden, self._module.p) if self._module.training else hidden


class _Bits:
    """Random masks from a separate generator, seeded by one draw from torch's."""

    def __init__(self, rate: float) -> None:
        dropped = round(rate * RESOLUTION)
        self._edge = dropped - RESOLUTION // 2 - 1
        self._source = np.random.SFC64(int(torch.empty((), dtype=torch.int64).random_()))
        self.scale = RESOLUTION / (RESOLUTION - dropped) if dropped < RESOLUTION else 0.0

    def draw(self, like: Tensor) -> Tensor:
        """Integers of the shape and item size of `like`: all bits set where kept, none where dropped."""
        count = like.numel()
        numbers = torch.from_numpy(self._source.random_raw(-(-count // 4)).view(np.int16))[:count].view(like.shape)
        # 15 bits, so that edge - number cannot overflow; its sign, spread over all bits, is the mask.
        kept = numbers.bitwise_right_shift_(1).neg_().add_(self._edge).bitwise_right_shift_(15)
        return kept.to(_BITS[like.element_size()])


def _masked(values: Tensor, kept: Tensor, out: Tensor | None = None) -> Tensor:
    """`values` where `kept`, else 0. An AND of the bits: multiplying by a mask takes four times as long in bf16."""
    out = torch.empty_like(values) if out is None else out
    torch.bitwise_and(values.view(kept.dtype), kept, out=out.view(kept.dtype))
    return out


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, rate: float) -> Tensor:
        bits = _Bits(rate)
        hidden = hidden.contiguous()
        kept = bits.draw(hidden)
        ctx.save_for_backward(kept)
        ctx.scale = bits.scale
        return _masked(hidden, kept).mul_(bits.scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return _masked(gradients[0].contiguous(), kept).mul_(ctx.scale), None


class _Attention(torch.autograd.Function):
    """With P the weights, M the mask of kept ones and s the scale of dropout: output O = s (P∘M) V.

    Backward: dV = s (P∘M)ᵀ dO, dP = s dO Vᵀ, and through the softmax dS = (P∘M)∘dP - P∘rowsum(dO∘O), where the last sum
    stands for rowsum((P∘M)∘dP) (Dao et al. 2022, arXiv 2205.14135, appendix B.2).
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, rate: float, scale: float
    ) -> Tensor:
        batch, heads, positions, size = query.shape
        length = key.shape[2]
        bias = None if mask is None else torch.zeros(mask.shape).masked_fill_(~mask, torch.finfo(torch.float32).min)
        bits = _Bits(rate) if rate else None
        weights = query.new_empty(batch, heads * positions * length)
        dropped = torch.empty_like(weights) if bits else weights
        out = query.new_empty(batch, positions, heads, size)
        for part in _chunks(batch, heads * positions * length):
            q, k, v = (_flat(tensor[part]) for tensor in (query, key, value))
            shape = (len(q), positions, length)
            w, d = weights[part].view(shape), dropped[part].view(shape)
            scores = torch.bmm(q, k.transpose(1, 2)).float().view(-1, heads, positions, length)
            if bias is None:
                scores.mul_(scale)
            else:
                torch.add(bias[part], scores, alpha=scale, out=scores)
            w.view(scores.shape).copy_(torch.softmax(scores, -1, out=scores))
            if bits:
                _masked(w, bits.draw(w), out=d)
                v = v * bits.scale
            out[part] = torch.bmm(d, v).view(-1, heads, positions, size).transpose(1, 2)
        ctx.save_for_backward(query, key, value, weights, dropped, out)
        ctx.scale, ctx.kept_scale = scale, bits.scale if bits else 1.0
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, weights, dropped, out = ctx.saved_tensors
        batch, heads, positions, size = query.shape
        length = key.shape[2]
        # In the layout of the projections, so that the next operation copies nothing.
        results = [query.new_empty(batch, n, heads, size).transpose(1, 2) for n in (positions, length, length)]
        for part in _chunks(batch, heads * positions * length):
            q, k, v = (_flat(tensor[part]) for tensor in (query, key, value))
            o, grad = (_flat(tensor[part].transpose(1, 2)) for tensor in (out, gradients[0]))
            shape = (len(q), positions, length)
            w, d = weights[part].view(shape), dropped[part].view(shape)
            sums = (grad.float() * o.float()).sum(-1, keepdim=True).neg_().to(w.dtype)
            scores = torch.bmm(grad, v.transpose(1, 2).mul(ctx.kept_scale)).mul_(d).addcmul_(w, sums)
            found = (
                torch.bmm(scores, k).mul_(ctx.scale),
                torch.bmm(scores.transpose(1, 2), q).mul_(ctx.scale),
                torch.bmm(d.transpose(1, 2), grad).mul_(ctx.kept_scale),
            )
            for result, tensor in zip(results, found, strict=True):
                result[part] = tensor.view(-1, heads, result.shape[2], size)
        return (*results, None, None, None)


def _chunks(batch: int, scores: int) -> Iterator[slice]:
    step = max(1, CHUNK_SCORES // scores)
    return (slice(start, start + step) for start in range(0, batch, step))


def _flat(tensor: Tensor) -> Tensor:
    """(batch, heads, length, size) as a contiguous (batch · heads, length, size)."""
    return tensor.reshape(-1, *tensor.shape[2:])


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The signature that transformers expects."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attention(query, key, value, attention_mask, rate=dropout, scale=scale), None


def _mask(attention_mask: Tensor | None = None, **_: Any) -> Tensor | None:
    """The padding mask only, (batch, 1, 1, length): in encoders every token attends to every other."""
    return None if attention_mask is None else attention_mask[:, None, None, :]


def _register() -> None:
    """Make NAME known to transformers, which is loaded already, with the model whose attention it is."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _mask)
