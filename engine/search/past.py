"""What goes into a proposal and comes out of it, as values, and what is remembered from one to the next.

Unlike the optimiser it loads no optuna (0.3 s), so the runner asks for its first proposal before it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from bertdistill.engine.study.space import Value
from bertdistill.store.errors import BertDistillError

Thing = TypeVar("Thing")
Result = TypeVar("Result")


class SpaceExhausted(BertDistillError):
    """Every parameter set of the space has been tried, or the limits exclude the rest."""


@dataclass(frozen=True)
class PastTrial:
    """One trial as reported to the optimiser; failed and stopped trials are not reported.

    `values` follow the objectives, None where unknown. `violations` are further constraints, each above 0 if violated.
    Waiting trials are reported as running.
    """

    params: Mapping[str, Value]
    state: Literal["complete", "running", "infeasible", "pruned"]
    values: tuple[float | None, ...] = ()
    violations: tuple[float, ...] = ()
    seconds: float | None = None
    """Worker time, once it is complete."""


@dataclass(frozen=True)
class ScreenedStudent:
    """A student that was evaluated without training: the parameters that decide which one it is, and its score in
    an objective."""

    params: Mapping[str, Value]
    metric: str
    score: float


@dataclass(frozen=True)
class Proposal:
    """A new parameter set (active parameters only), its seed and its source: samplers start with random trials."""

    params: dict[str, Value]
    seed: int
    sampler: str


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
