"""The states loss against the formula of TinyBERT, written out in loops."""

import numpy as np
import pytest
import torch
from tests.engine.distill.training.terms.compared import LENGTHS, mean, outputs, step
from torch import nn

from bertdistill.engine.contract.terms import STATES
from bertdistill.engine.distill.training.terms.states_loss import states_loss, value


def test_it_is_the_formula_of_the_paper() -> None:
    """Σ over m of MSE(H_s^m W, H_t^g(m)) with g(m) = 2 m, embeddings first; tokens of one example, then examples."""
    student, teacher, linear = outputs(2, 4, 2, seed=1), outputs(4, 6, 2, seed=2), nn.Linear(4, 6)
    weight, bias = (one.detach().double().numpy() for one in (linear.weight, linear.bias))
    expected = 0.0
    for m in range(3):
        own = student.hidden[m].double().numpy() @ weight.T + bias
        other = teacher.hidden[2 * m].double().numpy()
        expected += mean(
            [
                mean([(own[e, i, k] - other[e, i, k]) ** 2 for i in range(length) for k in range(6)])
                for e, length in enumerate(LENGTHS)
            ]
        )
    found = value(step(student, teacher, nn.ModuleDict({STATES: linear})))
    assert expected == pytest.approx(found.item(), rel=1e-5)


def test_its_gradient() -> None:
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    student, teacher = (torch.randn(2, 3, 4, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: states_loss(x, teacher, mask), student.requires_grad_())


def test_a_student_like_its_teacher_has_no_loss() -> None:
    same = outputs(2, 4, 2, seed=1)
    assert 0.0 == value(step(same, same)).item()
    assert not np.isnan(value(step(same, outputs(2, 4, 2, seed=3))).item())
