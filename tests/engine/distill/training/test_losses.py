"""Losses against hand-computed numbers, their limits, and where gradients go."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.closeness import assert_fp32_equal
from torch import Tensor

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LOGITS, TERMS, Term, idle, signals, transfer_share
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.data.examples import NO_LABEL
from bertdistill.engine.distill.families.model import Outputs
from bertdistill.engine.distill.training.losses import VALUES, losses_of
from bertdistill.engine.distill.training.terms.hard_loss import hard_loss
from bertdistill.engine.distill.training.terms.soft_loss import logits_loss, soft_loss
from bertdistill.engine.distill.training.terms.step import MASKED, Step, span_choices


def test_hard_loss_of_even_logits_is_the_log_of_the_choices() -> None:
    """Three equal logits give log 3 whatever the target."""
    assert math.log(3) == pytest.approx(hard_loss(torch.zeros(2, 3), torch.tensor([0, 2])).item())


def test_soft_loss_by_hand() -> None:
    """T² · Σ p log(p / q), averaged over rows, at temperature 2."""
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0 * math.log(3.0), 0.0]])
    p, q = (0.75, 0.25), (0.5, 0.5)  # 3 : 1 and 1 : 1 after division by the temperature
    expected = 4 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    assert expected == pytest.approx(soft_loss(student, teacher, 2.0).item(), rel=1e-5)


def test_soft_loss_is_averaged_over_rows_and_summed_over_choices() -> None:
    """Repeating a row changes nothing (batchmean)."""
    student, teacher = torch.randn(1, 5), torch.randn(1, 5)
    one = soft_loss(student, teacher, 3.0)
    assert one.item() == pytest.approx(soft_loss(student.repeat(4, 1), teacher.repeat(4, 1), 3.0).item(), rel=1e-5)


def test_the_squared_difference_of_logits_by_hand() -> None:
    """Raw logits, not their softmax: a constant added to all of them counts."""
    student, teacher = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.5, 1.0], [1.0, 1.0]])
    assert (0.25 + 1.0 + 1.0 + 1.0) / 4 == pytest.approx(logits_loss(student, teacher).item())


def test_the_soft_loss_is_chosen_by_a_setting() -> None:
    """With mse, neither temperature nor padding counts."""
    outputs, teacher, targets = torch.randn(2, 4, 2), torch.randn(2, 4, 2), torch.tensor([[1, 0], [3, 2]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    found = losses_of(step(outputs, targets, teacher, mask, alpha=1.0, soft_loss="mse")).total
    real = mask.bool()[..., None].expand_as(outputs)
    assert ((outputs - teacher)[real] ** 2).mean().item() == pytest.approx(found.item(), rel=1e-5)
    assert "temperature" in idle(Settings(soft_loss="mse"))
    assert "temperature" not in idle(Settings())


def test_tokens_that_the_teacher_does_not_have_are_no_choices() -> None:
    """The softmax of the student is over the others, as if these did not exist, and they get no gradient."""
    outputs = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    teacher, targets = torch.randn(2, 4, 2), torch.tensor([[1, 0], [3, 3]])
    teacher[0, 2, 0] = teacher[1, 1, 1] = teacher[1, 2, 1] = MASKED
    total = losses_of(step(outputs, targets, teacher, alpha=1.0, temperature=1.5)).total
    expected = 0.0
    for row in range(2):
        for side in range(2):
            there = [i for i in range(4) if teacher[row, i, side] > MASKED / 2]
            p = [math.exp(teacher[row, i, side].item() / 1.5) for i in there]
            q = [math.exp(outputs[row, i, side].item() / 1.5) for i in there]
            p, q = ([one / sum(all_of) for one in all_of] for all_of in (p, q))
            expected += 1.5**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / 4
    assert expected == pytest.approx(total.item(), rel=1e-5)
    total.backward()
    assert outputs.grad is not None
    assert torch.equal(outputs.grad == 0, teacher <= MASKED / 2)


def test_rows_without_a_label_have_no_hard_loss() -> None:
    """The mean is over those with a label; the soft loss sees all rows."""
    logits, teacher = torch.randn(4, 3), torch.randn(4, 3)
    losses = losses_of(step(logits, torch.tensor([2, NO_LABEL, 0, NO_LABEL]), teacher, alpha=0.5)).parts
    assert hard_loss(logits[[0, 2]], torch.tensor([2, 0])).item() == pytest.approx(losses["hard_loss"].item())
    assert soft_loss(logits, teacher, 2.0).item() == pytest.approx(losses["soft_loss"].item())


def test_without_a_soft_loss_nothing_is_drawn_from_a_transfer_set() -> None:
    """No other term knows anything about its texts."""
    assert [0.4, 0.0] == [transfer_share(Settings(alpha=alpha, transfer_share=0.4)) for alpha in (0.5, 0.0)]
    assert "transfer_share" in idle(Settings(alpha=0.0))


def test_equal_logits_have_no_soft_loss() -> None:
    """A student that equals its teacher has nothing to learn at any temperature."""
    logits = torch.randn(4, 7)
    assert [0.0, 0.0] == pytest.approx([soft_loss(logits, logits, t).item() for t in (1.0, 10.0)], abs=1e-5)


def test_soft_loss_gradient_keeps_its_size_with_temperature() -> None:
    """T² makes the gradient at high temperature approach that of centred logits, not vanish."""
    student = torch.zeros(1, 4, requires_grad=True)
    teacher = torch.tensor([[1.0, -1.0, 0.5, -0.5]])
    norms = [torch.autograd.grad(soft_loss(student, teacher, t), student)[0].norm().item() for t in (50.0, 500.0)]
    assert norms[0] == pytest.approx(norms[1], rel=0.02)


def step(
    student: Tensor, targets: Tensor, teacher: Tensor | None = None, mask: Tensor | None = None, **changes: Any
) -> Step:
    """One step with these outputs: (rows, labels), or (batch, length, 2) with targets (batch, 2)."""
    length = student.shape[1]
    mask = torch.ones(len(student), length, dtype=torch.long) if mask is None else mask
    signals = {} if teacher is None else {LOGITS: teacher}
    batch = Batch(np.arange(len(student)), False, torch.zeros_like(mask), mask, None, targets, signals)
    return Step(Outputs(student), batch, Settings(**{"temperature": 2.0, **changes}))


def test_alpha_weighs_the_two_losses() -> None:
    """total = alpha · soft + (1 - alpha) · hard."""
    student, teacher, targets = torch.randn(3, 4), torch.randn(3, 4), torch.tensor([0, 1, 2])
    losses = losses_of(step(student, targets, teacher, alpha=0.3))
    weighted = 0.3 * losses.parts["soft_loss"] + 0.7 * losses.parts["hard_loss"]
    assert weighted.item() == pytest.approx(losses.total.item(), rel=1e-5)


def test_without_a_weight_a_term_costs_nothing() -> None:
    """At alpha 0 nothing is asked of the teacher, and nothing logged of it; the total is the hard loss itself."""
    losses = losses_of(step(torch.zeros(1, 2), torch.tensor([0]), alpha=0.0))
    assert {"hard_loss": pytest.approx(math.log(2))} == {name: value.item() for name, value in losses.parts.items()}
    assert losses.total.item() == losses.parts["hard_loss"].item()


def test_at_alpha_one_the_hard_loss_is_watched_and_not_learnt() -> None:
    """It tells how training goes, whatever its weight."""
    losses = losses_of(step(torch.randn(3, 4), torch.tensor([0, 1, 2]), torch.randn(3, 4), alpha=1.0))
    assert {"soft_loss", "hard_loss"} == set(losses.parts)
    assert losses.total.item() == losses.parts["soft_loss"].item()


def test_every_term_has_a_formula() -> None:
    """The worker's table and the one that everybody else reads have the same names, in the order of summing."""
    assert list(TERMS) == list(VALUES)


