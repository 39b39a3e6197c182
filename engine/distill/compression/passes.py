"""What changes a network while it is trained, such as gradual pruning: asked before every step and at the end.

A pass is one module here; whoever makes the `Job` of a training lists the passes that its settings ask for. A pass
keeps nothing between steps but what `Model.save` writes: a resumed training asks it again at the same step.
"""

from __future__ import annotations

from typing import Protocol

from bertdistill.engine.distill.families.model import Model


class Pass(Protocol):
    """One change over the course of a training."""

    def before_step(self, model: Model, step: int, steps: int) -> None:
        """Bring the network to where it should be before step number `step` of `steps`, from 0."""
        ...

    def at_end(self, model: Model) -> None:
        """The last step is done; what is evaluated last and exported comes after this. May be called twice."""
        ...
