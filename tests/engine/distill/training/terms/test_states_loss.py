"""The states loss against the formula of TinyBERT, written out in loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.engine.distill.training.terms.compared import LENGTHS, mean, outputs, step
from torch import nn

from bertdistill.engine.contract.terms import STATES
from bertdistill.engine.distill.families.model import Outputs
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


def test_upper_layers_alone_are_the_formula_of_deformer() -> None:
    """Σ over i > k of the mean of ‖v_i - u_i‖², layer by layer; without separate layers there is nothing to leave out.

    The paper sums over tokens; here they are averaged, as in the authors' code, which also averages over layers.
    """
    student, teacher = outputs(4, 6, 2, seed=1), outputs(4, 6, 2, seed=2)
    expected = 0.0
    for i in (3, 4):
        v, u = student.hidden[i].double().numpy(), teacher.hidden[i].double().numpy()
        norms = [[np.linalg.norm(v[e, j] - u[e, j]) ** 2 / 6 for j in range(n)] for e, n in enumerate(LENGTHS)]
        expected += mean([mean(one) for one in norms])
    found = value(step(student, teacher, separate_layers=2, compared_layers="joint"))
    assert expected == pytest.approx(found.item(), rel=1e-5)
    every = value(step(student, teacher)).item()
    assert every == value(step(student, teacher, compared_layers="joint")).item()
    assert every == value(step(student, teacher, separate_layers=2)).item() > found.item()


def test_the_gradient_of_upper_layers_reaches_no_lower_one() -> None:
    """By finite differences in float64, and 0 below."""
    student, teacher = outputs(3, 4, 2, seed=1), outputs(3, 4, 2, seed=2)
    wide = tuple(one.double().requires_grad_() for one in student.hidden)
    others = replace(teacher, hidden=tuple(one.double() for one in teacher.hidden))

    def loss(*hidden: torch.Tensor) -> torch.Tensor:
        return deformer(hidden, others)

    gradients = torch.autograd.grad(loss(*wide), wide, allow_unused=True)
    assert [True, True, False, False] == [one is None for one in gradients]
    # The term computes in fp32; of a square, a difference over any distance is exact.
    assert torch.autograd.gradcheck(loss, wide, atol=1e-4, eps=0.1)


def deformer(hidden: tuple[torch.Tensor, ...], teacher: Outputs) -> torch.Tensor:
    one = step(replace(outputs(3, 4, 2, seed=1), hidden=hidden), teacher, separate_layers=1, compared_layers="joint")
    return value(one).double()


def test_its_gradient() -> None:
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    student, teacher = (torch.randn(2, 3, 4, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: states_loss(x, teacher, mask), student.requires_grad_())


def test_a_student_like_its_teacher_has_no_loss() -> None:
    same = outputs(2, 4, 2, seed=1)
    assert 0.0 == value(step(same, same)).item()
    assert not np.isnan(value(step(same, outputs(2, 4, 2, seed=3))).item())
