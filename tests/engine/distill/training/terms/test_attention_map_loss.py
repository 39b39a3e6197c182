"""The attention map loss against the formula of MobileBERT, written out in loops."""

import math

import pytest
import torch
from tests.engine.distill.training.terms.compared import LENGTHS, mean, outputs, split, step

from bertdistill.engine.distill.families.model import Outputs
from bertdistill.engine.distill.training.terms.attention_map_loss import attention_map_loss, value

HEADS = 2


def attention(found: Outputs, layer: int) -> list[list[list[list[float]]]]:
    """By example, head and token: softmax(q · k / √d) over the tokens of the example."""
    queries, keys = (split(getattr(found.projections[layer], name), HEADS) for name in ("query", "key"))
    size = queries[0].shape[-1]

    def row(e: int, head: int, i: int) -> list[float]:
        scores = [sum(queries[head][e, i] * keys[head][e, j]) / math.sqrt(size) for j in range(LENGTHS[e])]
        total = sum(map(math.exp, scores))
        return [math.exp(score) / total for score in scores]

    return [[[row(e, head, i) for i in range(length)] for head in range(HEADS)] for e, length in enumerate(LENGTHS)]


def test_it_is_the_formula_of_the_paper() -> None:
    """KL(a_t ‖ a_s), mean over heads and tokens, then examples; the sum over layers, that of layer l divided by l.

    Heads of the teacher are wider, and it has twice as many layers.
    """
    student, teacher = outputs(2, 4, HEADS, seed=1), outputs(4, 6, HEADS, seed=2)
    expected = 0.0
    for layer in (1, 2):
        own, other = attention(student, layer), attention(teacher, 2 * layer)
        examples = [
            mean(
                [
                    sum(p * math.log(p / q) for p, q in zip(other[e][head][i], own[e][head][i], strict=True))
                    for head in range(HEADS)
                    for i in range(length)
                ]
            )
            for e, length in enumerate(LENGTHS)
        ]
        expected += mean(examples) / layer
    assert expected == pytest.approx(value(step(student, teacher)).item(), rel=1e-5)


def test_its_gradient() -> None:
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    student, teacher = (torch.randn(2, 2, 3, 3, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: attention_map_loss(x, teacher, mask), student.requires_grad_())
    assert attention_map_loss(teacher, teacher, mask).item() == pytest.approx(0, abs=1e-12)
