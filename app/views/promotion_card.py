"""What a promotion will do, beside its form: what is verified against which record, in which steps, on how much disk.

Pure: the free space is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.app.views.trial_card import trial_card
from bertdistill.app.views.verification import STEPS
from bertdistill.app.views.view import StudyView
from bertdistill.store.rows import Checkpoint, Trial

TIMES = 2
"""The export in safetensors, and at most as much again in ONNX."""


def promotion_card(
    view: StudyView, trial: Trial, checkpoint: Checkpoint | None, free: int | None, *, ascii_only: bool = False
) -> list[tuple[str, str]]:
    """Pairs of a name and words; `free` are the bytes left on the disk of the workspace, None: unknown."""
    return [(name, safe_line(words, 400)) for name, words in _facts(view, trial, checkpoint, free, ascii_only) if words]


def _facts(
    view: StudyView, trial: Trial, checkpoint: Checkpoint | None, free: int | None, ascii_only: bool
) -> Iterator[tuple[str, str]]:
    if checkpoint is not None:
        scores = [f"{name} {fmt.metric(name, value)}" for name, value in checkpoint.metrics.items()][:3]
        yield "verifies", f"the {checkpoint.role} checkpoint, of step {checkpoint.step:,}"
        yield "record", ", ".join(scores)
        needs, left = fmt.size(TIMES * checkpoint.size_bytes), "" if free is None else f", {fmt.size(free)} are free"
        yield "disk", f"at most {needs}{left}"
    for number, (words, _) in enumerate(STEPS, start=1):
        yield f"step {number}", words
    yield from trial_card(view, trial, ascii_only=ascii_only)
