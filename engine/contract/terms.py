"""The terms of the training loss, as everything outside of the worker sees them. Standard library only.

A new term is one row here and one module with its formula in `distill.training.terms`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bertdistill.engine.contract.spec import Settings

LOGITS = "logits"
"""Signal of a teacher: the outputs of its task head. It is always cached."""


@dataclass(frozen=True)
class Term:
    """One weighted part of the loss. A term of weight 0 is neither computed nor logged, unless it is `watched`."""

    name: str
    """Of its series: `train/<name>`."""
    key: str
    """The setting that its weight follows."""
    weight: Callable[[float], float]
    """From the value of that setting to the weight."""
    settings: frozenset[str] = frozenset()
    """Further settings that mean something to this term alone."""
    needs: frozenset[str] = frozenset()
    """Signals of the teacher that it compares with."""
    online: bool = False
    """Whether it needs the teacher in the step, because a cache could not hold the signals."""
    watched: bool = False
    """Computed and logged at weight 0, too."""

    def weight_in(self, settings: Settings) -> float:
        """Its weight under these settings."""
        return self.weight(getattr(settings, self.key))


TERMS: dict[str, Term] = {
    term.name: term
    for term in (
        Term("soft_loss", "alpha", lambda alpha: alpha, frozenset({"temperature"}), frozenset({LOGITS})),
        Term("hard_loss", "alpha", lambda alpha: 1.0 - alpha, watched=True),
    )
}


def idle(settings: Settings) -> frozenset[str]:
    """Keys that mean something to terms of weight 0 only."""
    on = {term.name for term in TERMS.values() if term.weight_in(settings) != 0}
    used = frozenset[str]().union(*(TERMS[name].settings for name in on))
    return frozenset[str]().union(*(term.settings for term in TERMS.values())) - used


def signals(settings: Settings) -> frozenset[str]:
    """What a training with these settings reads of its teacher."""
    return frozenset[str]().union(*(term.needs for term in TERMS.values() if term.weight_in(settings) != 0))
