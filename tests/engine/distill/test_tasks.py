"""From model outputs to predictions and scores."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill import tasks
from bertdistill.engine.distill.data.examples import Examples, QAExample, TextExample
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.tasks import SCORERS, Scored, best_spans, tune_threshold
from bertdistill.engine.tasks import squad
from bertdistill.engine.tasks.table import TASKS

QA, CLS = "question-answering", "text-classification"
DATA = DataSpec(n_best=20, max_answer_length=4)


def question(key: str, context: str, answer: str = "") -> QAExample:
    """A question on a passage; without answer it is unanswerable."""
    if not answer:
        return QAExample(key, "T", "?", context, (), (), impossible=True)
    return QAExample(key, "T", "?", context, (answer,), (context.index(answer),), impossible=False)


def span_features(windows: list[tuple[int, str]], contexts: list[str]) -> Features:
    """Windows by hand: (example, words of its passage), as [CLS] q [SEP] words [SEP]; one token a word."""
    spans: list[tuple[int, int]] = []
    lengths = []
    for example, words in windows:
        begin = contexts[example].index(words)
        inside = []
        for word in words.split():
            begin = contexts[example].index(word, begin)
            inside.append((begin, begin + len(word)))
        spans += [(-1, -1)] * 3 + inside + [(-1, -1)]
        lengths.append(4 + len(inside))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Features(
        folder=Path("nowhere"),
        input_ids=np.zeros(offsets[-1], np.uint16),
        token_types=None,
        offsets=offsets,
        example_index=np.array([example for example, _ in windows], np.int32),
        targets=np.zeros((len(windows), 2), np.int32),
        char_spans=np.array(spans, np.int32),
    )


def logits(features: Features, *peaks: dict[int, tuple[float, float]]) -> Any:
    """Start and end logits, 0 but for the given tokens of each window."""
    outputs = np.zeros((int(features.offsets[-1]), 2), np.float32)
    for index, window in enumerate(peaks):
        for token, value in window.items():
            outputs[features.offsets[index] + token] = value
    return outputs


def score(rows: list[QAExample], features: Features, outputs: Any, data: DataSpec = DATA, **more: Any) -> Scored:
    """Score questions."""
    return SCORERS[QA](Examples(QA, rows), features, outputs, data, **more)


# ---------------------------------------------------------------- spans


def test_the_answer_is_cut_from_the_passage_as_it_stands() -> None:
    """Case and spacing of the passage stay; the text runs from the first to the last token of the span."""
    context = "Mira keeps  a Red CAT ."
    rows = [question("q", context, "Red CAT")]
    features = span_features([(0, context)], [context])
    scored = score(rows, features, logits(features, {5: (4, 0), 7: (0, 4)}))
    assert {"q": "a Red CAT"} == scored.predictions
    assert ([1.0], [1.0]) == (scored.correct.tolist(), scored.partial.tolist())  # the article does not count
    assert {"q": context.index("a Red")} == scored.starts


def test_an_answer_never_leaves_the_passage_or_runs_backwards() -> None:
    """High logits on the question, on [SEP], and an end before its start are no candidates."""
    context = "one two three"
    features = span_features([(0, context)], [context])
    outputs = logits(features, {1: (9, 9), 2: (9, 9), 6: (9, 9), 5: (5, 0), 3: (0, 5)})
    assert {"q": "three"} == score([question("q", context, "three")], features, outputs, DATA).predictions


def test_an_answer_has_at_most_max_answer_length_tokens() -> None:
    """The best short span beats a longer one with higher logits."""
    context = "a1 b2 c3 d4 e5 f6"
    features = span_features([(0, context)], [context])
    outputs = logits(features, {3: (5, 0), 8: (0, 5), 4: (1, 1)})
    rows = [question("q", context, "b2")]
    assert "a1 b2" == score(rows, features, outputs).predictions["q"]
    longer = DataSpec(max_answer_length=6)
    assert context == score(rows, features, outputs, longer).predictions["q"]


def test_the_best_window_of_a_question_answers() -> None:
    """Windows compete by span score; the earlier one wins a tie."""
    context = "one two three four"
    features = span_features([(0, "one two three"), (0, "three four")], [context])
    rows = [question("q", context, "four")]
    better = logits(features, {3: (3, 3)}, {4: (4, 4)})
    found = score(rows, features, better)
    assert ("four", context.index("four")) == (found.predictions["q"], found.starts["q"])
    tie = logits(features, {3: (3, 3)}, {4: (3, 3)})
    assert "one" == score(rows, features, tie).predictions["q"]


def test_the_null_score_is_the_smallest_over_the_windows() -> None:
    """One window that is sure of an answer is enough, as in the original BERT script."""
    context = "one two three four"
    features = span_features([(0, "one two"), (0, "three four")], [context])
    outputs = logits(features, {0: (8, 8), 3: (1, 1)}, {0: (1, 2), 4: (4, 4)})
    scored = score([question("q", context, "four")], features, outputs)
    assert {"q": 3.0 - 8.0} == scored.null_odds


def test_abstains_above_the_threshold_only() -> None:
    """Odds equal to the threshold still answer."""
    context = "one two"
    features = span_features([(0, context), (1, context)], [context, context])
    rows = [question("a", context, "one"), question("b", context)]
    outputs = logits(features, {0: (1, 1), 3: (1, 1)}, {0: (2, 1), 3: (1, 1)})
    scored = score(rows, features, outputs, null_threshold=0.0)
    assert {"a": "one", "b": ""} == scored.predictions
    assert {"a": 0.0, "b": 1.0} == scored.null_odds
    assert {"a": 0} == scored.starts
    assert 100.0 == scored.metrics["exact"]
    assert 0.0 == scored.metrics["null_threshold"]
    assert {"a": "", "b": ""} == score(rows, features, outputs, null_threshold=-1.0).predictions
    assert {"a": "one", "b": "one"} == score(rows, features, outputs, null_threshold=1.0).predictions


def test_the_threshold_is_tuned_when_some_question_has_no_answer() -> None:
    """The tuned threshold separates what can be separated and is reported."""
    context = "one two"
    features = span_features([(i, context) for i in range(3)], [context] * 3)
    rows = [question("a", context, "one"), question("b", context), question("c", context, "two")]
    outputs = logits(features, {0: (3, 3), 3: (4, 4)}, {0: (6, 6), 3: (4, 4)}, {0: (0, 0), 4: (2, 2)})
    scored = score(rows, features, outputs)
    assert {"a": "one", "b": "", "c": "two"} == scored.predictions
    assert 1.0 == scored.metrics["null_threshold"]
    assert TASKS[QA].scores == tuple(name for name in TASKS[QA].scores if name in scored.metrics)


def test_without_unanswerable_questions_it_never_abstains() -> None:
    """SQuAD 1.1: no threshold and no NoAns scores, however high the null odds."""
    context = "one two"
    features = span_features([(0, context)], [context])
    scored = score([question("a", context, "one")], features, logits(features, {0: (99, 99), 3: (1, 1)}))
    assert {"a": "one"} == scored.predictions
    assert {"exact", "f1", "has_answer_exact", "has_answer_f1"} == set(scored.metrics)


def test_a_passage_without_tokens_is_left_unanswered() -> None:
    """No candidate span: the question abstains at every threshold, with finite odds."""
    features = span_features([(0, ""), (1, "one")], ["", "one"])
    rows = [question("a", ""), question("b", "one", "one")]
    scored = score(rows, features, logits(features, {}, {3: (1, 1)}))
    assert {"a": "", "b": "one"} == scored.predictions
    assert np.isfinite(list(scored.null_odds.values())).all()


def test_scores_equal_the_official_script_on_the_same_predictions() -> None:
    """Metrics, per-example scores and `engine score` are one implementation."""
    random = np.random.default_rng(0)
    contexts = ["the one two a three four five" for _ in range(60)]
    rows = [question(str(i), contexts[i], ("two", "a three", "the", "")[i % 4]) for i in range(60)]
    features = span_features([(i, contexts[i]) for i in range(60)], contexts)
    scored = score(rows, features, random.normal(size=(int(features.offsets[-1]), 2)).astype(np.float16))
    official = squad.score_v2([(row.id, row.answers) for row in rows], scored.predictions, None).to_dict()
    for ours, theirs in (("exact", "exact"), ("has_answer_f1", "HasAns_f1"), ("no_answer_exact", "NoAns_exact")):
        assert official[theirs] == pytest.approx(scored.metrics[ours])
    assert scored.metrics["exact"] == pytest.approx(100 * scored.correct.mean())
    assert scored.metrics["f1"] == pytest.approx(100 * scored.partial.mean())


def brute_force(features: Features, outputs: Any, data: DataSpec, window: int) -> float:
    """Best span score of one window by trying every span."""
    low, high = features.offsets[window], features.offsets[window + 1]
    assert features.char_spans is not None
    inside = [i for i in range(low, high) if features.char_spans[i, 0] >= 0]
    spans = [(a, b) for a, b in itertools.product(inside, inside) if a <= b < a + data.max_answer_length]
    return float(max((outputs[a, 0] + outputs[b, 1] for a, b in spans), default=-np.inf))


def test_best_spans_equal_a_search_through_all_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many windows of many lengths, in chunks of any size."""
    random = np.random.default_rng(1)
    contexts = [" ".join(f"w{j}" for j in range(random.integers(0, 30))) for _ in range(200)]
    features = span_features([(i, text) for i, text in enumerate(contexts)], contexts)
    outputs = random.normal(size=(int(features.offsets[-1]), 2))
    data = DataSpec(n_best=200, max_answer_length=5)
    expected = [brute_force(features, outputs, data, i) for i in range(200)]
    score_, start, end = best_spans(features, outputs, data)
    assert expected == pytest.approx(score_.tolist())
    first = features.offsets[:-1]
    found = np.isfinite(score_)
    assert np.allclose((outputs[first + start, 0] + outputs[first + end, 1])[found], score_[found])
    monkeypatch.setattr(tasks, "CHUNK_CELLS", 1)
    assert score_.tolist() == best_spans(features, outputs, data)[0].tolist()


