"""Which heads and feed-forward neurons of the initial model a student keeps, once its plan says how many.

It changes no network: `standalone` removes what is not kept.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import NEW_LAYER, Plan

Importance = npt.NDArray[np.floating[Any]]


def choose_heads(plan: Plan, settings: Settings, importance: Importance | None) -> list[list[int]]:
    """Indices of the heads kept in each layer, ascending.

    random: the removed heads are drawn layer by layer from one generator, as in the original experiment. importance:
    the highest are kept; ties, and heads of new layers, by index.
    """
    total = plan.shape.heads
    if not plan.pruned:
        return [list(range(total)) for _ in plan.kept_layers]
    if settings.head_choice == "random":
        draw = random.Random(settings.head_seed)
        gone = [draw.sample(range(total), total - left) for left in plan.heads_left]
        return [[head for head in range(total) if head not in lost] for lost in gone]
    if importance is None and set(plan.kept_layers) != {NEW_LAYER}:
        raise ConfigError(
            'settings.head_choice is "importance", but no importance was computed for the initial model',
            hint='prepare the study again, or set head_choice = "random"',
        )
    return _highest(plan, plan.heads_left, total, importance, "heads")


def choose_neurons(plan: Plan, importance: Importance | None) -> list[list[int]]:
    """Indices of the feed-forward neurons kept in each layer, ascending; ties, and those of new layers, by index."""
    total = plan.shape.ffn_size
    if not plan.narrowed:
        return [list(range(total)) for _ in plan.kept_layers]
    if importance is None:
        raise ConfigError(
            f"settings.ffn_size is below the {total} neurons of the initial model, but their importance is not known",
            hint="prepare the study again",
        )
    return _highest(plan, plan.ffn_left, total, importance, "neurons")


def _highest(plan: Plan, left: Sequence[int], total: int, importance: Importance | None, named: str) -> list[list[int]]:
    found = []
    for origin, count in zip(plan.kept_layers, left, strict=True):
        row = np.zeros(total) if origin == NEW_LAYER or importance is None else _row(importance, origin, total, named)
        found.append(sorted(np.argsort(-row, kind="stable")[:count].tolist()))
    return found


def _row(importance: Importance, origin: int, total: int, named: str) -> Importance:
    if importance.shape[0] <= origin or importance.shape[1] != total:
        raise ConfigError(
            f"importance of {named} of shape {importance.shape} does not fit layer {origin} with {total} {named}"
        )
    row: Importance = importance[origin]
    return row
