"""Which trials stand on the ladder: of every family and kind the student that is best in the mean over its seeds.

Beside them the smallest student of all that comes near the teacher. Pure, and chosen by the score on the validation
split only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from bertdistill.engine.analysis.outcomes import ROUNDING, Outcome
from bertdistill.engine.contract.events import finite
from bertdistill.engine.families.same_point import SEED, without_seed
from bertdistill.engine.families.table import FAMILIES

Kind = Literal["plain", "distilled", "transfer"]
KINDS: Mapping[str, str] = {
    "plain": "plain",
    "distilled": "distilled",
    "transfer": "distilled, transfer set",
}
"""What a student learns from: labels only, also the teacher's outputs, or also those for texts without labels."""


@dataclass(frozen=True)
class Chosen:
    """The best student of one family and kind: its trials, which differ in their seed only, the best one first."""

    family: str
    kind: Kind
    trials: tuple[Outcome, ...]
    is_smallest: bool = False
    """Whether it stands here as the smallest one near the teacher: a larger one of its family and kind is better."""

    @property
    def best(self) -> Outcome:
        return self.trials[0]


def kind_of(settings: Mapping[str, Any]) -> Kind:
    """What a student with these settings learns from. A setting that its family does not use has no effect."""
    family = FAMILIES.get(str(settings.get("family")))

    def value(key: str) -> float:
        used = family is None or key in family.settings
        return finite(settings.get(key)) or 0.0 if used else 0.0

    if value("alpha") <= 0:
        return "plain"
    return "transfer" if value("transfer_share") > 0 else "distilled"


def choose(outcomes: Iterable[Outcome], score: str, *, largest: bool = True) -> list[Chosen]:
    """The rungs, in no particular order: of each row the student with the best mean over its seeds.

    The best single trial would say which seed was the luckiest. Of equal means the student with the earliest trial
    stands on the rung, its best trial first; a seed that ran twice (a rerun without a change) counts once, as it first
    ended. `largest`: whether a larger score is better. Trials without a family (logged by another program) stand on no
    rung.
    """
    students = _students(outcomes, score, -1 if largest else 1)
    return [Chosen(family, kind, _best(of_kind)) for (family, kind), of_kind in students.items()]


def smallest_near(
    outcomes: Iterable[Outcome], score: str, size: str, *, least: float, largest: bool = True
) -> Chosen | None:
    """The student with the smallest `size` whose mean score over its seeds is not worse than `least`; None without one.

    Unlike `choose`, it looks at every student of a family, not at the best one only. Of equal sizes the better one.
    """
    sign = -1 if largest else 1
    near = [
        (_size(seeds, size), mean, Chosen(family, kind, _in_order(seeds), is_smallest=True))
        for (family, kind), of_kind in _students(outcomes, score, sign).items()
        for seeds in of_kind
        if (mean := _mean(seeds)) <= sign * least + ROUNDING and _size(seeds, size) < math.inf
    ]
    return min(near, key=lambda found: (*found[:2], found[2].best.number))[2] if near else None


Scored = tuple[float, int, Outcome]
"""What a trial is sorted by (the smallest is the best), its number, and itself."""


Seeds = Mapping[Any, Scored]
"""The trials of one student by seed."""


def _students(outcomes: Iterable[Outcome], score: str, sign: int) -> dict[tuple[str, Kind], Sequence[Seeds]]:
    """Every student that has a score, by family and kind."""
    rows: dict[tuple[str, Kind], dict[str, dict[Any, Scored]]] = {}
    for one in sorted(outcomes, key=lambda one: one.number):
        value, family = finite(one.values.get(score)), str(one.settings.get("family") or "")
        if one.complete and family and value is not None:
            of_kind = rows.setdefault((family, kind_of(one.settings)), {})
            seeds = of_kind.setdefault(without_seed(one.settings), {})
            seeds.setdefault(one.settings.get(SEED), (sign * value, one.number, one))
    return {row: list(of_kind.values()) for row, of_kind in rows.items()}


def _mean(seeds: Seeds) -> float:
    return fmean(by for by, *_ in seeds.values())


def _size(seeds: Seeds, name: str) -> float:
    """That of its best trial; infinite if it is not known."""
    value = finite(_in_order(seeds)[0].values.get(name))
    return math.inf if value is None else float(value)


def _best(students: Sequence[Seeds]) -> tuple[Outcome, ...]:
    return _in_order(min(students, key=lambda seeds: (_mean(seeds), min(n for _, n, _ in seeds.values()))))


def _in_order(seeds: Seeds) -> tuple[Outcome, ...]:
    return tuple(one for *_, one in sorted(seeds.values(), key=lambda scored: scored[:2]))
