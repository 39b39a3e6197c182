"""Word order sensitivity (WOS): how much a classifier's right answers depend on the order of the words.

After Pham et al. 2020, "Out of Order", arXiv 2012.15180: examples that the model classifies correctly, with balanced
classes, are shuffled, and the share that is still correct is measured. Pure: it reads no data and runs no model.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

FEWEST_WORDS = 4
"""Shorter sentences have almost no orders."""
FEW_EXAMPLES = 100
"""With fewer examples, a note says so: one of them moves the score by more than a point."""
WRONG, SHORT, CUT, SAME = "wrong", "short", "truncated", "same in any order"
"""Why an example is left out."""


@dataclass(frozen=True)
class Shuffling:
    """How the words are shuffled, and how many examples."""

    ngram: int = 1
    """Words that stay together."""
    shuffles: int = 3
    examples: int = 300
    """At most so many examples, over all classes; 0 uses every one."""
    seed: int = 0


@dataclass(frozen=True)
class WordOrder:
    """The word order sensitivity of one model. Percentages are 0 to 100."""

    wos: float
    """0: order is irrelevant, as for any bag of words; 1: no better than chance once words are shuffled."""
    still_right: float
    """Percent of the examples that are still classified correctly, mean over the shuffles."""
    spread: float | None
    """Standard deviation of one shuffle, in percent; None of a single one."""
    examples: int
    classes: int
    shuffling: Shuffling = field(default_factory=Shuffling)
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Examples that could not be used, by reason."""
    notes: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    """CPU time of the model's passes over the original and the shuffled texts."""

    @property
    def error(self) -> float | None:
        """Standard error over the shuffles of `still_right`, which is the mean of them all."""
        return None if self.spread is None else self.spread / math.sqrt(self.shuffling.shuffles)

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        return dataclasses.asdict(self) | {"notes": list(self.notes)}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> WordOrder:
        """From its JSON form; other keys are ignored."""
        known = {one.name: raw[one.name] for one in dataclasses.fields(WordOrder)}
        return WordOrder(**known | {"shuffling": Shuffling(**raw["shuffling"]), "notes": tuple(raw["notes"])})


# ---------------------------------------------------------------------------------------------------------- shuffling


def groups(text: str, ngram: int) -> tuple[list[list[str]], str]:
    """The words before the last one in groups of `ngram`, and the last one, which stays: it ends the sentence."""
    *words, last = text.split() or [""]
    return [words[i : i + ngram] for i in range(0, len(words), ngram)], last


def left_out(text: str, ngram: int) -> str:
    """Why a text is not shuffled; empty if it can be."""
    if len(text.split()) < FEWEST_WORDS:
        return SHORT
    parts, _ = groups(text, ngram)
    # If all neighbours commute, all groups are powers of one word, and every order reads the same.
    return "" if any(a + b != b + a for a, b in pairwise(parts)) else SAME


def shuffled(text: str, ngram: int, draw: random.Random) -> str:
    """The text in another order, never in its own. Endless if `left_out` says that there is no other."""
    parts, last = groups(text, ngram)
    original = [word for part in parts for word in part]
    while True:
        draw.shuffle(parts)
        words = [word for part in parts for word in part]
        if words != original:
            return " ".join([*words, last])


# ------------------------------------------------------------------------------------------------- examples and score


def balanced(labels: Sequence[int], usable: Iterable[int], most: int, draw: random.Random) -> list[int]:
    """Equally many of the `usable` examples of every class that has any, at most `most` in all, in ascending order."""
    by_class: dict[int, list[int]] = defaultdict(list)
    for index in usable:
        by_class[labels[index]].append(index)
    if not by_class:
        return []
    share = min(map(len, by_class.values()))
    share = min(share, max(1, most // len(by_class))) if most else share
    return sorted(index for label in sorted(by_class) for index in draw.sample(by_class[label], share))


def sensitivity(still_right: float, classes: int) -> float:
    """(100 - p) / (100 - 100 / C), between 0 and 1: p = 100 gives 0, chance (100 / C) and worse give 1.

    The paper's (100 - p) / 50 is the case of two classes.
    """
    return min(1.0, max(0.0, (100 - still_right) / (100 - 100 / classes)))


def measured(
    shares: Sequence[float], *, classes: Sequence[str], kept: Mapping[str, int], shuffling: Shuffling, **known: Any
) -> WordOrder:
    """From the percentages still right, one for each shuffle. `kept` counts the examples of each class with any."""
    still_right, count = fmean(shares), len(kept)
    notes = []
    if missing := [name for name in classes if name not in kept]:
        notes.append(f"no example of {', '.join(missing)} could be used, so the score is over {count} classes")
    if still_right < 100 / count:
        notes.append(f"{still_right:.2f} % still right is below chance ({100 / count:.2f} %): the score is cut to 1")
    if sum(kept.values()) < FEW_EXAMPLES:
        notes.append(f"only {sum(kept.values())} examples could be used: the score is uncertain")
    return WordOrder(
        wos=sensitivity(still_right, count),
        still_right=still_right,
        spread=stdev(shares) if len(shares) > 1 else None,
        examples=sum(kept.values()),
        classes=count,
        shuffling=shuffling,
        notes=tuple(notes),
        **known,
    )
