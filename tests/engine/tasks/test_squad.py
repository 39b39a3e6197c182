"""The official SQuAD rules, case by case, and against a plain transcription of the published scripts."""

from __future__ import annotations

import collections
import json
import re
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.tasks import squad

# ---------------------------------------------------------------- one answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Cat", "cat"),
        ("a.b,c", "abc"),
        ("an apple\tand  the\nanthem", "apple and anthem"),
        ("A the AN", ""),
        ("a-b", "ab"),
        ("...!?", ""),
        ("", ""),
        ("ÉCOLE", "école"),
        ("İ", "i̇"),
        ("«quoted» – dash", "«quoted» – dash"),
        ("the\u00a0thing", "thing"),
        ("la_the_la", "lathela"),
        ("ΣΑΣ", "σας"),
    ],
)
def test_normalises_as_the_official_script(text: str, expected: str) -> None:
    """Lower case, no ASCII punctuation, no articles, single spaces; other punctuation stays."""
    assert expected == squad.normalise(text)


def test_exact_takes_the_best_gold() -> None:
    """One matching gold among several is enough."""
    assert 1 == squad.exact("The dog.", ["cat", "dog"])
    assert 0 == squad.exact("dogs", ["cat", "dog"])


def test_f1_is_the_best_overlap_and_counts_repeated_words_once_each() -> None:
    """Overlap counts a word as often as both sides have it."""
    assert 2 * 0.5 * 1 / 1.5 == squad.f1("red red", ["red"])
    assert 1.0 == squad.f1("big red dog", ["cat", "the dog red big"])
    assert 0.0 == squad.f1("dog", ["cat"])


def test_two_empty_texts_overlap_and_one_empty_text_does_not() -> None:
    """The no-answer rule: both empty is 1, one empty is 0."""
    assert 1.0 == squad.f1("", [""])
    assert 1.0 == squad.f1("the", [""])
    assert 0.0 == squad.f1("", ["dog"])
    assert 0.0 == squad.f1("dog", [""])


def test_golds_that_normalise_to_nothing_are_dropped() -> None:
    """Golds made of articles and punctuation do not count; without any other the gold is the empty text."""
    assert ["dog"] == squad.golds(["the", "dog", "..."])
    assert [""] == squad.golds(["the", "!"])
    assert [""] == squad.golds([])


# ---------------------------------------------------------------- whole files


def write(path: Path, value: Any) -> Path:
    """Write JSON and return its path."""
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path


def data_file(folder: Path, golds: dict[str, list[str]], version: str = "v2.0") -> Path:
    """A SQuAD file with one question an id."""
    qas = [
        {"id": key, "question": "?", "answers": [{"text": t, "answer_start": 0} for t in texts]}
        for key, texts in golds.items()
    ]
    article = {"title": "t", "paragraphs": [{"context": "c", "qas": qas}]}
    return write(folder / "data.json", {"version": version, "data": [article]})


def test_scores_a_2_0_file_under_the_official_names(tmp_path: Path) -> None:
    """Answerable and unanswerable questions are scored together and apart."""
    data = data_file(tmp_path, {"a": ["red dog"], "b": [], "c": ["cat"], "d": []})
    scores = squad.score_files(data, write(tmp_path / "p.json", {"a": "dog", "b": "", "c": "the cat", "d": "mouse"}))
    f1 = 2 / 3
    assert {
        "exact": 50.0,
        "f1": 100 * (f1 + 1 + 1) / 4,
        "total": 4,
        "HasAns_exact": 50.0,
        "HasAns_f1": 100 * (f1 + 1) / 2,
        "HasAns_total": 2,
        "NoAns_exact": 50.0,
        "NoAns_f1": 50.0,
        "NoAns_total": 2,
    } == pytest.approx(scores.to_dict())
    assert [] == scores.messages()


def test_leaves_out_a_class_of_questions_that_is_absent(tmp_path: Path) -> None:
    """Without unanswerable questions there are no NoAns scores, and the reverse."""
    predictions = write(tmp_path / "p.json", {"a": "dog"})
    only_answers = squad.score_files(data_file(tmp_path, {"a": ["dog"]}), predictions).to_dict()
    assert {"exact", "f1", "total", "HasAns_exact", "HasAns_f1", "HasAns_total"} == set(only_answers)
    only_none = squad.score_files(data_file(tmp_path, {"a": []}), predictions).to_dict()
    assert {"exact", "f1", "total", "NoAns_exact", "NoAns_f1", "NoAns_total"} == set(only_none)


