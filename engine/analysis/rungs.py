"""Which trials stand on the ladder: the best one of every family and kind, with its repeats over seeds.

Pure, and chosen by the score on the validation split only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
    """The best trial of one family and kind, then those that differ from it in their seed only."""

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
    """The rungs, in no particular order. Of equal scores the earliest trial is the best one.

    `largest`: whether a larger score is better. Trials without a family (logged by another program) stand on no rung.
    """
    sign = -1 if largest else 1
    scored = [
        (sign * value, one) for one in outcomes if one.complete and (value := finite(one.values.get(score))) is not None
    ]
    rows: dict[tuple[str, Kind], list[Outcome]] = {}
    for _, one in sorted(scored, key=lambda pair: (pair[0], pair[1].number)):
        if family := str(one.settings.get("family") or ""):
            rows.setdefault((family, kind_of(one.settings)), []).append(one)
    return [Chosen(family, kind, _repeats(row)) for (family, kind), row in rows.items()]


def _repeats(row: Sequence[Outcome]) -> tuple[Outcome, ...]:
    """The first of the row, and its repeats. A seed that ran twice (a rerun without a change) counts once."""
    wanted = without_seed(row[0].settings)
    seen: dict[Any, Outcome] = {}
    for one in row:
        if without_seed(one.settings) == wanted:
            seen.setdefault(one.settings.get(SEED), one)
    return tuple(seen.values())
