"""The arithmetic of the family linear."""

from __future__ import annotations

from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import NGramCounts, Prepared, Units
from bertdistill.engine.contract.spec import MOST_COUNT, Settings
from bertdistill.engine.families.linear import LINEAR, LinearPlan
from bertdistill.engine.tasks.table import TASKS

CLASSIFICATION = TASKS["text-classification"]


def table(*orders: int) -> tuple[tuple[int, ...], ...]:
    """Halved with every further text."""
    return tuple(tuple(count >> least for least in range(MOST_COUNT)) for count in orders)


WORDS = Units(
    vocabulary=1002, mean_length=20.0, ngrams=NGramCounts(table(1000, 8000)), whole_ngrams=NGramCounts(table(1600))
)
FACTS = Prepared(labels=("x", "y"), units={"": Units(vocabulary=900), "words": WORDS})


def features(**settings: Any) -> int:
    plan = LINEAR.plan(FACTS, Settings(family="linear", **settings), scratch=False)
    assert isinstance(plan, LinearPlan)
    return plan.features


def test_features_are_counted_before_training() -> None:
    """By length and count, and at most as many as the settings allow."""
    assert (1000, 9000) == (features(), features(ngrams=2))
    assert (500, 4500) == (features(min_count=2), features(ngrams=2, min_count=2))
    assert (1600, 1000) == (features(alpha=0.5, transfer_share=0.4), features(alpha=0.0, transfer_share=0.4))
    assert (300, 1000) == (features(max_features=300), features(max_features=1001))


@pytest.mark.parametrize(("labels", "params"), [(2, 1001), (3, 3003), (6, 6006)])
def test_two_labels_share_one_weight(labels: int, params: int) -> None:
    """The odds of the second; more labels have one each."""
    facts = Prepared(labels=("x",) * labels, units=FACTS.units)
    known = LINEAR.known(LINEAR.plan(facts, Settings(family="linear"), scratch=False), CLASSIFICATION, facts)
    assert (params, 0, params * 4 / 1e6) == (known["params"], known["encoder_params"], known["size_mb"])
    assert known["gflops"] > 0


def test_what_was_not_counted_is_refused() -> None:
    """A study that could not ask for it did not count it."""
    for settings in ({"ngrams": 3}, {"units": "teacher"}):
        with pytest.raises(ConfigError, match="the preparation of this study counted no"):
            features(**settings)


def test_no_feature_at_all_is_refused() -> None:
    """With the setting to change."""
    with pytest.raises(ConfigError, match="no word occurs in 50 training texts") as no:
        features(min_count=50)
    assert "min_count" in no.value.hint


def test_before_the_preparation_the_most_is_assumed() -> None:
    """Nothing is counted yet."""
    plan = LINEAR.plan(Prepared(labels=("x", "y")), Settings(family="linear", max_features=700), scratch=False)
    assert 701 == LINEAR.known(plan, CLASSIFICATION, FACTS)["params"]


def test_a_seed_has_no_effect() -> None:
    """The fit is deterministic, so trials that differ in it are one."""
    settings = Settings(family="linear")
    assert "seed" in LINEAR.idle(settings, LINEAR.plan(FACTS, settings, scratch=False))
    assert {"C", "alpha", "class_weight"}.isdisjoint(LINEAR.idle(settings, None))
