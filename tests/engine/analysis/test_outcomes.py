"""Which objective is the size and which the score, and how a value differs from another."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bertdistill.engine.analysis.outcomes import Difference, difference, size_and_score, teacher_sizes
from bertdistill.engine.contract.events import finite
from bertdistill.engine.contract.facts import Member, Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.encoder_sizes import known_metrics
from bertdistill.engine.pareto.frontier import Objective

EXACT = Objective("exact", "maximize")
PARAMS = Objective("params", "minimize")
LATENCY = Objective("latency_ms", "minimize")


def test_the_minimised_aim_is_the_size() -> None:
    """Whatever the order in the study file; a constraint plays no part."""
    limit = Objective("gflops", "minimize", 1.0, constraint=True)
    assert ("params", "exact") == size_and_score([limit, EXACT, PARAMS])
    assert ("params", "exact") == size_and_score([PARAMS, EXACT])


def test_aims_that_point_one_way_take_the_parts_in_their_order() -> None:
    """Two sizes, or two scores."""
    assert ("params", "latency_ms") == size_and_score([PARAMS, LATENCY])
    assert ("exact", "throughput") == size_and_score([EXACT, Objective("throughput", "maximize")])


def test_compression_is_a_size_although_more_is_better() -> None:
    """Whatever the order."""
    compression = Objective("compression", "maximize")
    assert ("compression", "exact") == size_and_score([EXACT, compression])
    assert ("compression", "exact") == size_and_score([compression, EXACT])


def test_a_named_part_is_kept() -> None:
    """The other one is chosen around it."""
    assert ("latency_ms", "exact") == size_and_score([EXACT, PARAMS], size="latency_ms")
    assert ("exact", "params") == size_and_score([EXACT, PARAMS], score="params")


def test_difference() -> None:
    """Of a metric that cannot be negative also in percent; nothing is no number."""
    assert Difference(2.0, 50.0) == difference("latency_ms", 6.0, 4.0)
    assert Difference(-4.0, -100.0) == difference("exact", 0.0, 4.0)
    assert difference("exact", None, 1.0) is None
    assert difference("exact", 1.0, float("nan")) is None


@pytest.mark.parametrize(
    ("metric", "value", "other"),
    [
        ("null_threshold", 0.41, -1.21),
        ("null_threshold", 1.5, 0.5),
        ("matthews", 10.0, 5.0),
        ("exact", 3.0, 0.0),
        ("has_answer_exact", 45.0, 0.25),
        ("made_up", -3.0, -2.0),
        ("made_up", -3.0, 2.0),
    ],
)
def test_where_a_ratio_says_nothing(metric: str, value: float, other: float) -> None:
    """Across zero, from zero or from next to nothing there is only the plain difference."""
    assert Difference(value - other, None) == difference(metric, value, other)


@pytest.mark.parametrize(("value", "expected"), [(1.5, 1.5), (None, None), (float("inf"), None)])
def test_finite(value: float | None, expected: float | None) -> None:
    """Infinities are no numbers."""
    assert expected == finite(value)


def test_the_teacher_is_as_large_as_a_student_that_keeps_everything() -> None:
    """Counted from its shape; before the preparation nothing is known."""
    shape = bert_shape(vocab_size=500, positions=512, hidden_size=64, ffn_size=128, layers=2, head_size=16)
    facts = Prepared(teacher_shape=shape.to_dict(), labels=("a", "b"), mean_length=40.0)
    kept = known_metrics(
        shape, Settings(), scratch=False, task="text-classification", labels=2, mean_length=facts.mean_length
    )
    kept |= {"bytes": 4 * kept["params"], "compression": 1.0}
    assert kept == teacher_sizes(facts, "text-classification")
    assert kept["params"] > kept["encoder_params"] > 0
    assert {} == teacher_sizes(Prepared(), "text-classification")


def test_an_ensemble_is_as_large_as_all_its_models() -> None:
    """A file has no size; what is not known of one model is not known of them all."""
    shape = bert_shape(vocab_size=500, positions=512, hidden_size=64, ffn_size=128, layers=2, head_size=16).to_dict()
    facts = Prepared(teacher_shape=shape, labels=("a", "b"), mean_length=40.0)
    one = teacher_sizes(facts, "text-classification")
    twice = teacher_sizes(dataclasses.replace(facts, ensemble=(Member(shape, 1, 40.0),)), "text-classification")
    assert twice == {name: 2 * (value or 0) for name, value in one.items()} | {"compression": 1.0}
    longer = teacher_sizes(dataclasses.replace(facts, ensemble=(Member(shape, 1, 80.0),)), "text-classification")
    assert (longer["params"], True) == (twice["params"], (longer["gflops"] or 0) > (twice["gflops"] or 0))
    other = dataclasses.replace(facts, ensemble=(Member(dict(shape) | {"architecture": "electra"}, 9, 40.0),))
    assert {"params", "size_mb", "bytes", "compression"} == set(teacher_sizes(other, "text-classification"))
    file = dataclasses.replace(facts, teacher_shape={}, ensemble=(Member(shape, 1, 40.0),))
    assert one == teacher_sizes(file, "text-classification")
    assert other == Prepared.from_dict(json.loads(json.dumps(other.to_dict())))
