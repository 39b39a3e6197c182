"""The terms of the training loss as seen outside the worker. Standard library only.

To add a term, add a row here and a module with its formula in `distill.training.terms`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract.spec import Settings

LOGITS = "logits"
"""Teacher signal: the outputs of its task head. Always cached."""
CLS = "cls"
"""Teacher signal: its hidden state of the first token after every layer but the last. Cached if a trial can use it."""
HIDDEN, STATES, ATTENTION, RELATION = "hidden_loss", "states_loss", "attention_loss", "relation_loss"
MAP, MAP_MEAN, MAP_VARIANCE = "map_loss", "map_mean_loss", "map_variance_loss"
ATTENTION_MAP = "attention_map_loss"
"""Terms that compare what layers compute."""
PROJECTION, DUAL = "projection_loss", "dual_loss"
"""Terms that need the teacher's network itself: its weights, or what it makes of the student's embeddings."""
PATENTS = (
    "Google LLC holds US patents 11,797,862 and 12,260,340 on these methods; have it checked before commercial use"
)
"""Said wherever a study uses one of these two."""
WITH_LAYERS = frozenset({"transformer", "bottleneck"})
"""Families whose layers can be compared with the teacher's."""
TOGETHER, FIRST, PROGRESSIVE = "together", "first", "progressive"
"""Values of `settings.layerwise`."""
WHEN = frozenset({"layerwise", "layerwise_share"})
"""Settings of all terms that compare layers: in which steps they count, see `families.stages`."""
LAYER_KEYS = WHEN | {
    *("hidden_weight", "hidden_map", "states_weight", "attention_weight", "compared_layers"),
    *("relation_weight", "relation_heads", "relation_layer"),
    *("map_weight", "map_mean_weight", "map_variance_weight", "attention_map_weight"),
}
"""All settings of these terms."""
SEPARATED = "transformer"
"""The family with `separate_layers`, shared projection and dual training."""
PAIRED = frozenset({"compared_layers"})
"""Settings of the terms that compare pairs of layers."""


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
    """Further settings that only this term uses, or only some terms do."""
    needs: frozenset[str] = frozenset()
    """Cached teacher signals that it needs."""
    online: bool = False
    """Whether the teacher must run during training because its signals are too large to cache."""
    network: bool = False
    """Whether it needs the teacher's network in every step for another reason, so that any tokens of the student will
    do."""
    families: frozenset[str] = frozenset()
    """Families that it applies to; others have weight 0. Empty for all of them."""
    layered: bool = False
    """Whether it compares layers of student and teacher."""
    watched: bool = False
    """Computed and logged even with weight 0."""

    def weight_in(self, settings: Settings) -> float:
        """Its weight with these settings."""
        if self.families and settings.family not in self.families:
            return 0.0
        return self.weight(getattr(settings, self.key))

    @property
    def taught(self) -> bool:
        """Whether it reads the teacher."""
        return self.online or bool(self.needs)


def _layered(name: str, key: str, settings: frozenset[str] = frozenset(), **more: Any) -> Term:
    return Term(name, key, float, settings | WHEN, families=WITH_LAYERS, layered=True, **more)


TERMS: dict[str, Term] = {
    term.name: term
    for term in (
        Term("soft_loss", "alpha", lambda alpha: alpha, frozenset({"soft_loss", "temperature"}), frozenset({LOGITS})),
        Term("hard_loss", "alpha", lambda alpha: 1.0 - alpha, watched=True),
        _layered(HIDDEN, "hidden_weight", PAIRED | {"hidden_map"}, needs=frozenset({CLS})),
        _layered(STATES, "states_weight", PAIRED, online=True),
        _layered(ATTENTION, "attention_weight", PAIRED, online=True),
        _layered(RELATION, "relation_weight", frozenset({"relation_heads", "relation_layer"}), online=True),
        _layered(MAP, "map_weight", PAIRED, online=True),
        _layered(MAP_MEAN, "map_mean_weight", PAIRED, online=True),
        _layered(MAP_VARIANCE, "map_variance_weight", PAIRED, online=True),
        _layered(ATTENTION_MAP, "attention_map_weight", PAIRED, online=True),
        Term(
            PROJECTION,
            "projection_weight",
            float,
            frozenset({"projection"}),
            network=True,
            families=frozenset({SEPARATED}),
        ),
        Term(
            DUAL,
            "dual_share",
            lambda share: float(share > 0),
            needs=frozenset({LOGITS}),
            network=True,
            families=frozenset({SEPARATED}),
        ),
    )
}


def active(settings: Settings) -> tuple[Term, ...]:
    """The terms that count with these settings."""
    return tuple(term for term in TERMS.values() if term.weight_in(settings) != 0)


def idle(settings: Settings) -> frozenset[str]:
    """Keys used only by terms of weight 0, and those that another key makes ineffective."""
    used = frozenset[str]().union(*(term.settings for term in active(settings)))
    if settings.soft_loss == "mse":
        used -= {"temperature"}
    if settings.layerwise == TOGETHER:
        used -= {"layerwise_share"}
    if not settings.separate_layers or settings.family != SEPARATED:
        used -= PAIRED
    return frozenset({"transfer_share"} if not taught(settings) else ()).union(
        *(term.settings - used for term in TERMS.values())
    )


def transfer_share(settings: Settings) -> float:
    """The share of each batch without labels: 0 if no term of the loss reads the teacher, as nothing else labels it."""
    return settings.transfer_share if taught(settings) else 0.0


def taught(settings: Settings) -> bool:
    """Whether any term of the loss reads the teacher."""
    return any(term.taught for term in active(settings))


def online(settings: Settings) -> tuple[Term, ...]:
    """The terms for which the teacher must run in every step of training."""
    return tuple(term for term in active(settings) if term.online)


def with_network(settings: Settings) -> tuple[Term, ...]:
    """The terms for which the teacher's network must be there while training."""
    return tuple(term for term in active(settings) if term.online or term.network)


def transfer_rows(batch_size: int, share: float) -> int:
    """Rows of each batch that come from the transfer set; at least one row is left for labelled ones."""
    return min(round(batch_size * share), batch_size - 1)


def passes(settings: Mapping[str, Any]) -> float:
    """Passes over the labelled rows, longer by the rows of the transfer set that are read along with them.

    Those of fine-tuning count as well, those of pre-training do not.
    """
    batch_size = int(settings["batch_size"])
    others = transfer_rows(batch_size, float(settings.get("transfer_share") or 0.0)) if settings.get("alpha") else 0
    tuning = float(settings.get("finetune_epochs") or 0.0)
    return float(settings["epochs"]) * batch_size / (batch_size - others) + tuning


def untaught(settings: Settings) -> Settings:
    """The settings with the hard loss alone."""
    zero: dict[str, Any] = {term.key: 0.0 for term in TERMS.values() if term.taught}
    return dataclasses.replace(settings, **zero)


def signals(settings: Settings) -> frozenset[str]:
    """Cached teacher signals that training with these settings needs."""
    return frozenset[str]().union(*(term.needs for term in active(settings)))
