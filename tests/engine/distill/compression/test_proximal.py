"""Reweighted proximal pruning against a plain reading of the paper in numpy, and the strength that is adjusted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.distill.compression.proximal import EPSILON, Proximal
from bertdistill.engine.families.sparsity import Pruning

STEPS = 20


def rate(step: int) -> float:
    return 1e-2 * (STEPS - step) / STEPS


def test_the_proximal_step_by_hand() -> None:
    """w = sign(z) max(|z| - gamma alpha eta, 0) after each update, alpha renewed every 3 of 12 steps, then a mask."""
    draw = np.random.default_rng(7)
    w, updates = 0.05 * draw.normal(size=(6, 7)), 1e-3 * draw.normal(size=(STEPS, 6, 7))
    weight = nn.Parameter(torch.tensor(w))
    one = Proximal({"w": weight}, Pruning("proximal", 0.0, begin=0.1, end=0.7, rounds=4, strength=0.003))
    mask = None
    for step in range(STEPS):
        one.before_step(Moment(step, STEPS, rate))
        weight.grad = torch.ones(6, 7, dtype=torch.float64)
        one.before_update()
        silent = int((weight.grad == 0).sum())
        with torch.no_grad():
            weight += torch.tensor(updates[step])
        one.after_step(Moment(step, STEPS, rate))

        if 2 <= step < 14 and (step - 2) % 3 == 0:
            alpha = 1 / (np.abs(w) + EPSILON)
        if step == 14:
            mask = w != 0
        assert (0 if mask is None else int((~mask).sum())) == silent
        z = w + updates[step]
        if mask is not None:
            w = z * mask
        else:
            w = np.sign(z) * np.maximum(np.abs(z) - 0.003 * alpha * rate(step), 0) if step >= 2 else z
        np.testing.assert_allclose(weight.detach().numpy(), w, rtol=1e-12, atol=1e-15)
        assert one.zeros() == int((w == 0).sum())
    assert 0 < one.zeros() < 42
    held = one.zeros()
    one.at_end()
    assert held == one.zeros()


@pytest.mark.parametrize("wanted", [0.3, 0.8])
@pytest.mark.parametrize("rounds", [1, 4, 100])
def test_the_strength_is_adjusted_to_the_sparsity(wanted: float, rounds: int) -> None:
    """Without a gradient the norm alone reaches it, and no weight is cut at the end of the schedule."""
    weight = nn.Parameter(0.04 * torch.randn(80, 100, generator=torch.Generator().manual_seed(1)))
    one = Proximal({"w": weight}, Pruning("proximal", wanted, end=0.6, rounds=rounds))
    largest, curve = weight.detach().abs().max().clone(), []
    for step in range(STEPS):
        one.before_step(Moment(step, STEPS, rate))
        one.after_step(Moment(step, STEPS, rate))
        curve.append(one.series()["sparsity"])
    assert curve[-1] == pytest.approx(wanted, abs=0.02)
    assert curve[11] == curve[-1]  # the last step of the schedule has what is held then
    assert weight.detach().abs().max() > 0.8 * largest  # large weights hardly feel it
