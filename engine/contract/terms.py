"""The terms of the training loss as seen outside the worker. Standard library only.

To add a term, add a row here and a module with its formula in `distill.training.terms`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bertdistill.engine.contract.spec import Settings

LOGITS = "logits"
"""Teacher signal: the outputs of its task head. Always cached."""


@dataclass(frozen=True)
class Term:
    """One weighted term of the loss. With weight 0 it is neither computed nor logged, unless `watched`."""

    name: str
    """Its series is `train/<name>`."""
    key: str
    """The setting that determines its weight."""
    weight: Callable[[float], float]
    """Maps the value of that setting to the weight."""
    settings: frozenset[str] = frozenset()
    """Further settings that only this term uses."""
    needs: frozenset[str] = frozenset()
    """Teacher signals that it needs."""
    online: bool = False
    """Whether the teacher must run during training because its signals are too large to cache."""
    watched: bool = False
    """Computed and logged even with weight 0."""

    def weight_in(self, settings: Settings) -> float:
        """Its weight with these settings."""
        return self.weight(getattr(settings, self.key))


TERMS: dict[str, Term] = {
    term.name: term
    for term in (
        Term("soft_loss", "alpha", lambda alpha: alpha, frozenset({"soft_loss", "temperature"}), frozenset({LOGITS})),
        Term("hard_loss", "alpha", lambda alpha: 1.0 - alpha, watched=True),
    )
}


def idle(settings: Settings) -> frozenset[str]:
    """Keys used only by terms of weight 0, and those that another key makes ineffective."""
    on = {term.name for term in TERMS.values() if term.weight_in(settings) != 0}
    used = frozenset[str]().union(*(TERMS[name].settings for name in on))
    if settings.soft_loss == "mse":
        used -= {"temperature"}
    return frozenset({"transfer_share"} if not signals(settings) else ()).union(
        *(term.settings - used for term in TERMS.values())
    )


def transfer_share(settings: Settings) -> float:
    """The share of each batch without labels: 0 if no term of the loss reads the teacher, as nothing else labels it."""
    return settings.transfer_share if signals(settings) else 0.0


def transfer_rows(batch_size: int, share: float) -> int:
    """Rows of each batch that come from the transfer set; at least one row is left for labelled ones."""
    return min(round(batch_size * share), batch_size - 1)


def signals(settings: Settings) -> frozenset[str]:
    """Teacher signals that training with these settings needs."""
    return frozenset[str]().union(*(term.needs for term in TERMS.values() if term.weight_in(settings) != 0))
