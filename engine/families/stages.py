"""The parts of a training in which different terms of the loss count. Pure arithmetic on numbers of steps.

TinyBERT (Jiao et al. 2020, arXiv 1909.10351, section 4) learns from layers first and from predictions then; MobileBERT
(Sun et al. 2020, arXiv 2004.02984, section 3.5) calls that joint knowledge transfer, and progressive if it takes one
layer after the other and freezes what is below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertdistill.engine.contract import terms
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import TOGETHER, Term


@dataclass(frozen=True)
class Stage:
    """Steps `begin` to `end` (excluded). Layers are those of the student, counted from 1; 0 are the embeddings."""

    begin: int = 0
    end: int = 0
    compares: bool = True
    """Whether terms that compare layers count."""
    predicts: bool = True
    """Whether the others do: those of predictions, and those of the teacher's network as a whole."""
    lowest: int = 0
    """The lowest layer that is compared and trained; everything below it is frozen."""
    highest: int = 0
    """The highest layer that is compared; 0 is the last. Layers above it are not trained."""

    def counts(self, term: Term) -> bool:
        """Whether a term counts in these steps."""
        return self.compares if term.layered else self.predicts

    def covers(self, layer: int) -> bool:
        """Whether a layer is compared in them."""
        return self.lowest <= layer and (not self.highest or layer <= self.highest)

    @property
    def steps(self) -> int:
        return self.end - self.begin


WHOLE = Stage()
"""Every term and every layer."""


def layer_steps(settings: Settings, steps: int) -> int:
    """How many of the steps compare layers and nothing else; at least one is left for predictions."""
    if settings.layerwise == TOGETHER or not any(term.layered for term in terms.active(settings)):
        return 0
    return min(max(1, round(steps * settings.layerwise_share)), steps - 1)


def stages(settings: Settings, steps: int, compared: Sequence[int]) -> tuple[Stage, ...]:
    """The stages of a training of so many steps in order; `compared` are the layers that its terms compare, ascending.

    A progressive training divides its first steps among these layers as evenly as it can. Each stage also trains what
    is between its layer and that of the stage before. If there are fewer steps than layers, a step has several of them.
    """
    first = layer_steps(settings, steps)
    if not compared or settings.layerwise == TOGETHER:
        return (Stage(0, steps),)
    tops = compared if settings.layerwise == terms.PROGRESSIVE else [0]
    found, below = [], -1
    for number, top in enumerate(tops):
        begin, end = (first * place // len(tops) for place in (number, number + 1))
        if begin < end:
            found.append(Stage(begin, end, predicts=False, lowest=below + 1, highest=top))
            below = top
    return (*found, Stage(first, steps, compares=False))
