"""The map losses against the formulas of MobileBERT, written out in loops."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.engine.distill.training.terms.compared import LENGTHS, mean, outputs, step
from torch import Tensor, nn

from bertdistill.engine.contract.terms import MAP
from bertdistill.engine.distill.training.terms import map_loss
from bertdistill.engine.families.stages import Stage

Rows = np.ndarray


def normalised(row: Rows) -> list[float]:
    """(x - mean) / sqrt(variance), of one token."""
    middle = mean(list(row))
    spread = mean([(x - middle) ** 2 for x in row])
    return [(x - middle) / math.sqrt(spread + map_loss.EPSILON) for x in row]


def of_maps(own: Rows, other: Rows) -> float:
    return mean([(a - b) ** 2 for a, b in zip(normalised(own), normalised(other), strict=True)])


def of_means(own: Rows, other: Rows) -> float:
    return (mean(list(own)) - mean(list(other))) ** 2


def of_variances(own: Rows, other: Rows) -> float:
    spread = [mean([(x - mean(list(row))) ** 2 for x in row]) for row in (own, other)]
    return abs(spread[0] - spread[1])


FORMULAS = [(map_loss.value, of_maps), (map_loss.mean_value, of_means), (map_loss.variance_value, of_variances)]


def expected(student: list[Rows], teacher: list[Rows], formula: Callable[[Rows, Rows], float]) -> float:
    """Σ over layers l of (1 / l) times the mean over tokens, then examples; the teacher has twice as many layers."""
    return sum(
        mean([mean([formula(own[e, i], other[e, i]) for i in range(length)]) for e, length in enumerate(LENGTHS)])
        / layer
        for layer, (own, other) in enumerate(zip(student[1:], teacher[2::2], strict=True), start=1)
    )


@pytest.mark.parametrize(("value", "formula"), FORMULAS, ids=["maps", "means", "variances"])
def test_they_are_the_formulas(value: Callable[..., Tensor], formula: Callable[[Rows, Rows], float]) -> None:
    """Of states as wide as the teacher's: embeddings are not compared, padding does not count."""
    student, teacher = outputs(2, 6, 2, seed=1), outputs(4, 6, 2, seed=2)
    arrays = [[one.double().numpy() for one in states.hidden] for states in (student, teacher)]
    assert expected(arrays[0], arrays[1], formula) == pytest.approx(value(step(student, teacher)).item(), rel=1e-5)


def test_a_narrower_student_is_projected_first() -> None:
    student, teacher, linear = outputs(1, 4, 2, seed=1), outputs(1, 6, 2, seed=2), nn.Linear(4, 6)
    own = linear(student.hidden[1]).detach().double().numpy()
    states = [own, own], [teacher.hidden[1].double().numpy()] * 3
    found = map_loss.value(step(student, teacher, nn.ModuleDict({MAP: linear}))).item()
    assert expected(*states, of_maps) == pytest.approx(found, rel=1e-5)


def test_a_stage_compares_its_layers_alone() -> None:
    """The parts of a progressive transfer add up to the whole."""
    student, teacher = outputs(2, 6, 2, seed=1), outputs(4, 6, 2, seed=2)
    whole = step(student, teacher)
    parts = [
        map_loss.value(replace(whole, stage=stage)).item()
        for stage in (Stage(lowest=0, highest=1), Stage(lowest=2, highest=2))
    ]
    assert all(part > 0 for part in parts)
    assert sum(parts) == pytest.approx(map_loss.value(whole).item(), rel=1e-5)


@pytest.mark.parametrize("loss", [map_loss.map_loss, map_loss.map_mean_loss, map_loss.map_variance_loss])
def test_their_gradients(loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """In float64, by finite differences."""
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    student, teacher = (torch.randn(2, 3, 4, dtype=torch.float64) for _ in range(2))
    assert torch.autograd.gradcheck(lambda x: loss(x, teacher, mask), student.requires_grad_())
    assert 0.0 == loss(teacher, teacher, mask).item()
