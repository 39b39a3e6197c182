"""The hidden loss against the formula of its paper, written out in loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import CLS, HIDDEN
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.model import Outputs
from bertdistill.engine.distill.training.terms.hidden_loss import hidden_loss, value
from bertdistill.engine.distill.training.terms.step import Step

BATCH, LENGTH, WIDTH, LAYERS, TEACHER = 3, 5, 4, 3, 6


def step(hidden: tuple[Tensor, ...], teacher: Tensor, helpers: nn.ModuleDict | None = None, how: str = "skip") -> Step:
    ids = torch.zeros(BATCH, LENGTH, dtype=torch.long)
    batch = Batch(np.arange(BATCH), False, ids, ids + 1, None, ids[:, 0], {CLS: teacher})
    return Step(Outputs(torch.zeros(BATCH, 2), hidden), batch, Settings(hidden_map=how), helpers)


def by_the_paper(hidden: list[np.ndarray], teacher: np.ndarray, layers: list[int]) -> float:
    """Σ over examples and layers of the squared length of h/|h| - t/|t|, divided by the number of terms."""
    total = 0.0
    for example in range(BATCH):
        for student_layer, teacher_layer in zip(range(1, LAYERS), layers, strict=True):
            h, t = hidden[student_layer][example, 0], teacher[example, teacher_layer - 1]
            h_length, t_length = math.sqrt(sum(x * x for x in h)), math.sqrt(sum(x * x for x in t))
            total += sum((a / h_length - b / t_length) ** 2 for a, b in zip(h, t, strict=True))
    return total / (BATCH * (LAYERS - 1) * teacher.shape[2])


@pytest.mark.parametrize(("how", "layers"), [("skip", [2, 4]), ("last", [4, 5])])
def test_it_is_the_formula_of_the_paper(how: str, layers: list[int]) -> None:
    hidden = [torch.randn(BATCH, LENGTH, WIDTH) for _ in range(LAYERS + 1)]
    teacher = torch.randn(BATCH, TEACHER - 1, WIDTH)
    expected = by_the_paper([one.double().numpy() for one in hidden], teacher.double().numpy(), layers)
    assert expected == pytest.approx(value(step(tuple(hidden), teacher, how=how)).item(), rel=1e-5)


def test_a_projection_goes_before_the_normalisation() -> None:
    """Into the width of the teacher; the same for all layers."""
    hidden = [torch.randn(BATCH, LENGTH, WIDTH) for _ in range(LAYERS + 1)]
    teacher, linear = torch.randn(BATCH, TEACHER - 1, 7), nn.Linear(WIDTH, 7)
    weight, bias = (one.detach().double().numpy() for one in (linear.weight, linear.bias))
    wide = [one.double().numpy() @ weight.T + bias for one in hidden]
    expected = by_the_paper(wide, teacher.double().numpy(), [2, 4])
    found = value(step(tuple(hidden), teacher, nn.ModuleDict({HIDDEN: linear})))
    assert expected == pytest.approx(found.item(), rel=1e-5)


def test_the_length_of_a_vector_does_not_count() -> None:
    states = torch.randn(2, 3, 4)
    assert 0.0 == pytest.approx(hidden_loss(states, 7 * states).item(), abs=1e-12)


def test_its_gradient() -> None:
    student, teacher = (torch.randn(2, 3, 4, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: hidden_loss(x, teacher), student.requires_grad_())
