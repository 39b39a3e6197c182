"""Query an exported model: an answer from a passage, or the class of a text.

As a program, `python -P -m bertdistill.engine.distill.export.answer FOLDER`, it reads one JSON request from stdin and
prints one JSON object. It tokenises texts exactly as training did, and changes nothing on disk.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import finite
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.contract.terms import WITH_LAYERS
from bertdistill.engine.distill.data.examples import Examples, QAExample, TextExample
from bertdistill.engine.distill.data.features import Features, build_features, padding_id
from bertdistill.engine.distill.export.card import NULL_THRESHOLD
from bertdistill.engine.distill.export.cascade_folder import CASCADE, LARGE, ROUTER, SMALL
from bertdistill.engine.distill.export.export import READING
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import FAMILY, Model
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.transformer import load_encoder, read_any_shape
from bertdistill.engine.distill.tasks import answer_spans, best_spans
from bertdistill.engine.distill.training.evaluate import features_for
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.families.encoder_plan import COMPARABLE, unpruned_shape
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.routing import confidence, passed_on
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION
from bertdistill.store.errors import BertDistillError

HEADS = {"QuestionAnswering": QUESTION_ANSWERING, "SequenceClassification": TEXT_CLASSIFICATION}
"""The task by the class of its head, for a folder that does not name it."""
REMEDIES = {True: "send a question with a passage", False: "send a text to classify"}
"""By `Task.spans`."""
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Opened:
    """A model for repeated requests; tokenizer and weights are loaded on first use."""

    folder: Path
    config: Mapping[str, Any]
    teacher: bool = False

    @cached_property
    def tokenizer(self) -> Any:
        return AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)

    @cached_property
    def model(self) -> Model:
        if self.teacher:
            task = _task(self.config) or TEXT_CLASSIFICATION
            labels = () if TASKS[task].spans else labels_of(self.config)
            return Encoder(load_encoder(str(self.folder), task, labels, dropout=0.0, need_head=True))
        return load_model(self.folder)


@dataclass(frozen=True)
class OpenedCascade:
    """An exported cascade for repeated requests."""

    small: Opened
    large: Opened
    rule: Mapping[str, Any]
    """The content of router.json."""


@dataclass(frozen=True)
class Answered:
    """A model's answer, and the CPU time of its forward passes in this thread."""

    found: dict[str, Any]
    seconds: float


def open_model(folder: Path) -> Opened | OpenedCascade:
    """An exported model or cascade; ConfigError if the folder holds neither."""
    if not (folder / ROUTER).exists():
        config = _read_config(folder)
        if config.get(FAMILY) != CASCADE:
            return Opened(folder, config)
    rule = _read_json(folder / ROUTER)
    if any(finite(rule.get(key)) is None for key in ("temperature", "threshold")):
        raise ConfigError(f"{folder / ROUTER} gives no temperature and threshold", hint="promote the cascade again")
    small, large = (Opened(folder / name, _read_config(folder / name)) for name in (SMALL, LARGE))
    return OpenedCascade(small, large, rule)


def open_teacher(folder: Path, student: Path, null_threshold: float | None = None) -> Opened:
    """The teacher of an exported student, with the student's text lengths and class names.

    Its own folder has neither; `null_threshold` is the one that its study tuned on the validation split.
    """
    own, theirs = _read_config(folder), _read_config(student)
    config = own | {key: theirs[key] for key in (READING, "id2label") if key in theirs}
    return Opened(folder, config | {NULL_THRESHOLD: null_threshold}, teacher=True)


def answer(folder: Path, *, question: str, context: str) -> dict[str, Any]:
    """The answer to `question` in `context`, a passage of any length.

    `answer` is "" if the model abstains: `null_score` minus `score` exceeds `null_threshold` (absent if the model
    never abstains). `best_span` is the best span in any case. Scores are sums of a start and an end logit.
    """
    return ask(folder, {"question": question, "passage": context})


def classify(folder: Path, text: str, pair: str | None = None) -> dict[str, Any]:
    """The most probable label of a text (or pair of texts) and the probability of every label.

    A text longer than in training is truncated; then `tokens` is its length and `tokens_read` the number used.
    """
    return _classified(open_model(folder), text, pair).found