def test_no_span_of_the_official_search_is_better() -> None:
    """`run_squad` pairs its best starts with its best ends; every one of its spans in the passage is a candidate."""
    generator = np.random.default_rng(5)
    context = " ".join(f"w{i}" for i in range(40))
    features = span_features([(0, context)], [context])
    data = DataSpec(n_best=5, max_answer_length=6)
    inside = np.asarray(features.char_spans)[:, 0] >= 0
    for _ in range(50):
        outputs = generator.normal(size=(len(inside), 2))
        starts, ends = (np.argsort(-outputs[:, side])[: data.n_best] for side in (0, 1))
        official = [
            outputs[start, 0] + outputs[end, 1]
            for start in starts
            for end in ends
            if inside[start] and inside[end] and 0 <= end - start < data.max_answer_length
        ]
        assert best_spans(features, outputs, data)[0][0] >= max(official, default=-np.inf)


def test_n_best_limits_the_starts() -> None:
    """With one candidate the highest start decides, even when another span is better."""
    context = "one two"
    features = span_features([(0, context)], [context])
    outputs = logits(features, {3: (2, 5), 4: (3, 0)})
    rows = [question("q", context, "one")]
    assert "one" == score(rows, features, outputs, DataSpec(n_best=2)).predictions["q"]
    assert "two" == score(rows, features, outputs, DataSpec(n_best=1)).predictions["q"]


