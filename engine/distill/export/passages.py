"""Build passages for a promoted model with separate layers, and ask about them: only the question is read again.

As a program, `python -P -m bertdistill.engine.distill.export.passages`, it reads one JSON request from stdin and prints
one JSON object: `{"build": {"model", "file", "folder", "numbers"}}` or `{"ask": {"model", "folder", "question",
"passage"?, "compare"?}}`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.batches import by_length, pad_edges
from bertdistill.engine.distill.data.examples import Examples, QAExample
from bertdistill.engine.distill.data.features import Features, padding_id
from bertdistill.engine.distill.export.answer import OpenedCascade, open_model, reading_lengths
from bertdistill.engine.distill.export.card import NULL_THRESHOLD
from bertdistill.engine.distill.export.passage_cache import (
    PassageCache,
    Windows,
    digest_of,
    open_cache,
    read_passages,
    windows_of,
    write_cache,
)
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.separate import FIRST, joint_logits, segment_states, separate_layers
from bertdistill.engine.distill.tasks import answer_spans, best_spans
from bertdistill.engine.distill.training.terms.step import MASKED
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.store.errors import BertDistillError

BATCH_TOKENS = 4096
REPEATS = 5
"""Timed passes of a comparison; the first one of all is not counted."""
CPU = torch.device("cpu")

Array = NDArray[Any]


@dataclass(frozen=True)
class Reader:
    """A promoted model for questions, some of whose layers are separate."""

    net: Any
    tokenizer: Any
    data: DataSpec
    """Its lengths, with at most half of an input for the question."""
    digest: str
    null_threshold: float | None

    @property
    def pad_id(self) -> int:
        return padding_id(self.tokenizer)


def open_reader(folder: Path) -> Reader:
    """ConfigError if the model answers no questions, or has no separate layers."""
    opened = open_model(folder)
    if isinstance(opened, OpenedCascade) or not isinstance(opened.model, Encoder):
        raise ConfigError(f"{folder}: only a transformer can read passages before", hint="promote one for questions")
    net: Any = opened.model.net
    if not hasattr(net, "qa_outputs"):
        raise ConfigError(f"{folder}: this model classifies texts", hint="use a model for question answering")
    if not separate_layers(net):
        raise ConfigError(
            f"{folder}: all layers of this model read question and passage together, so nothing of a passage can be "
            "computed before its question",
            hint="train and promote a student with separate_layers",
        )
    data = reading_lengths(opened)
    data = replace(data, max_question_length=min(data.max_question_length, data.max_length // 2))
    return Reader(net, opened.tokenizer, data, digest_of(folder), opened.config.get(NULL_THRESHOLD))


def build(model: Path, file: Path, folder: Path, numbers: str = "fp16") -> dict[str, Any]:
    """Read the passages of `file` into `folder`; the index of the new cache, with CPU seconds."""
    reader, texts = open_reader(model), read_passages(file)
    windows = windows_of(texts, reader.tokenizer, reader.data)
    began = time.thread_time()
    index = write_cache(folder, texts, windows, reader.net, model=reader.digest, numbers=numbers, pad_id=reader.pad_id)
    return (
        index
        | {"folder": str(folder), "separate_layers": separate_layers(reader.net)}
        | {"cpu_seconds": round(time.thread_time() - began, 3)}
    )


def ask(model: Path, folder: Path, question: str, *, passage: int = 0, compare: bool = False) -> dict[str, Any]:
    """The best answer in the passages of a cache, or in one of them, counted from 1.

    The passage is the one in which the model is surest that there is an answer: null score minus span score. With
    `compare` the same windows are also read as a whole, and `largest_difference` of the logits is reported.
    """
    if not question.strip():
        raise ConfigError("the question is empty")
    reader = open_reader(model)
    cache = open_cache(folder, reader.digest)
    if not 0 <= passage <= len(cache.texts):
        raise ConfigError(f"passage {passage} is not in {folder}", hint=f"use 1 to {len(cache.texts)}, or none for all")
    number = passage - 1 if passage else None
    asked = Asked(reader, cache, question, number)
    logits = asked.from_cache()
    return _best(asked, logits) | _costs(asked, logits, compare=compare)


class Asked:
    """A question about some windows of a cache."""

    def __init__(self, reader: Reader, cache: PassageCache, question: str, passage: int | None) -> None:
        self.reader, self.cache, self.question = reader, cache, question.strip()
        ids = reader.tokenizer(self.question, add_special_tokens=False, verbose=False)["input_ids"]
        kept = ids[: reader.data.max_question_length]
        self.ids = [reader.tokenizer.cls_token_id, *kept, reader.tokenizer.sep_token_id]
        chosen = np.arange(len(cache.windows)) if passage is None else np.flatnonzero(cache.windows.passage == passage)
        self.rows = chosen
        self.features = _features(self.ids, cache.windows, chosen)

    def from_cache(self) -> NDArray[np.float32]:
        """(tokens, 2) logits of question and windows; of the lower layers only those of the question are computed."""
        windows, length = self.cache.windows, len(self.ids)
        lengths = np.diff(windows.offsets)[self.rows]
        flat = np.full((int(self.features.offsets[-1]), 2), MASKED, np.float32)
        ids = torch.tensor([self.ids])
        edges = pad_edges(lengths)
        with torch.inference_mode():
            states = segment_states(self.reader.net, ids, torch.ones_like(ids), FIRST)
            for batch in by_length(lengths, BATCH_TOKENS):
                columns = np.arange(int(edges[np.searchsorted(edges, lengths[batch].max())]))
                mask = columns < lengths[batch][:, None]
                places = np.where(mask, windows.offsets[self.rows[batch]][:, None] + columns, 0)
                stored = torch.from_numpy(np.asarray(self.cache.states[places], np.float32))
                both = torch.cat([states.expand(len(batch), -1, -1), stored], dim=1)
                seen = np.concatenate([np.ones((len(batch), length), bool), mask], axis=1)
                logits = joint_logits(self.reader.net, both, torch.from_numpy(seen.astype(np.int64))).numpy()
                for row, one, real in zip(batch, logits, seen, strict=True):
                    flat[self.features.offsets[row] : self.features.offsets[row + 1]] = one[real]
        return flat

    def whole(self) -> NDArray[np.float32]:
        """The same without the cache."""
        return predict(Encoder(self.reader.net), self.features, device=CPU, pad_id=self.reader.pad_id)


def _features(question: list[int], windows: Windows, rows: Array) -> Features:
    """Question and windows as inputs of the model, in memory."""
    length, starts, stops = len(question), windows.offsets[rows], windows.offsets[rows + 1]
    parts = [slice(int(start), int(stop)) for start, stop in zip(starts, stops, strict=True)]
    none = np.full((length, 2), -1, np.int32)
    kinds = [np.repeat([0, 1], [length, part.stop - part.start]) for part in parts]
    _, example = np.unique(windows.passage[rows], return_inverse=True)
    return Features(
        folder=Path(),
        input_ids=np.concatenate([np.append(question, windows.ids[part]) for part in parts]).astype(np.int64),
        token_types=np.concatenate(kinds).astype(np.uint8),
        offsets=np.cumsum([0, *(length + part.stop - part.start for part in parts)]).astype(np.int64),
        example_index=example.astype(np.int32),
        targets=np.zeros((len(parts), 2), np.int32),
        char_spans=np.concatenate([np.append(none, windows.char_spans[part], axis=0) for part in parts]),
    )


def _best(asked: Asked, logits: NDArray[np.float32]) -> dict[str, Any]:
    numbers = np.unique(asked.cache.windows.passage[asked.rows])
    rows = [QAExample(str(n), "", asked.question, asked.cache.texts[n], (), (), True) for n in numbers]
    data = asked.reader.data
    odds, texts, _ = answer_spans(Examples(QUESTION_ANSWERING, rows), asked.features, logits, data)
    best, threshold = int(odds.argmin()), asked.reader.null_threshold
    scores = best_spans(asked.features, logits, data)[0]
    score = float(scores[asked.features.example_index == best].max())
    if not np.isfinite(score):
        raise ConfigError("the passages contain no tokens that the model can read")
    abstained = threshold is not None and float(odds[best]) > threshold
    found = {"answer": "" if abstained else texts[best], "abstained": abstained, "best_span": texts[best]}
    found |= {"passage": int(numbers[best]) + 1, "score": round(score, 4)}
    found |= {"null_score": round(score + float(odds[best]), 4)}
    return found | ({} if threshold is None else {NULL_THRESHOLD: threshold})


def _costs(asked: Asked, logits: NDArray[np.float32], *, compare: bool) -> dict[str, Any]:
    """CPU time of the passes in ms; interleaved where two ways are compared, because the load of a machine changes."""
    ways: dict[str, Callable[[], Array]] = {"latency_cached_ms": asked.from_cache}
    extra: dict[str, Any] = {"windows": len(asked.rows)}
    if compare:
        ways["latency_cpu_ms"] = asked.whole
        extra["largest_difference"] = float(np.abs(asked.whole() - logits).max())
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPEATS if compare else 1):
        for name, way in ways.items():
            began = time.thread_time()
            way()
            times[name].append(1000 * (time.thread_time() - began))
    return {name: round(median(one), 3) for name, one in times.items()} | extra


def reply(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a request asks for."""
    if order := request.get("build"):
        return build(Path(order["model"]), Path(order["file"]), Path(order["folder"]), order["numbers"])
    order = request["ask"]
    return ask(
        Path(order["model"]),
        Path(order["folder"]),
        order["question"],
        passage=order.get("passage", 0),
        compare=order.get("compare", False),
    )


def main() -> int:
    """Exit code 0 on success, 1 with one line on stderr."""
    torch.set_num_threads(1)
    try:
        found = reply(json.load(sys.stdin))
    except (BertDistillError, ValueError, KeyError, OSError) as error:
        hint = getattr(error, "hint", "")
        print(f"{error}{f' ({hint})' if hint else ''}", file=sys.stderr)  # noqa: T201 - a program's stderr
        return 1
    print(json.dumps(found, ensure_ascii=False))  # noqa: T201 - a program's stdout
    return 0


if __name__ == "__main__":
    sys.exit(main())
