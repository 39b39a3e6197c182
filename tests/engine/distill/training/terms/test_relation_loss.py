"""The relation loss against the formula of MiniLM v2, written out in loops."""

import math

import numpy as np
import pytest
import torch
from tests.engine.distill.training.terms.compared import LENGTHS, mean, outputs, split, step

from bertdistill.engine.distill.training.terms.relation_loss import relation_loss, value


def relation(vectors: np.ndarray, i: int, length: int) -> list[float]:
    """Row i of softmax(X Xᵀ / √d) over the real tokens."""
    products = [math.exp(sum(vectors[i] * vectors[j]) / math.sqrt(vectors.shape[1])) for j in range(length)]
    return [one / sum(products) for one in products]


@pytest.mark.parametrize(
    ("settings", "heads", "layer"), [({}, 2, 4), ({"relation_heads": 4, "relation_layer": 3}, 4, 3)]
)
def test_it_is_the_formula_of_the_paper(settings: dict[str, int], heads: int, layer: int) -> None:
    """Σ over Q, K, V of the mean over heads and tokens of KL(R_t ‖ R_s), with heads that neither of the two has."""
    student, teacher = outputs(2, 4, 4, seed=1), outputs(4, 8, 2, seed=2)
    expected = 0.0
    for part in range(3):
        own = split(student.projections[2][part], heads)
        other = split(teacher.projections[layer][part], heads)
        of_examples = []
        for e, length in enumerate(LENGTHS):
            divergences = []
            for head in range(heads):
                for i in range(length):
                    p, q = relation(other[head][e], i, length), relation(own[head][e], i, length)
                    divergences.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
            of_examples.append(mean(divergences))
        expected += mean(of_examples)
    assert expected == pytest.approx(value(step(student, teacher, **settings)).item(), rel=1e-4)


def test_its_gradient() -> None:
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    student, teacher = torch.randn(2, 2, 3, 4, dtype=torch.float64), torch.randn(2, 2, 3, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: relation_loss(x, teacher, mask), student.requires_grad_())


def test_padding_gets_no_gradient() -> None:
    student = torch.randn(1, 2, 3, 4, requires_grad=True)
    relation_loss(student, torch.randn(1, 2, 3, 4), torch.tensor([[1, 1, 0]])).backward()
    assert student.grad is not None
    assert 0.0 == student.grad[:, :, 2].abs().sum().item()
    assert student.grad.abs().sum().item() > 0