def ask(folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """`{"question", "passage"}` or `{"text", "pair"?}`, whichever fits the model; ConfigError otherwise."""
    return ask_opened(open_model(folder), request).found


def ask_opened(opened: Opened | OpenedCascade, request: Mapping[str, Any]) -> Answered:
    """The same for an open model."""
    if request.get("question"):
        if isinstance(opened, OpenedCascade):
            opened = opened.small  # which refuses it
        return _answer(opened, str(request["question"]), str(request.get("passage") or ""))
    if request.get("text"):
        pair = request.get("pair")
        return _classified(opened, str(request["text"]), None if pair is None else str(pair))
    raise ConfigError("the request is empty", hint="send a question with a passage, or a text")


def _answer(opened: Opened, question: str, context: str) -> Answered:
    config = _fit_for(opened, spans=True)
    if not question.strip() or not context.strip():
        raise ConfigError("question and passage must not be empty")
    data = _room_for(question, opened.tokenizer, reading_lengths(opened))
    examples = Examples(_task(config), [QAExample("0", "", question, context, (), (), True)])
    with tempfile.TemporaryDirectory() as scratch:
        features, outputs, seconds = _outputs(opened, examples, data, Path(scratch))
        odds, texts, _ = answer_spans(examples, features, outputs, data)
        score = float(best_spans(features, outputs, data)[0].max())
    if not np.isfinite(score):
        raise ConfigError("the passage contains no tokens that the model can read")
    threshold = config.get(NULL_THRESHOLD)
    abstained = threshold is not None and float(odds[0]) > threshold
    found = {"answer": "" if abstained else texts[0], "abstained": abstained, "best_span": texts[0]}
    found |= {"score": round(score, 4), "null_score": round(score + float(odds[0]), 4)}
    return Answered(found | ({} if threshold is None else {NULL_THRESHOLD: threshold}), seconds)


def _classified(opened: Opened | OpenedCascade, text: str, pair: str | None) -> Answered:
    if isinstance(opened, Opened):
        return _classify(opened, text, pair)[0]
    answered, logits = _classify(opened.small, text, pair)
    rule, seconds, who = opened.rule, answered.seconds, SMALL
    sure = float(confidence(logits, float(rule["temperature"]))[0])
    if passed_on(np.array([sure]), float(rule["threshold"]))[0]:
        answered, who = _classify(opened.large, text, pair)[0], LARGE
        seconds += answered.seconds
    name = str((rule.get(who) or {}).get("name", who))
    routed = {"answered_by": f"{who} ({name})", "confidence": sure, "threshold": rule["threshold"]}
    return Answered(answered.found | routed, seconds)


def _classify(opened: Opened, text: str, pair: str | None) -> tuple[Answered, NDArray[np.float32]]:
    """The answer, and its logits, (1, labels)."""
    config = _fit_for(opened, spans=False)
    if not text.strip():
        raise ConfigError("the text to classify is empty")
    labels = labels_of(config)
    examples = Examples(_task(config), [TextExample("0", text, pair, 0)], labels)
    data = reading_lengths(opened)
    with tempfile.TemporaryDirectory() as scratch:
        _, outputs, seconds = _outputs(opened, examples, data, Path(scratch))
    shifted = np.exp(outputs[0].astype(float) - outputs[0].max())
    shares = shifted / shifted.sum()
    best = int(shares.argmax())
    probabilities = {name: round(float(share), 4) for name, share in zip(labels, shares, strict=True)}
    found = {"label": labels[best], "probability": probabilities[labels[best]], "probabilities": probabilities}
    tokens = len(opened.tokenizer(text, pair)["input_ids"])
    cut = {"tokens": tokens, "tokens_read": data.max_length} if tokens > data.max_length else {}
    return Answered(found | cut, seconds), outputs


def labels_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes of a classifier, in the order of its outputs."""
    return tuple(str(config["id2label"][key]) for key in sorted(config["id2label"], key=int))


def _read_config(folder: Path) -> dict[str, Any]:
    return _read_json(folder / "config.json")


def _read_json(path: Path) -> dict[str, Any]:
    folder = path.parent
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder}: not an exported model: {error}", hint="use the folder of a promoted model"
        ) from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: not an object", hint="use the folder of a promoted model")
    return config


def _head(config: Mapping[str, Any]) -> str:
    return " ".join(config.get("architectures") or [])


def _task(config: Mapping[str, Any]) -> str:
    """Name of the task of a model; empty if neither its export nor its head shows it."""
    task = str((config.get(READING) or {}).get("task", ""))
    head = _head(config)
    return task if task in TASKS else next((name for part, name in HEADS.items() if part in head), "")


def _fit_for(opened: Opened, *, spans: bool) -> Mapping[str, Any]:
    """The config, checked to be that of a model for spans, or else for labels."""
    found = _task(opened.config)
    if not found or TASKS[found].spans != spans:
        remedy = REMEDIES[TASKS[found].spans] if found else ""
        asked = "questions" if spans else "texts to classify"
        raise ConfigError(f"{opened.folder}: this model is for {found or 'another task'}, not for {asked}", hint=remedy)
    return opened.config


def reading_lengths(opened: Opened) -> DataSpec:
    """The text lengths of training; the defaults for a folder that does not have them."""
    config = opened.config
    known = {field.name for field in dataclasses.fields(DataSpec)}
    reading = {key: value for key, value in (config.get(READING) or {}).items() if key in known}
    data = DataSpec(**reading)
    if config.get(FAMILY, "transformer") not in WITH_LAYERS:  # only these have a longest input
        return data
    ours = config.get("model_type") in COMPARABLE  # a teacher may be of any architecture
    shape = unpruned_shape(config) if ours else read_any_shape(opened.folder)
    return dataclasses.replace(data, max_length=min(data.max_length, shape.longest_input))


def _room_for(question: str, tokenizer: Any, data: DataSpec) -> DataSpec:
    """The lengths of training, unless the question is so long that they would leave no room for the passage."""
    most = min(data.max_question_length, data.max_length // 2)
    tokens = min(len(tokenizer(question, add_special_tokens=False)["input_ids"]), most)
    room = data.max_length - tokenizer.num_special_tokens_to_add(pair=True) - tokens
    stride = data.doc_stride if data.doc_stride < room else max(room // 2, 0)
    return dataclasses.replace(data, max_question_length=most, doc_stride=stride)


def _outputs(
    opened: Opened, examples: Examples, data: DataSpec, scratch: Path
) -> tuple[Features, NDArray[np.float32], float]:
    """Features of the one example, their outputs as in evaluation (fp32 on the CPU), and CPU seconds."""
    model, tokenizer = opened.model, opened.tokenizer
    tokenizer.model_max_length = max(tokenizer.model_max_length, data.max_length)
    features = build_features(examples, tokenizer, data, folder=scratch / "features", progress=lambda done, total: None)
    pad_id, fitting = padding_id(tokenizer), features_for(model, features)
    began = time.thread_time()  # unlike wall time, not affected by load
    outputs = predict(model, fitting, device=CPU, pad_id=pad_id)
    return features, outputs, time.thread_time() - began


def main(arguments: list[str]) -> int:
    """Answer the request on stdin. Exit code 0 on success, 1 with one line on stderr, 2 on wrong usage."""
    if len(arguments) != 1:
        usage = "usage: python -P -m bertdistill.engine.distill.export.answer FOLDER < REQUEST.json"
        print(usage, file=sys.stderr)  # noqa: T201 - a program's stderr
        return 2
    try:
        found = ask(Path(arguments[0]), json.load(sys.stdin))
    except (BertDistillError, ValueError) as error:
        hint = getattr(error, "hint", "")
        print(f"{error}{f' ({hint})' if hint else ''}", file=sys.stderr)  # noqa: T201 - a program's stderr
        return 1
    print(json.dumps(found, ensure_ascii=False))  # noqa: T201 - a program's stdout
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
