"""Movement pruning against a plain reading of the paper in numpy, and its gradient by finite differences."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from bertdistill.engine.distill.compression.movement import Movement
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.distill.compression.pools import Entries
from bertdistill.engine.families.sparsity import Pruning

RATE, SCORE_RATE, STEPS = 0.05, 0.3, 8


def test_scores_masks_and_weights_by_hand() -> None:
    """L = sum (W M x - y)^2: S falls by dL/d(W M) W, M keeps the top of S, and masked weights wait unchanged."""
    draw = np.random.default_rng(5)
    w = draw.normal(size=(4, 5))
    x, y = draw.normal(size=(5, 7)), draw.normal(size=(4, 7))
    weight = nn.Parameter(torch.tensor(w))
    one = Movement([Entries("w", weight)], Pruning("movement", 0.5, end=0.75, learning_rate=SCORE_RATE))
    (group,) = one.groups()
    assert (SCORE_RATE, 0.0) == (group["lr"], group["weight_decay"])
    (scores,) = group["params"]
    s = np.zeros((4, 5))
    returned = 0
    mask = np.ones((4, 5))
    for step in range(STEPS):
        now = Moment(step, STEPS, lambda _: RATE)
        one.before_step(now)
        ((weight @ torch.tensor(x) - torch.tensor(y)) ** 2).sum().backward()  # type: ignore[no-untyped-call]  # torch's
        one.before_update()
        with torch.no_grad():
            weight -= RATE * weight.grad * 0.1 + 0.01  # a decay that would move masked weights as well
            scores -= SCORE_RATE * scores.grad
            weight.grad = None
        one.after_step(now)

        t = min(step / 6, 1)
        k = round(20 * 0.5 * (1 - (1 - t) ** 3))
        old, mask = mask, np.ones(20)
        mask[np.argsort(s.ravel(), kind="stable")[:k]] = 0
        mask = mask.reshape(4, 5)
        returned += int((mask > old).sum())
        gradient = 2 * ((w * mask) @ x - y) @ x.T
        s -= SCORE_RATE * gradient * w
        w = np.where(mask == 1, w - (RATE * 0.1 * gradient + 0.01), w)
        np.testing.assert_allclose(weight.detach().numpy(), w * mask, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(scores.detach().numpy(), s, rtol=1e-12, atol=1e-12)
    assert returned > 0  # or the weights behind the mask would not have been tested
    one.at_end()
    final = np.ones(20)
    final[np.argsort(s.ravel(), kind="stable")[:10]] = 0
    np.testing.assert_allclose(weight.detach().numpy(), w * final.reshape(4, 5), rtol=1e-12, atol=1e-12)
    assert 10 == one.zeros()


def test_the_gradient_of_the_scores_is_that_of_the_mask() -> None:
    """By finite differences in float64: what L changes with the entry of M, masked or not."""
    draw = np.random.default_rng(6)
    whole, x = torch.tensor(draw.normal(size=(3, 4))), torch.tensor(draw.normal(size=(4, 2)))

    def loss(mask: torch.Tensor, held: torch.Tensor = whole) -> torch.Tensor:
        return torch.tanh((held * mask) @ x).pow(2).sum()

    weight = nn.Parameter(whole.clone())
    one = Movement([Entries("w", weight)], Pruning("movement", 0.5, when="before", learning_rate=1.0))
    one.before_step(Moment(0, 4, lambda _: RATE))
    mask = (weight != 0).double()
    assert 6 == int(mask.sum())
    torch.tanh(weight @ x).pow(2).sum().backward()  # type: ignore[no-untyped-call]  # torch's
    one.before_update()
    found = one.groups()[0]["params"][0].grad
    for index in np.ndindex(3, 4):
        step = torch.zeros(3, 4, dtype=torch.float64)
        step[index] = 1e-6
        assert abs(float((loss(mask + step) - loss(mask - step)) / 2e-6 - found[index])) < 1e-8
    assert weight.grad is not None
    assert bool((weight.grad[mask == 0] == 0).all())
