"""Which trials are repeats of one point: those whose resolved settings are equal but for the seed.

Pure. `pareto.repeats` computes with the groups; this only says what belongs together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

SEED = "seed"


def point_of(settings: Mapping[str, Any]) -> str | None:
    """The point that a trial with these settings measures; None without a seed, so that nothing repeats it.

    Runs that another program logged often record too little to say that two of them are the same.
    """
    return without_seed(settings) if SEED in settings else None


def points_of(trials: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[int, str]:
    """The point of each trial, by number, where trials differ in their seed; empty in a study of one seed.

    Most studies have a single seed, and then no settings are compared: of 1,000 trials that would take 50 ms, and
    importing the families, which is left to those who do compare, another 30 ms.
    """
    every = list(trials)
    if len({settings.get(SEED) for _, settings in every}) < 2:
        return {}
    return {number: point for number, settings in every if (point := point_of(settings)) is not None}


def without_seed(settings: Mapping[str, Any], besides: Iterable[str] = ()) -> str:
    """The settings as a value to compare, without the seed, `besides` and what has no effect with them."""
    whole = _whole(settings)
    left_out = {SEED, *besides, *_idle(whole)}
    return json.dumps({key: value for key, value in whole.items() if key not in left_out}, sort_keys=True, default=str)


def _whole(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the defaults of settings that older versions did not have; those of other programs as they are."""
    from bertdistill.engine.contract.spec import Settings
    from bertdistill.engine.families.table import FAMILIES

    return {**vars(Settings()), **settings} if str(settings.get("family")) in FAMILIES else settings


def _idle(settings: Mapping[str, Any]) -> frozenset[str]:
    """Keys without effect: those that the family does not use, and those of terms of the loss with weight 0."""
    from bertdistill.engine.contract.spec import Settings
    from bertdistill.engine.families.table import FAMILIES, unused

    if str(settings.get("family")) not in FAMILIES:
        return frozenset()
    whole = Settings(**{key: value for key, value in settings.items() if key in vars(Settings())})
    return unused(whole)
