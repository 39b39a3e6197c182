"""What labels texts for the students: a model, a file, or several of them averaged; and the cache of its outputs.

It trains nothing. `teacher` trains the model, `data.outputs_file` reads the file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerBase

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import CLASS_LOGITS
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.caches import build_once, cache_key, write_array
from bertdistill.engine.distill.data.examples import Examples
from bertdistill.engine.distill.data.features import Features, padding_id, tokenizer_sha256
from bertdistill.engine.distill.data.outputs_file import OutputsFile
from bertdistill.engine.distill.data.signals import signal_file
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.distill.run import Run, to_device
from bertdistill.engine.distill.splits import tokenised
from bertdistill.engine.distill.training.checkpoints import model_sha256
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.precision import choose_precision, width_of
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.tasks.table import TASKS

PART = 4096
"""Texts of the transfer set that are labelled and written at once."""
FLIP_SAMPLE = 256
"""Texts on which two precisions are compared."""
MOST_FLIPPED = 0.01
"""Share of the predictions of that sample that a faster arithmetic may change."""

Floats = npt.NDArray[np.float32]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Texts:
    """Examples, and their features in the tokens of `teacher.model`. `part` is train or search."""

    examples: Examples
    features: Features
    part: str


class Labels(Protocol):
    """A teacher that is ready to label texts."""

    @property
    def sha256(self) -> str:
        """Of everything that determines its outputs."""
        ...

    def missing(self, texts: Texts) -> str:
        """Why it cannot label these texts, "" if it can."""
        ...

    def logits(self, texts: Texts, start: int, stop: int, progress: Progress | None = None) -> Floats:
        """Outputs of the features from `start` to `stop`, as those of `predict`."""
        ...


@dataclass(frozen=True)
class ModelLabels:
    """A model with a head for the task."""

    run: Run
    folder: Path
    tokenizer: PreTrainedTokenizerBase
    labels: Sequence[str]
    own_tokens: bool = False
    """Whether it reads the tokens of `tokenizer`, and not the features of `Texts`."""
    _read: dict[str, Features] = field(default_factory=dict, compare=False)
    _settled: list[torch.dtype] = field(default_factory=list, compare=False)

    @cached_property
    def sha256(self) -> str:
        weights = model_sha256(self.folder)
        return cache_key(model=weights, tokenizer=tokenizer_sha256(self.tokenizer)) if self.own_tokens else weights

    @cached_property
    def model(self) -> Encoder:
        model = Encoder(load_encoder(self.folder, self.run.spec.task, self.labels, need_head=True))
        to_device(model.net, self.run.device)
        return model

    def missing(self, texts: Texts) -> str:
        return ""

    def logits(
        self,
        texts: Texts,
        start: int,
        stop: int,
        progress: Progress | None = None,
        precision: torch.dtype | None = None,
    ) -> Floats:
        features = self.features(texts)
        try:
            return predict(
                self.model,
                features_for(self.model, features.part(start, stop)),
                device=self.run.device,
                precision=precision or self.precision(texts),
                pad_id=padding_id(self.tokenizer),
                batch_tokens=self.run.spec.teacher.batch_size * self.run.spec.data.max_length,
                stop=self.run.stop,
                progress=progress,
            )
        except IndexError as error:  # torch's for a position without an embedding
            raise ConfigError(
                f"{self.folder}: the model cannot read a text of {int(features.lengths.max())} tokens: {error}",
                hint="lower data.max_length",
            ) from error

    def features(self, texts: Texts) -> Features:
        """The texts in its tokens."""
        if not self.own_tokens:
            return texts.features
        name = texts.features.folder.name
        if name not in self._read:  # once for all parts of a transfer set
            self._read[name] = tokenised(self.run, texts.examples, self.tokenizer, texts.part)
        return self._read[name]

    def precision(self, texts: Texts) -> torch.dtype:
        """The fastest arithmetic that changes at most MOST_FLIPPED of the predictions, else fp32.

        Settled once, on a sample of the texts that are labelled first.
        """
        if not self._settled:
            self._settled.append(self._least_flips(choose_precision("auto", self.run, width_of(self.model.net)), texts))
        return self._settled[0]

    def _least_flips(self, fast: torch.dtype, texts: Texts) -> torch.dtype:
        if fast == torch.float32 or TASKS[self.run.spec.task].spans:
            return fast
        total = min(FLIP_SAMPLE, len(texts.features))
        quick, exact = (self.logits(texts, 0, total, precision=one).argmax(axis=1) for one in (fast, torch.float32))
        flipped = int((quick != exact).sum())
        few, name = flipped <= MOST_FLIPPED * total, str(fast).removeprefix("torch.")
        counted = f"{flipped} of {total} predictions differ from fp32"
        words = f"{name}: {counted}" if few else f"float32: in {name}, {counted}"
        self.run.notice("info", f"the teacher labels in {words}")
        return fast if few else torch.float32


@dataclass(frozen=True)
class FileLabels:
    """A file with outputs; see `data.outputs_file`."""

    file: OutputsFile

    @property
    def sha256(self) -> str:
        return self.file.sha256

    def missing(self, texts: Texts) -> str:
        return self.file.missing(texts.examples)

    def logits(self, texts: Texts, start: int, stop: int, progress: Progress | None = None) -> Floats:
        return self.file.logits(texts.examples.rows[start:stop])


@dataclass(frozen=True)
class MeanLabels:
    """The weighted mean of the probabilities of several teachers; its logarithm stands for logits."""

    members: Sequence[tuple[float, Labels]]

    @property
    def sha256(self) -> str:
        return cache_key(members=[[weight, one.sha256] for weight, one in self.members])

    def missing(self, texts: Texts) -> str:
        return next(filter(None, (one.missing(texts) for _, one in self.members)), "")

    def logits(self, texts: Texts, start: int, stop: int, progress: Progress | None = None) -> Floats:
        weights = np.array([weight for weight, _ in self.members])
        each = np.stack([log_softmax(one.logits(texts, start, stop, progress)) for _, one in self.members])
        mean: Floats = np.logaddexp.reduce(each + np.log(weights / weights.sum())[:, None, None], axis=0)
        return mean.astype(np.float32)


def log_softmax(logits: Any) -> npt.NDArray[np.float64]:
    """Row by row, in fp64."""
    found: npt.NDArray[np.float64] = logits.astype(np.float64)
    return found - np.logaddexp.reduce(found, axis=1, keepdims=True)


# -------------------------------------------------------------------------------------------------------------- caches


def outputs_folder(run: Run, labels: Labels, features: Features) -> Path:
    """Where outputs are cached. The key covers data, labels, tokenizer and lengths."""
    return run.caches / "outputs" / cache_key(model=labels.sha256, features=features.folder.name)


def teacher_outputs(run: Run, labels: Labels, texts: Texts) -> Path:
    """The cache folder of the teacher's outputs, of which it has some for every text.

    They are fp16 and exclude padding: 203 MB for all of SQuAD 2.0.
    """

    def build(temporary: Path) -> None:
        outputs = labels.logits(texts, 0, len(texts.features), run.progress("teacher outputs", "windows"))
        np.save(signal_file(temporary, LOGITS), outputs.astype(np.float16))

    return build_once(outputs_folder(run, labels, texts.features), build, run.warn, run.waiting("teacher outputs"))


def transfer_outputs(run: Run, labels: Labels, texts: Texts, labelled: int, outputs: Path) -> Path:
    """The cache folder of the teacher's outputs over the first `labelled` inputs and the transfer set behind them.

    The former are copied from the folder `outputs`. An interrupted labelling continues behind its last whole part.
    """
    target = outputs_folder(run, labels, texts.features)
    parts, end = target.with_name(f"{target.name}.parts"), len(texts.features)

    def build(temporary: Path) -> None:
        parts.mkdir(mode=0o700, exist_ok=True)
        report = run.progress("labelling the transfer set", "texts")
        done = [np.load(signal_file(outputs, LOGITS), mmap_mode="r")]
        for start in range(labelled, end, PART):
            stop = min(start + PART, end)
            path = parts / f"{start:09d}.npy"
            if not path.exists():
                write_array(path, labels.logits(texts, start, stop).astype(np.float16))
            done.append(np.load(path))
            report(stop - labelled, end - labelled)
        np.save(signal_file(temporary, LOGITS), np.concatenate(done))

    build_once(target, build, run.warn, run.waiting("teacher outputs"))
    shutil.rmtree(parts, ignore_errors=True)
    return target


def teacher_scores(run: Run, labels: Labels, texts: Texts, evaluator: Evaluator) -> tuple[str, dict[str, float]]:
    """The cache folder of the teacher's outputs over the validation split, in fp32, and its scores there.

    Both are empty, with a notice, if its file does not cover the split.
    """
    if why := labels.missing(texts):
        run.notice("info", f"{why}; so the teacher's scores on the validation split are unknown")
        return "", {}

    def build(temporary: Path) -> None:
        outputs = labels.logits(texts, 0, len(texts.features), run.progress("evaluation", "windows"))
        np.save(temporary / CLASS_LOGITS, outputs.astype(np.float32))

    key = cache_key(model=labels.sha256, features=texts.features.folder.name, dtype="float32")
    folder = build_once(run.caches / "outputs" / key, build, run.warn, run.waiting("teacher outputs"))
    scores = evaluator.score(np.load(folder / CLASS_LOGITS)).metrics
    return str(folder), {name: scores[name] for name in (*TASKS[run.spec.task].scores, "search_loss") if name in scores}
