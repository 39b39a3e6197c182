"""The projection loss against the formula of its paper, written out, and its gradient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import Kind, make_checkpoint
from transformers import AutoModel, BertConfig, BertForSequenceClassification

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.families.standalone import layers_of
from bertdistill.engine.distill.training.shared_projection import SharedProjection, Start
from bertdistill.engine.distill.training.terms.projection_loss import Pair, projection_loss
from bertdistill.engine.families.encoder_plan import bert_shape, plan_student
from bertdistill.engine.families.shared_projection import SAME, Compared, compared

WIDE, NARROW = 8, 4
VARIABLES = (
    *(f"attention.self.{name}" for name in ("query", "key", "value")),
    *("attention.output.dense", "attention.output.LayerNorm"),
    *("intermediate.dense", "output.dense", "output.LayerNorm"),
)


def net(width: int, layers: int, seed: int) -> Any:
    """A BERT whose feed-forward network is four times as wide as its hidden states, as in the paper."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=9, hidden_size=width, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=4 * width
    )
    model = BertForSequenceClassification(config)
    for parameter in model.parameters():  # biases and LayerNorms as well
        torch.nn.init.normal_(parameter)
    return model


def pair(how: str) -> tuple[SharedProjection, Any, Any]:
    """Two layers of width 4 against layers 2 and 4 of a teacher of width 8."""
    student, teacher = net(NARROW, 2, 1), net(WIDE, 4, 2)
    shape = bert_shape(vocab_size=9, positions=8, hidden_size=WIDE, ffn_size=32, layers=4, head_size=4)
    plan = plan_student(shape, Settings(layers=2, hidden_size=NARROW, head_size=2), scratch=True)
    shared = SharedProjection(NARROW, WIDE)
    with torch.no_grad():
        shared.up.normal_()
        assert shared.down is not None
        shared.down.normal_()
    shared.compare(student, teacher, Start(compared=compared(plan, shape, own=False)), how)
    return shared, student, teacher


def blocks(count: int, matrix: np.ndarray) -> np.ndarray:
    """The matrix so many times along the diagonal."""
    return np.kron(np.eye(count), matrix)


def by_hand(student: Any, teacher: Any, u: np.ndarray, v: np.ndarray, direction: str) -> float:
    """Σ_i ‖U θ_t V - θ_s‖², or Σ_i ‖θ_t - V θ_s U‖², over every variable of the layers, by the number of weights."""
    mine, theirs = (dict(model.named_parameters()) for model in (student, teacher))
    total, count = 0.0, 0
    for own, other in ((0, 1), (1, 3)):
        for name in VARIABLES:
            for part in ("weight", "bias"):
                s, t = (
                    params[f"bert.encoder.layer.{layer}.{name}.{part}"].detach().double().numpy()
                    for params, layer in ((mine, own), (theirs, other))
                )
                rows, columns = t.shape[0] // WIDE, (t.shape[1] // WIDE if t.ndim == 2 else 0)
                if direction == "down":
                    left, right, moved, fixed = blocks(rows, u), blocks(columns, v) if columns else None, t, s
                else:
                    left, right, moved, fixed = blocks(rows, v), blocks(columns, u) if columns else None, s, t
                moved = left @ moved if right is None else left @ moved @ right
                total += float(np.sum((moved - fixed) ** 2))
                count += fixed.size
    return total / count


@pytest.mark.parametrize(("how", "directions"), [("down", ["down"]), ("up", ["up"]), ("both", ["down", "up"])])
def test_it_is_the_formula_of_the_paper(how: str, directions: list[str]) -> None:
    """One pair of matrices for all variables; four blocks of them for the feed-forward network."""
    shared, student, teacher = pair(how)
    assert shared.down is not None
    u, v = (matrix.detach().double().numpy() for matrix in (shared.down, shared.up))
    expected = sum(by_hand(student, teacher, u, v, direction) for direction in directions)
    assert expected == pytest.approx(shared().item(), rel=1e-5)


def test_the_gradient_reaches_the_student_and_the_matrices_alone() -> None:
    """The teacher is fixed, and what is outside the layers is not compared."""
    shared, student, teacher = pair("both")
    shared().backward()
    found = {name for name, one in student.named_parameters() if one.grad is not None}
    assert found == {name for name, _ in student.named_parameters() if ".encoder.layer." in name}
    assert all(matrix.grad is not None and matrix.grad.abs().sum() > 0 for matrix in (shared.up, shared.down))
    assert all(one.grad is None for one in teacher.parameters())
    assert {"up", "down"} == set(shared.state_dict())


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
def test_every_weight_of_the_layers_is_compared(kind: Kind, tmp_path: Path) -> None:
    """Whatever the architecture calls them: nothing differs from itself, and a change of any of them counts."""
    folder = make_checkpoint(tmp_path, kind, layers=1, hidden=8, ffn=16)
    one, other = (AutoModel.from_pretrained(folder) for _ in range(2))
    shared = SharedProjection(8, 8, torch.eye(8))
    shared.compare(one, other, Start(compared=[Compared(0, 0, SAME, SAME)]), "down")
    assert 0.0 == shared().item()
    layer = layers_of(one)[0]
    weights = sum(parameter.numel() for parameter in layer.parameters())
    with torch.no_grad():
        for number, parameter in enumerate(layer.parameters(), start=1):
            parameter.view(-1)[0] += 2.0
            assert number * 4.0 / weights == pytest.approx(shared().item(), rel=1e-4)


@pytest.mark.parametrize("directions", [("down",), ("up",)])
def test_its_gradient(directions: tuple[str, ...]) -> None:
    torch.manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    def loss(down: torch.Tensor, up: torch.Tensor, matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
        teacher = torch.linspace(-1, 1, 36, dtype=torch.float64).reshape(6, 6)
        pairs = [Pair(matrix, teacher, True, True), Pair(vector, teacher[0], True, False)]
        return projection_loss(pairs, down, up, directions)

    assert torch.autograd.gradcheck(loss, (draw(2, 3), draw(3, 2), draw(4, 4), draw(4)))
