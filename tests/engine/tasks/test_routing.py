"""Calibration, confidence and scores of a table, against plain computations and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.metrics import accuracy_score, f1_score, log_loss, matthews_corrcoef

from bertdistill.engine.tasks.routing import (
    COLDEST,
    confidence,
    fit_temperature,
    mixed,
    passed_on,
    softmax,
    table_of,
    table_scores,
)


def sample(labels: int, count: int = 800, sharpness: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `sharpness` times too sure of themselves, and labels drawn from what they should say."""
    draw = np.random.default_rng(labels)
    honest = draw.normal(size=(count, labels))
    chances = softmax(honest)
    truth = np.array([draw.choice(labels, p=row) for row in chances])
    return (sharpness * honest).astype(np.float32), truth


@pytest.mark.parametrize("labels", [2, 6])
def test_the_temperature_has_the_smallest_log_loss(labels: int) -> None:
    """Equal to a search by scipy over scikit-learn's log loss, and near the factor by which the logits overstate."""
    logits, truth = sample(labels)

    def loss(temperature: float) -> float:
        return float(log_loss(truth, softmax(logits.astype(float) / temperature), labels=range(labels)))

    best = minimize_scalar(loss, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-6}).x
    found = fit_temperature(logits, truth)
    assert best == pytest.approx(found, rel=1e-3)
    assert 3.0 == pytest.approx(found, rel=0.2)


def test_a_calibrated_confidence_is_the_share_of_right_answers() -> None:
    """Uncalibrated it promises far too much."""
    logits, truth = sample(2, count=20_000)
    right = (logits.argmax(1) == truth).mean()
    assert right == pytest.approx(confidence(logits, fit_temperature(logits, truth)).mean(), abs=0.01)
    assert confidence(logits, 1.0).mean() > right + 0.1


def test_a_model_without_a_mistake_has_a_cold_temperature() -> None:
    """Its likelihood rises until it is 1 in floating point; confidences stay finite."""
    logits = np.array([[3.0, -3.0], [-2.0, 2.0]], np.float32)
    assert COLDEST <= fit_temperature(logits, np.array([0, 1])) < 0.2
    assert np.isfinite(confidence(1e6 * logits, COLDEST)).all()


def test_less_sure_than_the_threshold_goes_to_the_large_model() -> None:
    """Equal to it does not."""
    sent = passed_on(np.array([0.5, 0.7, 0.9]), 0.7)
    assert [True, False, False] == sent.tolist()
    small, large = np.zeros((3, 2)), np.ones((3, 2))
    assert [1.0, 0.0, 0.0] == mixed(small, large, sent)[:, 0].tolist()


@pytest.mark.parametrize("labels", [2, 5])
def test_scores_of_a_table_are_those_of_scikit_learn(labels: int) -> None:
    """One label is never true and never given: its F1 is 0, as in the score of a trial."""
    draw = np.random.default_rng(1)
    truth, chosen = draw.integers(labels, size=(2, 300))
    found = table_scores(table_of(truth, chosen, labels + 1))
    names = list(range(labels + 1))
    assert 100 * accuracy_score(truth, chosen) == pytest.approx(found["accuracy"])
    assert 100 * f1_score(truth, chosen, labels=names, average="macro", zero_division=0) == pytest.approx(
        found["macro_f1"]
    )
    assert 100 * matthews_corrcoef(truth, chosen) == pytest.approx(found["matthews"])
    assert 0.0 == table_scores(table_of(truth, np.zeros_like(truth), labels))["matthews"]