def test_another_term_is_one_row_and_one_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is weighed, added and logged by its name, and the preparation is told what it needs."""
    monkeypatch.setitem(
        TERMS, "doubt", Term("doubt", "label_doubt", lambda weight: weight, needs=frozenset({"doubts"}))
    )
    monkeypatch.setitem(VALUES, "doubt", lambda one: one.logits.softmax(-1).max(-1).values.mean())
    monkeypatch.setattr(Settings, "label_doubt", 0.5, raising=False)
    losses = losses_of(step(torch.zeros(1, 2), torch.tensor([0]), alpha=0.0))
    assert pytest.approx(math.log(2) + 0.5 * 0.5) == losses.total.item()
    assert {"hard_loss", "doubt"} == set(losses.parts)
    assert {"doubts"} == signals(Settings(alpha=0.0))


def test_gradient_reaches_the_student_only() -> None:
    """A teacher tensor that could take a gradient gets none that changes the student's."""
    student = torch.randn(2, 3, requires_grad=True)
    losses_of(step(student, torch.tensor([0, 1]), torch.randn(2, 3), alpha=0.5)).total.backward()
    assert student.grad is not None
    assert student.grad.abs().sum().item() > 0


def test_padding_gets_no_probability_and_no_gradient() -> None:
    """Logits behind the mask neither count nor learn, whatever they are."""
    outputs = torch.randn(1, 5, 2, requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 0, 0]])
    rows = span_choices(outputs, mask)
    assert (2, 5) == tuple(rows.shape)
    assert [MASKED, MASKED] == rows[0, 3:].tolist()
    soft_loss(rows, torch.randn(2, 5), 2.0).backward()
    assert outputs.grad is not None
    assert 0.0 == outputs.grad[0, 3:].abs().sum().item()


def test_padding_does_not_change_a_loss() -> None:
    """The same examples padded further have the same losses."""
    outputs, teacher, targets = torch.randn(2, 4, 2), torch.randn(2, 4, 2), torch.tensor([[1, 0], [3, 2]])
    short, pad = torch.ones(2, 4, dtype=torch.long), torch.nn.functional.pad
    near = losses_of(step(outputs, targets, teacher, short))
    far = losses_of(step(pad(outputs, (0, 0, 0, 3)), targets, pad(teacher, (0, 0, 0, 3)), pad(short, (0, 3))))
    assert_fp32_equal(near.total, far.total)