def test_2_0_leaves_missing_predictions_out_and_says_so(tmp_path: Path) -> None:
    """A question without prediction counts in no total of version 2.0."""
    data = data_file(tmp_path, {"a": ["dog"], "b": ["cat"], "c": []})
    scores = squad.score_files(data, write(tmp_path / "p.json", {"a": "dog"}))
    assert {"exact": 100.0, "f1": 100.0, "total": 1, "HasAns_exact": 100.0, "HasAns_f1": 100.0, "HasAns_total": 1} == (
        scores.to_dict()
    )
    assert ["2 question(s) have no prediction and are excluded from all scores."] == scores.messages()


def test_1_1_counts_missing_predictions_as_0(tmp_path: Path) -> None:
    """Version 1.1 divides by all questions and prints two numbers."""
    data = data_file(tmp_path, {"a": ["dog"], "b": ["cat"]}, version="1.1")
    scores = squad.score_files(data, write(tmp_path / "p.json", {"a": "a dog"}))
    assert {"exact_match": 50.0, "f1": 50.0} == scores.to_dict()
    assert ["1 question(s) have no prediction; each counts as 0."] == scores.messages()
    assert {"exact_match": 0.0, "f1": 0.0} == squad.score_files(data, write(tmp_path / "p.json", {})).to_dict()


def test_1_1_scores_two_empty_texts_as_exact_1_and_f1_0(tmp_path: Path) -> None:
    """A gold that normalises to nothing is kept in version 1.1, and F1 has no special case."""
    data = data_file(tmp_path, {"a": ["the"]}, version="1.1")
    scores = squad.score_files(data, write(tmp_path / "p.json", {"a": "an"}))
    assert {"exact_match": 100.0, "f1": 0.0} == scores.to_dict()


@pytest.mark.parametrize(
    ("version", "golds", "expected"),
    [
        ("1.1", {"a": ["x"]}, "1.1"),
        ("v1.1", {"a": ["x"]}, "1.1"),
        ("1.1", {"a": ["x"], "b": []}, "2.0"),
        ("v2.0", {"a": ["x"]}, "2.0"),
        ("", {"a": ["x"]}, "1.1"),
        ("", {"a": []}, "2.0"),
    ],
)
def test_the_version_of_the_file_decides_whose_rules_apply(
    tmp_path: Path, version: str, golds: dict[str, list[str]], expected: str
) -> None:
    """The 1.1 script cannot score an unanswerable question, so such a file gets the rules of 2.0."""
    assert expected == squad.read_questions(data_file(tmp_path, golds, version))[0]


def test_a_repeated_id_counts_once_in_2_0_and_twice_in_1_1(tmp_path: Path) -> None:
    """As in the scripts: a table keyed by id against a running sum."""
    qas = [{"id": "a", "question": "?", "answers": [{"text": text, "answer_start": 0}]} for text in ("dog", "cat")]
    raw = {"version": "v2.0", "data": [{"title": "t", "paragraphs": [{"context": "c", "qas": qas}]}]}
    predictions = write(tmp_path / "p.json", {"a": "cat"})
    second = squad.score_files(write(tmp_path / "data.json", raw), predictions).to_dict()
    assert (100.0, 1) == (second["exact"], second["total"])
    first = squad.score_files(write(tmp_path / "data.json", raw | {"version": "1.1"}), predictions).to_dict()
    assert 50.0 == first["exact_match"]


def test_null_odds_abstain_above_the_threshold_only(tmp_path: Path) -> None:
    """Odds equal to the threshold still answer; the official default is 1.0."""
    data = data_file(tmp_path, {"a": ["dog"], "b": []})
    predictions = write(tmp_path / "p.json", {"a": "dog", "b": "cat"})
    odds = write(tmp_path / "n.json", {"a": 1.0, "b": 1.5})
    assert 100.0 == squad.score_files(data, predictions, odds).to_dict()["exact"]
    lower = squad.score_files(data, predictions, odds, no_answer_probability_threshold=0.5).to_dict()
    assert 50.0 == lower["exact"]
    higher = squad.score_files(data, predictions, odds, no_answer_probability_threshold=2).to_dict()
    assert 50.0 == higher["exact"]


def test_best_threshold_answers_what_gains(tmp_path: Path) -> None:
    """Walking up the odds, the last gain sets the threshold; exact and F1 may differ."""
    data = data_file(tmp_path, {"a": ["dog"], "b": ["big cat"], "c": [], "d": ["cow"]})
    predictions = write(tmp_path / "p.json", {"a": "dog", "b": "cat", "c": "x", "d": "hen"})
    odds = write(tmp_path / "n.json", {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4})
    best = squad.score_files(data, predictions, odds).best
    assert best is not None
    assert (50.0, 0.1) == (best.exact, best.exact_threshold)
    assert (pytest.approx(100 * (1 + 2 / 3 + 1) / 4), 0.2) == (best.f1, best.f1_threshold)


