"""Magnitude and random pruning against a plain reading of Zhu and Gupta in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.distill.compression.pools import Entries
from bertdistill.engine.distill.compression.ranked import Ranked, at_random, by_magnitude
from bertdistill.engine.families.sparsity import Pruning

RATE = 0.1
STEPS = 10


def weights() -> dict[str, nn.Parameter]:
    generator = torch.Generator().manual_seed(3)
    return {name: nn.Parameter(torch.randn(5, 8, generator=generator)) for name in ("a", "b")}


def pools(matrices: dict[str, nn.Parameter]) -> list[Entries]:
    return [Entries(*one) for one in matrices.items()]


def run(one: Ranked, matrices: dict[str, nn.Parameter], gradients: Any) -> None:
    """Gradient descent with momentum, which would move masked weights."""
    moved = {name: torch.zeros_like(weight) for name, weight in matrices.items()}
    for step in range(STEPS):
        now = Moment(step, STEPS, lambda _: RATE)
        one.before_step(now)
        for number, weight in enumerate(matrices.values()):
            weight.grad = torch.tensor(gradients[step, number])
        one.before_update()
        with torch.no_grad():
            for name, weight in matrices.items():
                assert weight.grad is not None
                moved[name] = 0.9 * moved[name] + weight.grad
                weight -= RATE * moved[name]
        one.after_step(now)
    one.at_end()


@pytest.mark.parametrize("rounds", [0, 3])
def test_gradual_and_iterative_pruning_by_hand(rounds: int) -> None:
    """Sort by magnitude, mask down to the sparsity of the step, mask the gradients, train the rest."""
    gradients = np.random.default_rng(4).normal(size=(STEPS, 2, 5, 8)).astype(np.float32)
    matrices = weights()
    plain = {name: weight.detach().numpy().copy() for name, weight in matrices.items()}
    run(
        Ranked(pools(matrices), Pruning("magnitude", 0.7, end=0.8, rounds=rounds), by_magnitude(pools(matrices), 0)),
        matrices,
        gradients,
    )
    for number, w in enumerate(plain.values()):
        mask, moved = np.ones(40), np.zeros((5, 8), np.float32)
        for step in range(STEPS):
            t = min(step / 8, 1)
            t = np.floor(t * rounds + 1e-9) / rounds if rounds else t
            k = round(40 * 0.7 * (1 - (1 - t) ** 3))
            mask[np.argsort(np.abs(w).ravel(), kind="stable")[:k]] = 0
            w *= mask.reshape(5, 8)
            moved = np.float32(0.9) * moved + gradients[step, number] * mask.reshape(5, 8).astype(np.float32)
            w -= np.float32(RATE) * moved
            w *= mask.reshape(5, 8)
    for name, weight in matrices.items():
        np.testing.assert_allclose(weight.detach().numpy(), plain[name], rtol=1e-5, atol=1e-6)
        assert 28 == int((weight == 0).sum())


def test_random_zeros_follow_the_seed_alone_and_stay() -> None:
    """The same for any weights, others for another seed; a higher level keeps those of a lower one."""
    masks = []
    for seed, factor in ((1, 1.0), (1, 9.0), (2, 1.0)):
        matrices = weights()
        with torch.no_grad():
            matrices["a"].mul_(factor)
        one = Ranked(pools(matrices), Pruning("random", 0.5), at_random(pools(matrices), seed))
        one.before_step(Moment(5, 100, lambda _: RATE))
        early = {name: weight == 0 for name, weight in matrices.items()}
        one.at_end()
        masks.append(matrices["a"] == 0)
        assert 0 < int(early["a"].sum()) < 20 == int(masks[-1].sum())
        assert all(bool((matrices[name][mask] == 0).all()) for name, mask in early.items())
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_the_zeros_from_before_the_training_are_fixed() -> None:
    """Weights that become smaller than the threshold of then stay."""
    matrices = weights()
    one = Ranked(pools(matrices), Pruning("magnitude", 0.5, when="before"), by_magnitude(pools(matrices), 0))
    one.before_step(Moment(0, STEPS, lambda _: RATE))
    before = matrices["a"] == 0
    with torch.no_grad():
        matrices["a"].add_(1.0)
        matrices["a"][before.logical_not()] *= 1e-6
    one.after_step(Moment(0, STEPS, lambda _: RATE))
    one.before_step(Moment(1, STEPS, lambda _: RATE))
    one.at_end()
    assert torch.equal(before, matrices["a"] == 0)
