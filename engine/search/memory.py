"""Results that are reused from one proposal of a study to the next, and the part of a long history that a sampler gets.

It knows no spaces and no samplers, only past trials as values and optuna's trials.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

if TYPE_CHECKING:
    from bertdistill.engine.search.optimiser import PastTrial

Thing = TypeVar("Thing")
Result = TypeVar("Result")

MAX_HISTORY = {"gp": 500, "tpe": 5_000, "nsga2": 5_000}
"""Maximum number of past trials passed to a sampler: each proposal takes longer the more there are."""
_JUDGES = 300
"""Number of trials that each is compared with."""
_THEN = datetime.datetime(2000, 1, 1)


class Memory:
    """A cache of results about past trials under one study's spec.

    It goes by identity: the caller keeps the values that it asks about.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[object, object, Any]] = {}

    def of(self, what: str, about: Thing, work: Callable[[Thing], Result], mark: object = None) -> Result:
        """The result of `work`, computed once per thing, and again if `mark` has changed."""
        found = self._known.get((what, id(about)))
        if found is None or found[1] != mark:
            found = self._known[what, id(about)] = (about, mark, work(about))  # held, or its id might be reused
        result: Result = found[2]
        return result


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