def test_best_threshold_may_lie_inside_a_tie_as_officially(tmp_path: Path) -> None:
    """Equal odds are walked in the order of the file, so the best may be one that no threshold reaches."""
    data = data_file(tmp_path, {"a": ["dog"], "b": []})
    predictions = write(tmp_path / "p.json", {"a": "dog", "b": "cat"})
    best = squad.score_files(data, predictions, write(tmp_path / "n.json", {"a": 0.5, "b": 0.5})).best
    assert best is not None
    assert (100.0, 0.5) == (best.exact, best.exact_threshold)
    other = squad.score_files(data, predictions, write(tmp_path / "n.json", {"b": 0.5, "a": 0.5})).best
    assert other is not None
    assert (50.0, 0.0) == (other.exact, other.exact_threshold)


def test_unknown_ids_are_ignored_and_counted(tmp_path: Path) -> None:
    """Predictions of a larger file can be scored on a part of it."""
    data = data_file(tmp_path, {"a": ["dog"]})
    scores = squad.score_files(data, write(tmp_path / "p.json", {"a": "dog", "z": "y"}))
    assert (100.0, 1) == (scores.all.exact, scores.unknown)
    assert ["1 prediction(s) have ids that are not in the data; they are ignored."] == scores.messages()


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", "contains no predictions"),
        ('{"a": 3}', "the prediction of 'a' is 3, not text"),
        ('{"a": null}', "the prediction of 'a' is null, not text"),
        ('{"z": "y"}', "none of its 1 ids"),
    ],
)
def test_bad_prediction_files_are_refused_with_the_file_and_the_key(tmp_path: Path, content: str, message: str) -> None:
    """Every error names the file and what is wrong in it."""
    predictions = tmp_path / "p.json"
    predictions.write_text(content)
    with pytest.raises(ConfigError, match=message) as caught:
        squad.score_files(data_file(tmp_path, {"a": ["dog"]}), predictions)
    assert str(predictions) in str(caught.value)


@pytest.mark.parametrize(
    ("odds", "message"),
    [({"a": "x"}, "null odds of 'a' are \"x\""), ({}, "no null odds for 'a'"), ({"a": True}, "not a number")],
)
def test_bad_null_odds_are_refused(tmp_path: Path, odds: dict[str, Any], message: str) -> None:
    """Odds are numbers, and every predicted question has some."""
    data = data_file(tmp_path, {"a": ["dog"]})
    with pytest.raises(ConfigError, match=message):
        squad.score_files(data, write(tmp_path / "p.json", {"a": "dog"}), write(tmp_path / "n.json", odds))


