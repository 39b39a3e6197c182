"""Which trials stand on the ladder: of every family and kind the student that is best in the mean over its seeds.

Pure, and chosen by the score on the validation split only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from bertdistill.engine.analysis.outcomes import Outcome
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
    sign = -1 if largest else 1
    rows: dict[tuple[str, Kind], dict[str, dict[Any, Scored]]] = {}
    for one in sorted(outcomes, key=lambda one: one.number):
        value, family = finite(one.values.get(score)), str(one.settings.get("family") or "")
        if one.complete and family and value is not None:
            students = rows.setdefault((family, kind_of(one.settings)), {})
            seeds = students.setdefault(without_seed(one.settings), {})
            seeds.setdefault(one.settings.get(SEED), (sign * value, one.number, one))
    return [Chosen(family, kind, _best(students.values())) for (family, kind), students in rows.items()]


Scored = tuple[float, int, Outcome]
"""What a trial is sorted by (the smallest is the best), its number, and itself."""


def _best(students: Iterable[Mapping[Any, Scored]]) -> tuple[Outcome, ...]:
    repeats = min(
        students, key=lambda seeds: (fmean(by for by, *_ in seeds.values()), min(n for _, n, _ in seeds.values()))
    )
    return tuple(one for *_, one in sorted(repeats.values(), key=lambda scored: scored[:2]))
