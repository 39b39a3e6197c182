"""The attention loss against the formula of TinyBERT, written out in loops."""

import math

import pytest
import torch
from tests.engine.distill.training.terms.compared import LENGTHS, mean, outputs, split, step

from bertdistill.engine.distill.training.terms.attention_loss import attention_loss, value

HEADS = 2


def test_it_is_the_formula_of_the_paper() -> None:
    """Σ over m of 1/h Σ over heads of MSE(A_s^m, A_t^g(m)), g(m) = 2 m, over the real tokens of each example.

    The heads of the two have different sizes, each with its own √d.
    """
    student, teacher = outputs(2, 4, HEADS, seed=1), outputs(4, 6, HEADS, seed=2)
    expected = 0.0
    for m in (1, 2):
        own, other = student.projections[m], teacher.projections[2 * m]
        of_examples = []
        for e, length in enumerate(LENGTHS):
            squares = []
            for head in range(HEADS):
                q, k = (split(one, HEADS)[head][e] for one in (own.query, own.key))
                t_q, t_k = (split(one, HEADS)[head][e] for one in (other.query, other.key))
                for i in range(length):
                    for j in range(length):
                        a_s = sum(x * y for x, y in zip(q[i], k[j], strict=True)) / math.sqrt(2)
                        a_t = sum(x * y for x, y in zip(t_q[i], t_k[j], strict=True)) / math.sqrt(3)
                        squares.append((a_s - a_t) ** 2)
            of_examples.append(mean(squares))
        expected += mean(of_examples)
    assert expected == pytest.approx(value(step(student, teacher)).item(), rel=1e-5)


def test_its_gradient() -> None:
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    student, teacher = (torch.randn(2, 2, 3, 3, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: attention_loss(x, teacher, mask), student.requires_grad_())
