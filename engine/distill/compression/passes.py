"""Changes to a network during training, such as pruning: the interface that the training loop calls.

A pass is one module here and one row in `table`. It belongs to one network. What it must remember beyond the weights
is its `state`, which a checkpoint keeps: a resumed training is equal to an uninterrupted one to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True)
class Moment:
    """One optimiser step, from 0, of `steps`; `rate` gives the learning rate of any step."""

    step: int
    steps: int
    rate: Callable[[int], float]


class Pass(Protocol):
    """One change applied over the course of training."""

    def groups(self) -> list[dict[str, Any]]:
        """Parameters of its own that AdamW trains with the network's, each group with the peak of its rate in `lr`."""
        ...

    def before_step(self, now: Moment) -> None:
        """Bring the network into its state for the forward passes of this step."""
        ...

    def before_update(self) -> None:
        """Change the gradients of the step, before they are clipped."""
        ...

    def after_step(self, now: Moment) -> None:
        """Called after AdamW has moved the weights: leave the network as it may be evaluated and saved."""
        ...

    def at_end(self) -> None:
        """Called after the last step, before the final evaluation and the export. May be called twice."""
        ...

    def settled(self, step: int, steps: int) -> bool:
        """Whether the network after `step` steps is of the kind that was asked for: only then can it be the best."""
        ...

    def zeros(self) -> int:
        """How many weights it holds at 0."""
        ...

    def series(self) -> dict[str, float]:
        """What it adds to the curves of the training."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """What a checkpoint must keep besides weights and optimiser."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Return to a `state`, after the weights were restored."""
        ...
