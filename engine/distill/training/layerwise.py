"""What a loss that compares layers needs besides the student: learned projections into the teacher's width.

They are trained with the student and belong to no model: neither counted, nor saved with it, nor exported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from bertdistill.engine.contract import terms
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.families.model import Model
from bertdistill.engine.distill.families.transformer import seeded

PROJECTED = frozenset({terms.HIDDEN})
"""Terms that compare vectors of the student's width with those of the teacher's."""


@dataclass(frozen=True)
class Layerwise:
    """Of one training."""

    helpers: nn.ModuleDict
    """The learned projection of each term that needs one, by name; empty if student and teacher are equally wide."""


def layerwise(model: Model, settings: Settings, teacher_shape: Mapping[str, Any]) -> Layerwise | None:
    """What the terms of these settings need; None if none of them compares layers."""
    compared = [term.name for term in terms.active(settings) if term.families]
    if not compared:
        return None
    config: Any = model.net.config
    width, wanted = config.hidden_size, teacher_shape["hidden_size"]
    with seeded(settings.seed):
        helpers = {name: nn.Linear(width, wanted) for name in compared if name in PROJECTED and width != wanted}
    return Layerwise(nn.ModuleDict(helpers))
