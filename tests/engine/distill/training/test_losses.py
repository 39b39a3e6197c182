"""Losses against hand-computed numbers, their limits, and where gradients go."""

import math

import pytest
import torch
from tests.closeness import assert_fp32_equal

from bertdistill.engine.distill.training.losses import MASKED, hard_loss, mixed_loss, soft_loss, span_choices


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


def test_alpha_weighs_the_two_losses() -> None:
    """total = alpha · soft + (1 - alpha) · hard."""
    student, teacher, targets = torch.randn(3, 4), torch.randn(3, 4), torch.tensor([0, 1, 2])
    losses = mixed_loss(student, targets, teacher, alpha=0.3, temperature=2.0)
    assert (0.3 * losses.soft + 0.7 * losses.hard).item() == pytest.approx(losses.total.item(), rel=1e-5)


def test_without_a_teacher_only_the_hard_loss_is_left() -> None:
    """Alpha has no say when there are no teacher outputs."""
    losses = mixed_loss(torch.zeros(1, 2), torch.tensor([0]), None, alpha=0.9, temperature=2.0)
    assert [math.log(2), math.log(2), 0.0] == pytest.approx([value.item() for value in losses])


def test_gradient_reaches_the_student_only() -> None:
    """A teacher tensor that could take a gradient gets none that changes the student's."""
    student = torch.randn(2, 3, requires_grad=True)
    mixed_loss(student, torch.tensor([0, 1]), torch.randn(2, 3), alpha=0.5, temperature=2.0).total.backward()
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
    outputs, teacher, targets = torch.randn(2, 4, 2), torch.randn(2, 4, 2), torch.tensor([1, 3, 0, 2])
    short = torch.ones(2, 4)
    pad = torch.nn.functional.pad
    long = pad(short, (0, 3))
    near = mixed_loss(span_choices(outputs, short), targets, span_choices(teacher, short), alpha=0.5, temperature=2.0)
    far = mixed_loss(
        span_choices(pad(outputs, (0, 0, 0, 3)), long),
        targets,
        span_choices(pad(teacher, (0, 0, 0, 3)), long),
        alpha=0.5,
        temperature=2.0,
    )
    assert_fp32_equal(near.total, far.total)
