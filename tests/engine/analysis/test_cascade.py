"""Cascades from stored logits: thresholds, targets, random routing, costs, and what cannot be joined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bertdistill.engine.analysis.cascade import Cascade, Member, join, points
from bertdistill.engine.analysis.joined import Joined, on_frontier
from bertdistill.engine.contract.errors import ActionRefused
from bertdistill.engine.tasks.routing import confidence, fit_temperature, softmax
from bertdistill.engine.tasks.text_classification import TASK

COUNT, LABELS = 2_000, 3
SCORES = TASK.scores
MILLISECONDS = {"latency_cpu_ms": 1.0, "gflops": 0.001, "throughput": 500.0}


def logits_of(truth: np.ndarray, skill: float, seed: int) -> np.ndarray:
    """A model that is right more often, and surer, the higher its skill; it knows how sure it may be."""
    noise = np.random.default_rng(seed).normal(size=(len(truth), LABELS))
    return (skill * np.eye(LABELS)[truth] + noise).astype(np.float32)


TRUTH = np.random.default_rng(0).integers(LABELS, size=COUNT)


def member(name: str, skill: float, cost: float, truth: np.ndarray = TRUTH, **more: Any) -> Member:
    logits = logits_of(truth, skill, seed=int(100 * skill))
    values = {"latency_cpu_ms": cost, "gflops": cost / 1000, "throughput": 500 / cost}
    return Member(name, logits, fit_temperature(logits, truth), values, tokenizer_ms=0.25, **more)


SMALL, LARGE = member("#1", 1.0, 0.5), member("teacher", 2.5, 10.0)


@pytest.fixture
def cascade() -> Cascade:
    return join(SMALL, LARGE, TRUTH, SCORES)


def test_the_ends_of_the_curve_are_the_two_models(cascade: Cascade) -> None:
    """Nothing and everything is passed on; shares, thresholds and costs rise in between."""
    curve = cascade.curve()
    for cut, one, share in ((curve[0], SMALL, 0.0), (curve[-1], LARGE, 1.0)):
        assert share == cut.share
        assert 100 * (one.logits.argmax(1) == TRUTH).mean() == pytest.approx(cut.scores["accuracy"])
        assert cut.scores == pytest.approx(dict(cut.random))
    assert [0.25 + 0.5, 0.25 + 0.5 + 10.0] == pytest.approx([curve[0].cost, curve[-1].cost])
    for name in ("share", "threshold", "cost"):
        values = [getattr(cut, name) for cut in curve]
        assert values == sorted(values)
    assert 41 == len(curve)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5, 1.0])
def test_a_threshold_of_this_split_hits_its_share_here_and_nearly_elsewhere(cascade: Cascade, share: float) -> None:
    """On other examples of the same kind within 3 points, which is what the report split is checked for."""
    cut = cascade.at_share(share)
    assert share == pytest.approx(cut.share, abs=1 / COUNT)
    other = logits_of(np.random.default_rng(9).integers(LABELS, size=COUNT), 1.0, seed=8)
    sent = (confidence(other, SMALL.temperature) < cut.threshold).mean()
    assert share == pytest.approx(sent, abs=0.03)


def test_routing_by_confidence_beats_chance(cascade: Cascade) -> None:
    """A fifth of the examples closes far more than a fifth of the gap."""
    cut = cascade.at_share(0.2)
    assert all(cut.scores[name] > cut.random[name] for name in SCORES)
    closed = cascade.closed(cut, "accuracy")
    assert closed is not None
    assert 0.3 < closed < 1
    assert None is join(LARGE, replace(SMALL, values={"gflops": 1}), TRUTH, SCORES).closed(cut, "accuracy")


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_random_routing_is_what_a_simulation_yields(cascade: Cascade, share: float) -> None:
    """The mean over random choices of as many examples: for accuracy exactly, for the others nearly."""
    cut, draw = cascade.at_share(share), np.random.default_rng(5)
    rows = []
    for _ in range(300):
        flags = np.zeros(COUNT, bool)
        flags[draw.choice(COUNT, round(cut.share * COUNT), replace=False)] = True
        rows.append([cascade.oracle(flags.tolist()).scores[name] for name in SCORES])
    spread = np.std(rows, axis=0) / np.sqrt(len(rows))
    for name, mean, error in zip(SCORES, np.mean(rows, axis=0), spread, strict=True):
        assert mean == pytest.approx(cut.random[name], abs=4 * error + 0.02)


def test_the_smallest_share_that_reaches_a_score_is_taken(cascade: Cascade) -> None:
    """One threshold less does not reach it."""
    wanted = cascade.at_share(0.3).scores["accuracy"]
    found = cascade.at_score("accuracy", wanted)
    assert found.scores["accuracy"] >= wanted
    assert all(cut.scores["accuracy"] < wanted for cut in cascade.curve(1001) if cut.share < found.share)
    with pytest.raises(ActionRefused, match="reach no accuracy of 101") as no:
        cascade.at_score("accuracy", 101)
    assert "passed on" in no.value.hint


def test_the_largest_share_within_a_cost_is_taken(cascade: Cascade) -> None:
    """The small model and the tokenizer cost 0.75 in any case, each example passed on 10 more."""
    found = cascade.at_cost(2.75)
    assert (0.2, True) == (pytest.approx(found.share, abs=1 / COUNT), found.cost <= 2.75 + 1e-9)
    assert 1.0 == cascade.at_cost(1000.0).share
    with pytest.raises(ActionRefused, match=r"costs 0\.5 ms or less") as no:
        cascade.at_cost(0.5)
    assert "0.75 ms" in no.value.hint


@pytest.mark.parametrize("share", [-0.1, 1.2, float("nan")])
def test_a_share_outside_0_to_1_is_refused(cascade: Cascade, share: float) -> None:
    with pytest.raises(ActionRefused, match="between 0 and 1"):
        cascade.at_share(share)


def test_examples_of_equal_confidence_go_together() -> None:
    """A model that says only two things has three thresholds, and the nearest possible share is taken."""
    truth = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    logits = np.array([[2.0, 0.0]] * 6 + [[0.0, 1.0]] * 2, np.float32)
    small = Member("#1", logits, 1.0, MILLISECONDS)
    found = join(small, Member("#2", np.eye(2, dtype=np.float32)[truth], 1.0, {"gflops": 1.0}), truth, SCORES)
    assert [0.0, 0.25, 1.0] == [cut.share for cut in found.curve()]
    assert 0.25 == found.at_share(0.4).share
    chosen = found.at_share(0.25)
    assert float(softmax(logits).max(axis=1).min()) < chosen.threshold < float(softmax(logits).max())


def test_the_cheaper_model_is_asked_first_whatever_the_order() -> None:
    """By the metric that was asked for, else the preferred one, else the first that both have."""
    swapped = join(LARGE, SMALL, TRUTH, SCORES, prefer=["params", "gflops"])
    assert ("#1", "teacher", "gflops") == (swapped.small.name, swapped.large.name, swapped.cost.metric)
    assert 0.0 == swapped.cost.tokenizer  # it has no known number of operations
    by_throughput = join(SMALL, LARGE, TRUTH, SCORES, metric="throughput")
    assert (1.0, 20.0, "ms") == (by_throughput.cost.small, by_throughput.cost.large, by_throughput.cost.unit)
    alone = replace(LARGE, values={"gflops": 1.0})
    assert "gflops" == join(SMALL, alone, TRUTH, SCORES, prefer=["latency_cpu_ms"]).cost.metric


def test_another_tokenizer_costs_again_for_what_is_passed_on() -> None:
    """A student that reads words has its texts tokenised once more for the teacher."""
    found = join(replace(SMALL, units="words", tokenizer_ms=0.1), LARGE, TRUTH, SCORES)
    assert [0.6, 0.6 + 0.25 + 10.0] == pytest.approx([found.cost.mean(0.0), found.cost.mean(1.0)])


def test_what_cannot_be_joined_is_refused_with_a_remedy() -> None:
    """Other examples, other labels, no cost that both have."""
    with pytest.raises(ActionRefused, match="not of the same examples and labels"):
        join(SMALL, replace(LARGE, logits=LARGE.logits[:, :2]), TRUTH, SCORES)
    with pytest.raises(ActionRefused, match="not of the same examples and labels"):
        join(SMALL, LARGE, TRUTH[:-1], SCORES)
    with pytest.raises(ActionRefused, match="no common cost metric") as no:
        join(SMALL, replace(LARGE, values={"params": 1.0, "latency_cpu_ms": None}), TRUTH, SCORES)
    assert "metrics.stored" in no.value.hint
    with pytest.raises(ActionRefused, match="no common latency_ms") as no:
        join(SMALL, LARGE, TRUTH, SCORES, metric="latency_ms")
    assert "latency_cpu_ms, throughput, gflops" in no.value.hint


def test_the_shuffle_oracle_passes_on_what_is_hard(cascade: Cascade) -> None:
    """Its flags come from outside; as many as there are examples."""
    hard = SMALL.logits.argmax(1) != TRUTH
    found = cascade.oracle(hard.tolist())
    assert (hard.mean(), True) == (
        found.share,
        found.scores["accuracy"] > cascade.at_share(found.share).scores["accuracy"],
    )
    with pytest.raises(ActionRefused, match="2 flags"):
        cascade.oracle([True, False])


def test_equal_confidences_go_together() -> None:
    """No threshold divides them, so a share that would is not reported."""
    truth = np.array([0, 1, 0, 1])
    logits = np.array([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.1, 0.0]])
    small = Member("#1", logits, 1.0, {"gflops": 1.0})
    cascade = join(small, Member("#2", np.eye(2)[truth], 1.0, {"gflops": 2.0}), truth, SCORES)
    assert [0.0, 0.25, 0.75, 1.0] == [one.share for one in cascade.curve()]
    for wanted in (0.4, 0.5, 0.6):
        assert (0.25, 0.75) == cascade.reachable(wanted)
        cut = cascade.at_share(wanted)
        assert cut.share == (confidence(logits, 1.0) < cut.threshold).mean() != 0.5
    assert [None] * 4 == [cascade.reachable(share) for share in (0.0, 0.3, 0.75, 1.0)]


def test_points_of_the_frontier_are_cascades_that_nothing_beats() -> None:
    """Neither a trial nor another cascade, and each better than chance; costs leave out tokenizers, as trials do."""
    middle = member("#2", 1.4, 3.0)
    cascades = points([SMALL, middle, LARGE], TRUTH, SCORES)
    assert {("#1", "#2"), ("#1", "teacher"), ("#2", "teacher")} == {(one.small, one.large) for one in cascades}
    first = cascades[0]
    assert 0.5 + first.share * 3.0 == pytest.approx(first.values["latency_cpu_ms"])
    assert 1000 / (1.0 + first.share * 6.0) == pytest.approx(first.values["throughput"])
    alone = [
        dict(one.values) | {"accuracy": 100 * float((one.logits.argmax(1) == TRUTH).mean())}
        for one in (SMALL, middle, LARGE)
    ]
    kept = on_frontier(cascades, alone, "latency_cpu_ms", "accuracy")
    assert 0 < len(kept) < len(cascades)
    for one in kept:
        beaten_by = [v for v in (*alone, *(c.values for c in cascades)) if _beats(v, one)]
        assert [] == beaten_by
    assert [] == on_frontier(cascades, alone, "params", "accuracy")
    assert [] == on_frontier(cascades, [{"latency_cpu_ms": 0.0, "accuracy": 100.0}], "latency_cpu_ms", "accuracy")


def _beats(values: Any, one: Joined) -> bool:
    at, score = values["latency_cpu_ms"], values["accuracy"]
    mine = (one.values["latency_cpu_ms"], one.values["accuracy"])
    return at <= mine[0] and score >= mine[1] and (at, score) != mine


def test_a_mixture_no_better_than_chance_is_no_point() -> None:
    """It lies between two trials, so no trial beats it; that alone says nothing."""
    useless = Joined("#1", "#2", 0.5, {"gflops": 1.5, "accuracy": 80.0}, {"accuracy": 80.0})
    assert [] == on_frontier([useless], [], "gflops", "accuracy")