def test_outputs_of_another_shape_are_refused() -> None:
    """A mix-up of features and outputs must not score."""
    features = span_features([(0, "one")], ["one"])
    with pytest.raises(ValueError, match=r"outputs of shape \(4, 2\) do not fit the 5 tokens"):
        score([question("q", "one", "one")], features, np.zeros((4, 2)))


ROWS = st.lists(
    st.tuples(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]) | st.floats(-9, 9), st.booleans(), st.floats(0, 1)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(rows=ROWS)
def test_no_threshold_is_better_than_the_tuned_one(rows: list[tuple[float, bool, float]]) -> None:
    """Against every threshold that makes a difference, ties between equal odds included."""
    odds = np.array([odd for odd, _, _ in rows])
    impossible = np.array([no for _, no, _ in rows])
    f1 = np.array([0.0 if no else value for _, no, value in rows])
    exact = (f1 > 0.5).astype(float)

    def at(threshold: float) -> tuple[float, float]:
        abstain = odds > threshold
        return float(np.where(abstain, impossible, exact).sum()), float(np.where(abstain, impossible, f1).sum())

    tuned = at(tune_threshold(odds, exact, f1, impossible))
    best = max(at(threshold) for threshold in [odds.min() - 1, *odds])
    assert best[0] == tuned[0]
    assert best[1] == pytest.approx(tuned[1], abs=1e-9)


