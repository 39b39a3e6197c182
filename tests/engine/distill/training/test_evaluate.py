"""What an evaluation leaves in a best checkpoint: predictions, and of a classifier its logits."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest
from tests.engine.distill.training.test_train import make_features

from bertdistill.engine.contract.folder import CLASS_LOGITS, PREDICTIONS, SCORED
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.examples import Examples, QAExample, TextExample
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.training.evaluate import Evaluator
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION


def evaluator(examples: Examples, features: Features, select: str) -> Evaluator:
    return Evaluator(examples, features, DataSpec(train="", report=""), select, "maximize", pad_id=0)


def test_logits_of_a_classifier_are_stored_bit_by_bit_in_the_order_of_the_examples() -> None:
    """A cascade needs no model pass: what was predicted follows from them."""
    rows = [TextExample(f"r{n}", "text", None, n % 3) for n in range(60)]
    outputs = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    features = dataclasses.replace(make_features(), targets=np.array([row.label for row in rows]))
    done = evaluator(Examples(TEXT_CLASSIFICATION, rows, ("a", "b", "c")), features, "accuracy").score(outputs)
    content = done.files[CLASS_LOGITS]
    assert isinstance(content, bytes)
    stored = np.load(io.BytesIO(content), allow_pickle=False)
    assert (np.float32, True) == (stored.dtype, np.array_equal(outputs, stored))
    predictions = json.loads(done.files[PREDICTIONS])
    assert {row.id: "abc"[label] for row, label in zip(rows, stored.argmax(1), strict=True)} == predictions


def test_spans_store_no_logits() -> None:
    """They have two a token, which would be megabytes in every best checkpoint. What was right of each question is."""
    rows = [QAExample(f"q{n}", "t", "who?", "", (), (), True) for n in range(60)]
    features = make_features()
    spans = np.full((len(features.input_ids), 2), -1, np.int32)
    features = dataclasses.replace(features, char_spans=spans)
    outputs = np.zeros((len(features.input_ids), 2), np.float32)
    done = evaluator(Examples(QUESTION_ANSWERING, rows), features, "exact").score(outputs)
    assert CLASS_LOGITS not in done.files
    content = done.files[SCORED]
    assert isinstance(content, bytes)
    scored = np.load(io.BytesIO(content), allow_pickle=False)
    assert ((2, 60), np.float32) == (scored.shape, scored.dtype)
    assert done.metrics["exact"] == pytest.approx(100 * scored[0].mean())
