"""The part of a long history that a sampler gets, and past trials as optuna's.

It knows no spaces and no samplers.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from bertdistill.engine.search.past import PastTrial

MAX_HISTORY = {"gp": 300, "tpe": 5_000, "nsga2": 5_000}
"""Maximum number of past trials passed to a sampler: each proposal takes longer the more there are."""
_JUDGES = 300
"""Number of trials that each is compared with."""
_THEN = datetime.datetime(2000, 1, 1)


def most_informative(
    trials: Sequence[PastTrial], point: Callable[[PastTrial], tuple[float | None, ...]], most: int
) -> Container[int]:
    """Indices of the (at most `most`) most informative trials for a sampler: the half dominated by the fewest others,
    then the newest. All of them if they are few."""
    if len(trials) <= most:
        return range(len(trials))
    full = [(place, p) for place, one in enumerate(trials) if one.state == "complete" and None not in (p := point(one))]
    columns = [np.array(column, dtype=float) for column in zip(*(p for _, p in full), strict=True)]
    dominated = np.zeros(len(full), dtype=int)
    for judge in range(0, len(full), max(1, len(full) // _JUDGES)):  # spread over the study: all would take minutes
        beaten = np.logical_and.reduce([column[judge] <= column for column in columns])
        dominated += beaten & np.logical_or.reduce([column[judge] < column for column in columns])
    order = np.lexsort((-np.arange(len(full)), dominated))
    chosen = {full[i][0] for i in order[: most // 2]}
    for place in range(len(trials) - 1, -1, -1):
        if len(chosen) >= most:
            break
        chosen.add(place)
    return chosen


class _SharedTrial(FrozenTrial):
    """A trial whose deep copy shares what is never changed. Optuna copies every trial that is added to a study, and
    would spend most of the time on parameters and distributions."""

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenTrial:
        copied = object.__new__(FrozenTrial)
        copied.__dict__.update(self.__dict__)
        copied.user_attrs, copied.system_attrs = dict(self.user_attrs), dict(self.system_attrs)
        return copied


def optuna_trial(
    state: TrialState,
    values: list[float] | None,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    """Like `optuna.trial.create_trial`, without its copies."""
    return _SharedTrial(
        number=-1,
        trial_id=-1,
        state=state,
        value=None,
        values=values,
        datetime_start=_THEN,
        datetime_complete=_THEN if state == TrialState.COMPLETE else None,
        params=dict(params),
        distributions=dict(distributions),
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
