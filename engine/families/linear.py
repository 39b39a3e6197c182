"""The family `linear` as arithmetic: TF-IDF of word n-grams and logistic regression.

It builds no networks and reads no files; how many n-grams the training texts have is a fact of the preparation.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import NGramCounts, Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import transfer_share
from bertdistill.engine.families.stored import Contents
from bertdistill.engine.families.tiny import BYTES_PER_WEIGHT, WORDS, checked_units, units_of
from bertdistill.engine.tasks.task import Task

BYTES_PER_KEY = 8
"""Of an n-gram."""
SELECTING = frozenset({"units", "ngrams", "min_count", "max_features"})
"""Keys of `Settings` that decide which n-grams are features."""
FITTING = frozenset({"alpha", "soft_loss", "temperature", "transfer_share", "C", "class_weight", "term_frequency"})
"""Keys that decide how the weights are fitted."""


@dataclass(frozen=True)
class LinearPlan:
    """One student."""

    units: str
    """Name of the units in `Prepared.units`."""
    ngrams: int
    """Longest n-gram."""
    min_count: int
    features: int
    """Number of n-grams: the most frequent ones."""
    whole: bool = False
    """Whether those of the transfer set count as well."""

    def counts(self, facts: Prepared) -> NGramCounts:
        """The n-grams that it chooses from."""
        units = facts.units_of(self.units)
        return units.whole_ngrams if self.whole else units.ngrams


@dataclass(frozen=True)
class Linear:
    """See `engine.families.family.Family`."""

    name: str = "linear"
    settings: frozenset[str] = SELECTING | FITTING | {"family", "seed"}

    def fits(self, task: Task) -> bool:
        return not task.spans

    def start_idle(self, *, scratch: bool) -> frozenset[str]:
        return frozenset()

    def units(self, facts: Prepared, settings: Settings) -> str:
        return units_of(settings, auto=WORDS)  # n-grams of pieces are rarely phrases

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> LinearPlan:
        units, whole = self.units(facts, settings), transfer_share(settings) > 0
        checked_units(facts, units)
        counts = LinearPlan(units, settings.ngrams, settings.min_count, 0, whole).counts(facts).at_least
        if facts.units and len(counts) < settings.ngrams:
            raise ConfigError(
                f"the preparation of this study counted no {settings.ngrams}-grams of {units or 'the teacher'} units",
                hint="Start a new study that fixes or searches these settings from the beginning.",
            )
        found = sum(order[settings.min_count - 1] for order in counts[: settings.ngrams])
        features = min(settings.max_features, found) if counts else settings.max_features
        if not features:
            raise ConfigError(
                f"no {'n-gram' if settings.ngrams > 1 else 'word'} occurs in {settings.min_count} training texts",
                hint="lower settings.min_count",
            )
        return LinearPlan(units, settings.ngrams, settings.min_count, features, whole)

    def known(self, student: Hashable, task: Task, facts: Prepared) -> dict[str, float]:
        assert isinstance(student, LinearPlan)
        outputs = columns(task.logits(len(facts.labels)))
        params = (student.features + 1) * outputs
        read = facts.units_of(student.units).mean_length * student.ngrams
        size_mb = params * BYTES_PER_WEIGHT / 1e6
        return {
            "params": params,
            "encoder_params": 0,
            "size_mb": size_mb,
            "gflops": 2 * read * outputs / 1e9,
            "nonzero_params": params,
        }

    def contents(self, student: Hashable, task: Task, facts: Prepared) -> Contents:
        assert isinstance(student, LinearPlan)
        outputs = columns(task.logits(len(facts.labels)))
        idf, keys = student.features, student.features * BYTES_PER_KEY
        return Contents(((student.features, outputs),), (), idf + outputs, keys)

    def idle(self, settings: Settings, student: Hashable) -> frozenset[str]:
        return SELECTING | {"seed"}  # the fit is deterministic


def columns(labels: int) -> int:
    """Weights of a feature: one for two labels, as the odds of the second, else one for each label."""
    return 1 if labels == 2 else labels


LINEAR = Linear()
