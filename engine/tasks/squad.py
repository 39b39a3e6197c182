"""The rules of the official SQuAD 1.1 and 2.0 scripts: exact match, F1, unanswerable questions, thresholds.

Standard library only. It loads no model and splits no data; both the worker and `engine score` call it.

Source: `evaluate-v2.0.py` and `evaluate-v1.1.py` (Rajpurkar et al., 2016 and 2018). They differ in details that are
kept here: version 1.1 counts a missing prediction as 0 and scores two empty texts as exact 1 and F1 0; version 2.0
leaves out questions without a prediction, drops golds that normalise to nothing and scores two empty texts as 1 and 1.
"""

from __future__ import annotations

import json
import math
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


# ----------------------------------------------------------------------------------------------------------- one answer


@lru_cache(maxsize=1 << 16)  # every evaluation of every trial compares the same golds again
def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation and the articles a, an, the; single spaces between what is left."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def golds(answers: Iterable[str]) -> list[str]:
    """The gold texts that count in version 2.0: those not empty after normalisation, else the empty text."""
    return [text for text in answers if normalise(text)] or [""]


def exact(prediction: str, gold_texts: Sequence[str]) -> int:
    """1 if the prediction equals one of the golds after normalisation, else 0."""
    return int(any(normalise(prediction) == normalise(gold) for gold in gold_texts))


def f1(prediction: str, gold_texts: Sequence[str]) -> float:
    """Best token overlap with a gold, 0 to 1. Two empty texts score 1; an empty and a non-empty one score 0."""
    return max(_overlap(normalise(gold).split(), normalise(prediction).split()) for gold in gold_texts)


def _overlap(gold: list[str], prediction: list[str]) -> float:
    if not gold or not prediction:
        return float(gold == prediction)
    same = sum((Counter(gold) & Counter(prediction)).values())
    if not same:
        return 0.0
    precision, recall = same / len(prediction), same / len(gold)
    return (2 * precision * recall) / (precision + recall)


# --------------------------------------------------------------------------------------------------------- many answers


@dataclass(frozen=True)
class Part:
    """Scores in percent over `total` questions."""

    exact: float
    f1: float
    total: int


@dataclass(frozen=True)
class Best:
    """The thresholds with the best exact match and the best F1 over all questions; scores in percent."""

    exact: float
    exact_threshold: float
    f1: float
    f1_threshold: float


@dataclass(frozen=True)
class Scores:
    """What the official script prints, including its warnings."""

    version: str
    """The version whose rules were applied, 1.1 or 2.0."""
    all: Part
    has_answer: Part | None = None
    """None without answerable questions, and always None in version 1.1."""
    no_answer: Part | None = None
    best: Best | None = None
    """Set only with null odds."""
    missing: int = 0
    """Number of questions without a prediction."""
    unknown: int = 0
    """Number of predictions for ids not in the data; ignored, as in the official scripts."""

    def to_dict(self) -> dict[str, float | int]:
        """The scores under the official names (`exact_match` in version 1.1, `HasAns_exact`, `best_exact_thresh` …)."""
        if self.version == "1.1":
            return {"exact_match": self.all.exact, "f1": self.all.f1}
        named: dict[str, float | int] = {}
        for prefix, part in (("", self.all), ("HasAns_", self.has_answer), ("NoAns_", self.no_answer)):
            if part:
                named |= {f"{prefix}exact": part.exact, f"{prefix}f1": part.f1, f"{prefix}total": part.total}
        if self.best:
            named |= {"best_exact": self.best.exact, "best_exact_thresh": self.best.exact_threshold}
            named |= {"best_f1": self.best.f1, "best_f1_thresh": self.best.f1_threshold}
        return named

    def messages(self) -> list[str]:
        """Warnings to show with the scores."""
        messages = []
        if self.missing and self.version == "1.1":
            messages.append(f"{self.missing} question(s) have no prediction; each counts as 0.")
        elif self.missing:
            messages.append(f"{self.missing} question(s) have no prediction and are excluded from all scores.")
        if self.unknown:
            messages.append(f"{self.unknown} prediction(s) have ids that are not in the data; they are ignored.")
        return messages