# ---------------------------------------------------------------- classes


def class_features(count: int) -> Features:
    """Inputs of one token each."""
    return Features(
        folder=Path("nowhere"),
        input_ids=np.zeros(count, np.uint16),
        token_types=None,
        offsets=np.arange(count + 1),
        example_index=np.arange(count, dtype=np.int32),
        targets=np.zeros(count, np.int32),
        char_spans=None,
    )


def classes(truth: list[int], chosen: list[int], labels: tuple[str, ...]) -> Scored:
    """Score predictions by index."""
    rows = [TextExample(f"r{i}", "x", None, label) for i, label in enumerate(truth)]
    outputs = np.eye(len(labels), dtype=np.float16)[chosen]
    return SCORERS[CLS](Examples(CLS, rows, labels), class_features(len(rows)), outputs, DATA)


def test_classes_are_scored_by_accuracy_macro_f1_and_matthews() -> None:
    """Numbers worked out by hand: one of each kind of two-class outcome but three hits of class b."""
    scored = classes([0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 0], ("a", "b"))
    assert {
        "accuracy": 100 * 4 / 6,
        "macro_f1": 100 * (0.5 + 0.75) / 2,
        "matthews": 100 * (3 * 1 - 1 * 1) / (4 * 4 * 2 * 2) ** 0.5,
    } == pytest.approx(scored.metrics)
    assert {"r0": "a", "r1": "b", "r2": "b", "r3": "b", "r4": "b", "r5": "a"} == scored.predictions
    assert [1, 0, 1, 1, 1, 0] == scored.correct.tolist() == scored.partial.tolist()
    assert {} == scored.null_odds


def test_a_constant_classifier_has_no_correlation() -> None:
    """Matthews correlation is 0 and a label that is never predicted has F1 0."""
    metrics = classes([0, 1, 1], [1, 1, 1], ("a", "b")).metrics
    assert (0.0, pytest.approx(100 * 0.8 / 2)) == (metrics["matthews"], metrics["macro_f1"])


def test_macro_f1_counts_every_label() -> None:
    """A label that neither truth nor prediction has is an F1 of 0, as scikit-learn's with `labels` counts it."""
    truth, chosen = [0, 0, 1, 1], [0, 1, 1, 1]
    expected = f1_score(truth, chosen, labels=[0, 1, 2], average="macro", zero_division=0)
    assert pytest.approx(100 * expected) == classes(truth, chosen, ("a", "b", "c")).metrics["macro_f1"]


def test_class_outputs_of_another_shape_are_refused() -> None:
    """One row an example, one column a label."""
    with pytest.raises(ValueError, match=r"outputs of shape \(2, 3\) do not fit 2 examples"):
        SCORERS[CLS](
            Examples(CLS, [TextExample(str(i), "x", None, 0) for i in range(2)], ("a", "b")),
            class_features(2),
            np.zeros((2, 3)),
            DATA,
        )


def test_every_task_has_a_scorer() -> None:
    """The worker's table and the one that everybody else reads have the same names."""
    assert list(TASKS) == list(SCORERS)
