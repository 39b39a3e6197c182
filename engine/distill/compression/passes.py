"""Changes to a network during training, such as gradual pruning: called before every step and at the end.

A pass is one module here; the creator of the training `Job` lists the passes that the settings require. A pass
keeps no state between steps except what `Model.save` writes: a resumed training calls it again at the same step.
"""

from __future__ import annotations

from typing import Protocol

from bertdistill.engine.distill.families.model import Model


class Pass(Protocol):
    """One change applied over the course of training."""

    def before_step(self, model: Model, step: int, steps: int) -> None:
        """Bring the network into its state for step `step` (from 0) of `steps`."""
        ...

    def at_end(self, model: Model) -> None:
        """Called after the last step, before the final evaluation and the export. May be called twice."""
        ...