def score_files(
    data: Path, predictions: Path, null_odds: Path | None = None, *, no_answer_probability_threshold: float = 1.0
) -> Scores:
    """Score a prediction file `{id: text}` against a SQuAD file, as the official script of that data's version does.

    `null_odds` is a file `{id: number}`, a probability or log odds that the question is unanswerable: above the
    threshold the prediction counts as empty (default 1.0, as in the official script). Version 1.1 has no abstention and
    refuses null odds. Raises ConfigError naming file, key and remedy.
    """
    version, questions = read_questions(data)
    texts = _json_object(predictions, "predictions")
    for key, text in texts.items():
        if not isinstance(text, str):
            raise ConfigError(f"{predictions}: the prediction of {key!r} is {_short(text)}, not text. Write a string.")
    if texts and not any(key in texts for key, _ in questions):
        raise ConfigError(
            f"{predictions}: none of its {len(texts)} ids is a question id of {data} (its first id is "
            f"{next(iter(texts))!r}). Score it against the file it was made for."
        )
    if version == "1.1":
        if null_odds:
            raise ConfigError(f"{null_odds}: {data} is SQuAD 1.1, which has no abstention. Leave out the null odds.")
        return score_v1(questions, texts)
    odds = _null_odds(null_odds, texts, dict(questions)) if null_odds else None
    if not any(key in texts for key, _ in questions):
        raise ConfigError(f"{predictions} contains no predictions. Write one JSON object: question id to answer text.")
    return score_v2(questions, texts, odds, no_answer_probability_threshold)


Questions = Sequence[tuple[str, tuple[str, ...]]]
"""Pairs of id and gold texts, in the order of the file; unanswerable questions have no gold."""


def score_v1(questions: Questions, predictions: Mapping[str, str]) -> Scores:
    """The 1.1 script: every question counts, and a missing prediction scores 0."""
    answered = [(predictions[key], answers) for key, answers in questions if key in predictions]
    f1_sum = sum(f1(text, answers) if normalise(text) else 0.0 for text, answers in answered)
    exact_sum = sum(exact(text, answers) for text, answers in answered)
    total = len(questions)
    return Scores(
        version="1.1",
        all=Part(100.0 * exact_sum / total, 100.0 * f1_sum / total, total),
        missing=total - len(answered),
        unknown=len(set(predictions) - {key for key, _ in questions}),
    )


def score_v2(
    questions: Questions, predictions: Mapping[str, str], null_odds: Mapping[str, float] | None, threshold: float = 1.0
) -> Scores:
    """The 2.0 script. A repeated id counts once, with its last question. `null_odds` must cover every predicted id."""
    answers = dict(questions)
    answerable = {key: bool(texts) for key, texts in answers.items()}
    scored = {key: golds(texts) for key, texts in answers.items() if key in predictions}
    raw_exact: dict[str, float] = {key: exact(predictions[key], texts) for key, texts in scored.items()}
    raw_f1 = {key: f1(predictions[key], texts) for key, texts in scored.items()}
    exact_by_id = _abstained(raw_exact, null_odds, answerable, threshold)
    f1_by_id = _abstained(raw_f1, null_odds, answerable, threshold)

    def part(keys: Sequence[str]) -> Part | None:
        if not keys:
            return None
        total = len(keys)
        sums = sum(exact_by_id[key] for key in keys), sum(f1_by_id[key] for key in keys)
        return Part(100.0 * sums[0] / total, 100.0 * sums[1] / total, total)

    whole = part(list(scored))
    if whole is None:
        raise ValueError("no question has a prediction")
    best = None
    if null_odds is not None:
        best_exact = _best_threshold(raw_exact, predictions, null_odds, answerable)
        best = Best(*best_exact, *_best_threshold(raw_f1, predictions, null_odds, answerable))
    return Scores(
        version="2.0",
        all=whole,
        has_answer=part([key for key in scored if answerable[key]]),
        no_answer=part([key for key in scored if not answerable[key]]),
        best=best,
        missing=len(answers) - len(scored),
        unknown=len(set(predictions) - set(answers)),
    )


