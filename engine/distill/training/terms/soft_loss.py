"""The soft loss: divergence from the teacher's softmax at a temperature, or squared difference of the logits."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from bertdistill.engine.distill.training.terms.step import MASKED, Step


def soft_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of both softmaxes at `temperature`, summed over choices, averaged over rows.

    Hinton et al. 2015, arXiv 1503.02531; the reduction is `batchmean`, as in DistilBERT and the original experiment, so
    that for spans the mean over rows is also the mean over start and end. Both arguments are (rows, choices).
    """
    student = functional.log_softmax(student_logits / temperature, dim=-1)
    teacher = functional.log_softmax(teacher_logits / temperature, dim=-1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def logits_loss(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Mean squared difference of the raw logits, (rows, choices), over all choices that exist.

    Ba and Caruana 2014, arXiv 1312.6184; Tang et al. 2019, arXiv 1903.12136.
    """
    real = teacher_logits > MASKED / 2
    return ((student_logits - teacher_logits).square() * real).sum() / real.sum()


def value(step: Step) -> Tensor:
    """The term of one step, a scalar."""
    if step.settings.soft_loss == "mse":
        return logits_loss(step.logits, step.teacher_logits)
    # A token that the teacher does not have is no choice in its softmax, so it is none in the student's either.
    student = step.logits.masked_fill(step.teacher_logits <= MASKED / 2, MASKED)
    return soft_loss(student, step.teacher_logits, step.settings.temperature)