def test_1_1_refuses_null_odds(tmp_path: Path) -> None:
    """Abstaining has no meaning there."""
    data = data_file(tmp_path, {"a": ["dog"]}, version="1.1")
    predictions = write(tmp_path / "p.json", {"a": "dog"})
    with pytest.raises(ConfigError, match="has no abstention"):
        squad.score_files(data, predictions, write(tmp_path / "n.json", {"a": 0.0}))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"version": "v2.0", "data": []}, "contains no questions"),
        ({"version": "v2.0"}, "not SQuAD JSON"),
        ({"data": [{"paragraphs": [{"qas": [{"id": "a"}]}]}]}, r"data\[0\].paragraphs\[0\].qas\[0\]"),
    ],
)
def test_bad_data_files_are_refused(tmp_path: Path, raw: Any, message: str) -> None:
    """The place in the file is named."""
    with pytest.raises(ConfigError, match=message):
        squad.score_files(write(tmp_path / "data.json", raw), write(tmp_path / "p.json", {"a": "dog"}))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The message holds the path."""
    with pytest.raises(ConfigError, match=r"nowhere\.json \(data\) cannot be read"):
        squad.score_files(tmp_path / "nowhere.json", tmp_path / "p.json")


# ---------------------------------------------------------------- against a transcription of the published scripts


def official_normalize(s: str) -> str:
    """`normalize_answer` of both scripts."""

    def remove_punc(text: str) -> str:
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    return " ".join(re.sub(r"\b(a|an|the)\b", " ", remove_punc(s.lower())).split())


def official_f1(gold: str, pred: str) -> float:
    """`compute_f1` of version 2.0."""
    gold_toks = official_normalize(gold).split() if gold else []
    pred_toks = official_normalize(pred).split() if pred else []
    num_same = sum((collections.Counter(gold_toks) & collections.Counter(pred_toks)).values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return float(int(gold_toks == pred_toks))
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(pred_toks)
    recall = 1.0 * num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def official_v2(
    answers: dict[str, list[str]], preds: dict[str, str], na_probs: dict[str, float] | None, thresh: float
) -> dict[str, float]:
    """`main` of `evaluate-v2.0.py`, with the missing predictions taken out of the data first."""
    qid_to_has_ans = {k: bool(v) for k, v in answers.items()}
    exact_raw, f1_raw = {}, {}
    for qid, golds in answers.items():
        gold_answers = [a for a in golds if official_normalize(a)] or [""]
        exact_raw[qid] = max(int(official_normalize(a) == official_normalize(preds[qid])) for a in gold_answers)
        f1_raw[qid] = max(official_f1(a, preds[qid]) for a in gold_answers)
    probs = na_probs if na_probs is not None else dict.fromkeys(preds, 0.0)

    def apply(scores: dict[str, Any]) -> dict[str, float]:
        return {q: float(not qid_to_has_ans[q]) if probs[q] > thresh else s for q, s in scores.items()}

    exact, f1 = apply(exact_raw), apply(f1_raw)
    out: dict[str, float] = {}
    groups = [("", list(exact))]
    groups += [("HasAns_", [k for k, v in qid_to_has_ans.items() if v])]
    groups += [("NoAns_", [k for k, v in qid_to_has_ans.items() if not v])]
    for prefix, qids in groups:
        if qids:
            out[f"{prefix}exact"] = 100.0 * sum(exact[k] for k in qids) / len(qids)
            out[f"{prefix}f1"] = 100.0 * sum(f1[k] for k in qids) / len(qids)
            out[f"{prefix}total"] = len(qids)
    if na_probs is not None:
        for name, raw in (("exact", exact_raw), ("f1", f1_raw)):
            cur_score: float = sum(1 for k in qid_to_has_ans if not qid_to_has_ans[k])
            best_score, best_thresh = cur_score, 0.0
            for qid in sorted(na_probs, key=lambda k: na_probs[k]):
                if qid not in raw:
                    continue
                diff = raw[qid] if qid_to_has_ans[qid] else (-1 if preds[qid] else 0)
                cur_score += diff
                if cur_score > best_score:
                    best_score, best_thresh = cur_score, na_probs[qid]
            out[f"best_{name}"] = 100.0 * best_score / len(raw)
            out[f"best_{name}_thresh"] = best_thresh
    return out


def official_v1(answers: dict[str, list[str]], preds: dict[str, str]) -> dict[str, float]:
    """`evaluate` of `evaluate-v1.1.py`."""
    f1 = exact_match = 0.0
    for qid, golds in answers.items():
        if qid not in preds:
            continue
        prediction = preds[qid]
        exact_match += max(official_normalize(prediction) == official_normalize(g) for g in golds)
        scores = []
        for gold in golds:
            a, b = official_normalize(prediction).split(), official_normalize(gold).split()
            same = sum((collections.Counter(a) & collections.Counter(b)).values())
            scores.append(0 if same == 0 else 2 * (same / len(a)) * (same / len(b)) / (same / len(a) + same / len(b)))
        f1 += max(scores)
    return {"exact_match": 100.0 * exact_match / len(answers), "f1": 100.0 * f1 / len(answers)}


WORDS = ["a", "the", "an", "A", "dog", "Dog", "cat,", "red.", "--", "1,000", "é", "«", "\u00a0", "İ"]
TEXTS = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join),
    st.text(max_size=12),
)
ODDS = st.one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.floats(-20, 20))
ROWS = st.lists(st.tuples(st.lists(TEXTS, max_size=3), TEXTS, ODDS), min_size=1, max_size=8)


@settings(max_examples=300, deadline=None)
@given(rows=ROWS, with_odds=st.booleans(), threshold=ODDS, extra=st.booleans())
def test_equals_the_2_0_script_on_any_file(
    rows: list[tuple[list[str], str, float]], with_odds: bool, threshold: float, extra: bool
) -> None:
    """Every number of the official output, thresholds and ties included."""
    answers = {str(i): golds for i, (golds, _, _) in enumerate(rows)}
    predictions = {str(i): text for i, (_, text, _) in enumerate(rows)} | ({"other": "x"} if extra else {})
    odds = {str(i): value for i, (_, _, value) in enumerate(rows)} | {"other": 0.0} if with_odds else None
    questions = [(key, tuple(texts)) for key, texts in answers.items()]
    ours = squad.score_v2(questions, predictions, odds, threshold)
    assert official_v2(answers, predictions, odds, threshold) == pytest.approx(ours.to_dict(), abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.tuples(st.lists(TEXTS, min_size=1, max_size=3), st.none() | TEXTS), min_size=1, max_size=8))
def test_equals_the_1_1_script_on_any_file(rows: list[tuple[list[str], str | None]]) -> None:
    """Missing predictions included."""
    answers = {str(i): golds for i, (golds, _) in enumerate(rows)}
    predictions = {str(i): text for i, (_, text) in enumerate(rows) if text is not None}
    questions = [(key, tuple(texts)) for key, texts in answers.items()]
    assert official_v1(answers, predictions) == pytest.approx(squad.score_v1(questions, predictions).to_dict())