def _abstained(
    scores: Mapping[str, float],
    null_odds: Mapping[str, float] | None,
    answerable: Mapping[str, bool],
    threshold: float,
) -> Mapping[str, float]:
    """Scores with the prediction counted as empty where the null odds exceed `threshold`."""
    if null_odds is None:  # the official script uses 0.0 for every question
        null_odds = dict.fromkeys(scores, 0.0)
    return {k: float(not answerable[k]) if null_odds[k] > threshold else score for k, score in scores.items()}


def _best_threshold(
    scores: Mapping[str, float],
    predictions: Mapping[str, str],
    null_odds: Mapping[str, float],
    answerable: Mapping[str, bool],
) -> tuple[float, float]:
    """(best score in percent, its threshold), going up the odds from "always abstain", as the official script does.

    Equal odds are processed one by one in file order, so a best score may fall inside a tie, as officially.
    """
    current: float = sum(not has for has in answerable.values())
    best, best_threshold = current, 0.0
    for key in sorted(null_odds, key=lambda key: null_odds[key]):
        if key not in scores:
            continue
        current += scores[key] if answerable[key] else -1 if predictions[key] else 0
        if current > best:
            best, best_threshold = current, null_odds[key]
    return 100.0 * best / len(scores), best_threshold


# ------------------------------------------------------------------------------------------------------------ the files


def read_questions(data: Path) -> tuple[str, Questions]:
    """Read a SQuAD file: the version whose rules apply ("1.1" or "2.0"), and the questions with their gold texts.

    The file's `version` decides. A file without one, or with version 1 and unanswerable questions (which the 1.1
    script cannot score), follows the rules of 2.0 if any question has no answer.
    """
    raw = _json_object(data, "data")
    where = "the top level"
    questions: list[tuple[str, tuple[str, ...]]] = []
    try:
        for a, article in enumerate(raw["data"]):
            for p, paragraph in enumerate(article["paragraphs"]):
                for q, qa in enumerate(paragraph["qas"]):
                    where = f"data[{a}].paragraphs[{p}].qas[{q}]"
                    questions.append((qa["id"], tuple(answer["text"] for answer in qa["answers"])))
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"{data} is not SQuAD JSON: {error} is missing or invalid at {where}. Expected data -> paragraphs -> qas "
            "with id and answers."
        ) from error
    if not questions:
        raise ConfigError(f"{data} contains no questions. Choose another file.")
    stated = str(raw.get("version", "")).lower().removeprefix("v")
    first = (stated.startswith("1") or not stated) and all(answers for _, answers in questions)
    return ("1.1" if first else "2.0"), questions


def _json_object(path: Path, what: str) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path} ({what}) cannot be read: {error.strerror}. Correct the path.") from error
    except (ValueError, RecursionError) as error:  # RecursionError: nested thousands of levels deep
        raise ConfigError(f"{path} ({what}) is not JSON: {error}. Write one JSON object.") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path} ({what}) contains {_short(raw)}, not a JSON object. Write {{…}} at the top level.")
    return raw


def _null_odds(path: Path, predictions: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, float]:
    raw = _json_object(path, "null odds")
    for key, value in raw.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool) or math.isnan(value):
            raise ConfigError(f"{path}: the null odds of {key!r} are {_short(value)}, not a number. Write a number.")
    lacking = next((key for key in predictions if key in known and key not in raw), None)
    if lacking is not None:
        raise ConfigError(f"{path} has no null odds for {lacking!r}, which has a prediction. Add them.")
    return {key: float(value) for key, value in raw.items()}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
