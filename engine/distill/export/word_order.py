"""Measure the word order sensitivity of a classifier on the validation split of a study.

As a program, `python -P -m bertdistill.engine.distill.export.word_order SPEC.json`, it reads one JSON request from
stdin, `{"folder", "teacher", "outputs", "shuffling", "by_example"}`, and prints the result as JSON. `outputs` is a file
of logits that the model has given the split, which saves a pass. It changes nothing on disk.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import open_regular
from bertdistill.engine.distill.data.examples import Examples, TextExample
from bertdistill.engine.distill.data.features import Features, build_features, padding_id
from bertdistill.engine.distill.data.split_file import search_examples
from bertdistill.engine.distill.export.scoring import open_tokenizer
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import Model, Servable
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.distill.training.evaluate import features_for
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.tasks import word_order
from bertdistill.engine.tasks.word_order import CUT, WRONG, Shuffling, WordOrder
from bertdistill.store.errors import BertDistillError

CPU = torch.device("cpu")

Classes = npt.NDArray[np.int64]


@dataclass
class Reader:
    """A model and its tokenizer; `cpu_seconds` counts its passes, which run in fp32 on the CPU."""

    model: Servable
    tokenizer: Any
    spec: AttemptSpec
    cpu_seconds: float = 0.0

    def tokenised(self, examples: Examples) -> Features:
        with tempfile.TemporaryDirectory() as scratch:
            return build_features(
                examples,
                self.tokenizer,
                self.spec.data,
                folder=Path(scratch) / "features",
                progress=lambda done, total: None,
            )

    def classes(self, features: Features) -> Classes:
        """The class given to each text."""
        began = time.process_time()
        fitting = features_for(self.model, features)
        found: Classes = predict(self.model, fitting, device=CPU, pad_id=padding_id(self.tokenizer)).argmax(axis=1)
        self.cpu_seconds += time.process_time() - began
        return found


def measure(
    spec: AttemptSpec, model: Servable, tokenizer: Any, shuffling: Shuffling, known: Classes | None = None
) -> WordOrder:
    """The word order sensitivity of a model that reads the tokens of this tokenizer.

    `known` are the classes that it has given the validation split, in any precision. Raises ConfigError if fewer than
    two classes have an example that is classified correctly and can be shuffled.
    """
    examples, reader = search_examples(spec), Reader(model, tokenizer, spec)
    features = reader.tokenised(examples)
    chosen = reader.classes(features) if known is None else known
    reasons = _reasons(examples, features.lengths < spec.data.max_length, chosen, shuffling.ngram)
    labels, draw = [row.label for row in examples.rows], random.Random(shuffling.seed)
    usable = [index for index, reason in enumerate(reasons) if not reason]
    kept = [examples.rows[i] for i in word_order.balanced(labels, usable, shuffling.examples, draw)]
    counts = Counter(examples.labels[row.label] for row in kept)
    if len(counts) < 2:
        raise ConfigError(
            f"only examples of {', '.join(counts) or 'no class'} are classified correctly and can be shuffled "
            f"({_counted(reasons)}), but two classes are needed",
            hint="use a better model, a longer validation split, or shorter n-grams",
        )
    shares = _still_right(reader, replace(examples, rows=kept), shuffling, draw)
    return word_order.measured(
        shares,
        classes=examples.labels,
        kept=counts,
        shuffling=shuffling,
        left_out=dict(Counter(reason for reason in reasons if reason)),
        cpu_seconds=reader.cpu_seconds,
    )


def hard(spec: AttemptSpec, model: Servable, tokenizer: Any, shuffling: Shuffling, known: Classes) -> list[bool]:
    """For each validation example whether the class in `known` is lost when its words are shuffled once.

    What cannot be shuffled, because it is short or the same in any order, is not hard.
    """
    examples, reader, draw = search_examples(spec), Reader(model, tokenizer, spec), random.Random(shuffling.seed)
    rows = [
        row if word_order.left_out(row.text, shuffling.ngram) else _shuffled(row, shuffling, draw)
        for row in examples.rows
    ]
    moved = np.array([row is not old for row, old in zip(rows, examples.rows, strict=True)])
    chosen = reader.classes(reader.tokenised(replace(examples, rows=rows)))
    return [bool(one) for one in moved & (chosen != known)]


def _reasons(examples: Examples, whole: Iterable[Any], chosen: Iterable[Any], ngram: int) -> list[str]:
    """Why each example is left out, else ""."""
    return [
        WRONG if label != row.label else word_order.left_out(row.text, ngram) or ("" if entire else CUT)
        for row, entire, label in zip(examples.rows, whole, chosen, strict=True)
    ]


def _counted(reasons: Sequence[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in Counter(filter(None, reasons)).items())


def _still_right(reader: Reader, kept: Examples, shuffling: Shuffling, draw: random.Random) -> list[float]:
    """Percent of the examples still right after each shuffle, of those that are right in this arithmetic as well."""
    shuffles = [[_shuffled(row, shuffling, draw) for row in kept.rows] for _ in range(shuffling.shuffles)]
    rows = [row for part in (kept.rows, *shuffles) for row in part]
    chosen = reader.classes(reader.tokenised(replace(kept, rows=rows)))
    right = (chosen == np.array([row.label for row in rows])).reshape(-1, len(kept))
    return [100 * float(share) for share in right[1:, right[0]].mean(axis=1)]


def _shuffled(row: TextExample, shuffling: Shuffling, draw: random.Random) -> TextExample:
    """Of a pair, only the first sentence is shuffled."""
    return replace(row, text=word_order.shuffled(row.text, shuffling.ngram, draw))


def _known(path: str, spec: AttemptSpec) -> Classes | None:
    """The classes of stored logits; None if there are none of this split."""
    if not path or not Path(path).is_file():
        return None
    with open(open_regular(Path(path)), "rb") as file:  # noqa: PTH123 - a descriptor
        logits = np.lib.format.read_array(file, allow_pickle=False)
    wanted = (spec.prepared.search_examples, len(spec.prepared.labels))
    return logits.argmax(axis=1) if logits.shape == wanted else None


def _model(spec: AttemptSpec, folder: Path, *, teacher: bool) -> Model:
    if teacher:
        return Encoder(load_encoder(folder, spec.task, spec.prepared.labels, dropout=0.0, need_head=True))
    return load_model(folder)


def _answer(spec: AttemptSpec, request: Any) -> dict[str, Any]:
    model = _model(spec, Path(request["folder"]), teacher=bool(request["teacher"]))
    tokenizer = open_tokenizer(spec, model)
    shuffling, known = Shuffling(**request["shuffling"]), _known(request.get("outputs", ""), spec)
    if not request.get("by_example"):
        return measure(spec, model, tokenizer, shuffling, known).to_dict()
    if known is None:
        reader = Reader(model, tokenizer, spec)
        known = reader.classes(reader.tokenised(search_examples(spec)))
    return {"hard": hard(spec, model, tokenizer, shuffling, known)}


def main(arguments: list[str]) -> int:
    """Print the result. Exit code 0 on success, 1 with one line on stderr, 2 on wrong usage."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -P -m bertdistill.engine.distill.export.word_order SPEC.json < REQUEST.json\n")
        return 2
    torch.set_num_threads(1)
    results = sys.stdout
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout holds only the result
            found = _answer(AttemptSpec.read(Path(arguments[0])), json.load(sys.stdin))
    except (BertDistillError, OSError, ValueError) as error:
        hint = getattr(error, "hint", "")
        sys.stderr.write(" ".join(f"{error}{f' ({hint})' if hint else ''}".split()) + "\n")
        return 1
    results.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
