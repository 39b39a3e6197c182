"""The teacher: resolved or trained, scored on the validation split, and its outputs written once for all trials.

No students are built here, and trials never run the teacher.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import SCRATCH, FineTuneSpec, Settings, TeacherSpec
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.batches import padded_length
from bertdistill.engine.distill.data.caches import build_once, cache_key, write_array
from bertdistill.engine.distill.data.examples import Examples, digest, texts_of
from bertdistill.engine.distill.data.features import Features, padding_id
from bertdistill.engine.distill.data.signals import signal_file
from bertdistill.engine.distill.data.vocabulary import train_wordpiece
from bertdistill.engine.distill.families.checks import check_vocabulary_size, class_order
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.transformer import load_encoder, new_encoder, read_shape
from bertdistill.engine.distill.run import Run, place
from bertdistill.engine.distill.training import checkpoints
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.train import Job, choose_precision, predict, train
from bertdistill.engine.families.folders import read_config
from bertdistill.engine.families.transformer import bert_shape
from bertdistill.engine.tasks.table import TASKS

PART = 4096
"""Texts of the transfer set that are labelled and written at once."""
FLIP_SAMPLE = 256
"""Training texts on which two precisions are compared."""


def open_tokenizer(run: Run, train_examples: Examples, teacher_folder: str) -> PreTrainedTokenizerBase:
    """The teacher's tokenizer; from scratch, a WordPiece vocabulary of the training texts."""
    spec = run.spec.teacher
    if teacher_folder != SCRATCH:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(teacher_folder, trust_remote_code=False)
        if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
            # transformers creates an empty one if the files are missing; every word would be unknown.
            raise ConfigError(
                f"teacher.model = {spec.model!r} has no tokenizer files: its vocabulary is empty",
                hint="copy the model's vocab.txt or tokenizer.json into its folder",
            )
        check_vocabulary_size(tokenizer, read_shape(teacher_folder).vocab_size, f"teacher.model = {spec.model!r}")
        return tokenizer
    folder = run.caches / "tokenizers" / cache_key(data=digest(train_examples), size=spec.vocab_size)
    return train_wordpiece(texts_of(train_examples), spec.vocab_size, folder, run.warn)


def fine_tuned(
    run: Run, folder: str, tokenizer: PreTrainedTokenizerBase, train_features: Features, evaluator: Evaluator
) -> Path:
    """The folder of this study's teacher, trained now unless an identical one was trained before.

    An interrupted training is resumed from its checkpoint by the next attempt or study that needs it.
    """
    spec = run.spec.teacher
    if spec.fine_tune is None:
        _check_classes(run, folder, evaluator.examples)
        return Path(folder)
    weights = "" if folder == SCRATCH else checkpoints.model_sha256(Path(folder))
    key = cache_key(
        teacher=dataclasses.asdict(spec) | {"model": "", "revision": "", "batch_size": 0},
        model=weights,
        features=train_features.folder.name,
    )
    target = run.caches / "teachers" / key

    def build(temporary: Path) -> None:
        work = RunPaths(_training(target))
        work.folder.mkdir(mode=0o700, exist_ok=True)
        model = Encoder(_untrained(spec, folder, tokenizer, evaluator))
        best = _train(run, work, model, spec.fine_tune, train_features, evaluator, tokenizer)
        load_model(best).save(temporary, tokenizer)

    build_once(target, build, run.warn)
    shutil.rmtree(_training(target), ignore_errors=True)  # weights and optimiser: four times the teacher
    return target


def _check_classes(run: Run, folder: str, examples: Examples) -> None:
    """For a teacher that is used as is: the label of each of its classes must be known, not guessed."""
    if not examples.labels:
        return
    named = f"teacher.model = {run.spec.teacher.model!r}"
    config = read_config(Path(folder), named)
    if warning := class_order(config, examples.labels, given=examples.order_given, named=named):
        run.warn(warning)


def _training(target: Path) -> Path:
    """Where a teacher is trained, so that an interrupted training can be resumed."""
    return target.with_name(f"{target.name}.training")


def _untrained(
    spec: TeacherSpec, folder: str, tokenizer: PreTrainedTokenizerBase, evaluator: Evaluator
) -> PreTrainedModel:
    assert spec.fine_tune is not None
    task, labels, tune = evaluator.examples.task, evaluator.examples.labels, spec.fine_tune
    if folder != SCRATCH:
        return load_encoder(folder, task, labels, dropout=tune.dropout, seed=tune.seed)
    shape = bert_shape(
        vocab_size=spec.vocab_size,
        positions=max(512, padded_length(evaluator.data.max_length)),
        hidden_size=spec.hidden_size,
        ffn_size=spec.ffn_size,
        layers=spec.layers,
        head_size=spec.head_size,
        pad_id=padding_id(tokenizer),
    )
    return new_encoder(
        shape, task=task, labels=labels, seed=tune.seed, initializer_range=spec.initializer_range, dropout=tune.dropout
    )


def as_settings(tune: FineTuneSpec) -> Settings:
    """The fine-tuning as settings of the common training loop: the hard loss only."""
    return Settings(
        alpha=0.0,
        epochs=tune.epochs,
        learning_rate=tune.learning_rate,
        batch_size=tune.batch_size,
        warmup_fraction=tune.warmup_fraction,
        weight_decay=tune.weight_decay,
        max_grad_norm=tune.max_grad_norm,
        seed=tune.seed,
        evaluations=max(1, min(4, round(tune.epochs))),
    )


def _train(
    run: Run,
    work: RunPaths,
    model: Encoder,
    tune: FineTuneSpec | None,
    features: Features,
    evaluator: Evaluator,
    tokenizer: PreTrainedTokenizerBase,
) -> Path:
    assert tune is not None
    settings = as_settings(tune)
    precision = choose_precision("auto", run.device)
    place(model.net, run.device)
    run.progress("teacher training", "examples")
    position = train(
        Job(
            model=model,
            features=features_for(model, features),
            settings=settings,
            paths=work,
            events=run.events,
            stop=run.stop,
            device=run.device,
            precision=precision,
            pad_id=padding_id(tokenizer),
            evaluate=lambda: evaluator.evaluate(model, run, precision),
            resume_from=checkpoints.resumable(work.last.resolve(), run.notice) if work.last.exists() else None,
            phase="teacher",
        )
    )
    return Path(position.best_folder)


def teacher_outputs(
    run: Run, teacher: Path, features: Features, tokenizer: PreTrainedTokenizerBase, evaluator: Evaluator
) -> tuple[Path, dict[str, float]]:
    """The cache folder of the teacher's outputs over `features`, and its scores on the validation split.

    The cache key covers the teacher's files and the features, i.e. data, labels, tokenizer and lengths. Outputs are
    fp16 and exclude padding: 203 MB for all of SQuAD 2.0.
    """
    labeller = Labeller.of(run, teacher, tokenizer, evaluator)

    def build(temporary: Path) -> None:
        outputs = labeller.logits(features, run.progress("teacher outputs", "windows"))
        np.save(signal_file(temporary, LOGITS), outputs.astype(np.float16))
        labeller.report_flips(features)

    folder = build_once(labeller.folder(features), build, run.warn)
    scores = evaluator.evaluate(labeller.model, run, labeller.precision).metrics
    return folder, {name: scores[name] for name in (*TASKS[run.spec.task].scores, "search_loss") if name in scores}


def transfer_outputs(
    run: Run,
    teacher: Path,
    every: Features,
    labelled: int,
    outputs: Path,
    tokenizer: PreTrainedTokenizerBase,
    evaluator: Evaluator,
) -> Path:
    """The cache folder of the teacher's outputs over `every`: the first `labelled` inputs and the transfer set.

    The former are copied from the folder `outputs`. An interrupted labelling continues behind its last whole part.
    """
    labeller = Labeller.of(run, teacher, tokenizer, evaluator)
    target = labeller.folder(every)
    parts = target.with_name(f"{target.name}.parts")

    def build(temporary: Path) -> None:
        parts.mkdir(mode=0o700, exist_ok=True)
        report = run.progress("labelling the transfer set", "texts")
        done = [np.load(signal_file(outputs, LOGITS), mmap_mode="r")]
        for start in range(labelled, len(every), PART):
            stop = min(start + PART, len(every))
            path = parts / f"{start:09d}.npy"
            if not path.exists():
                write_array(path, labeller.logits(every.part(start, stop)).astype(np.float16))
            done.append(np.load(path))
            report(stop - labelled, len(every) - labelled)
        np.save(signal_file(temporary, LOGITS), np.concatenate(done))

    build_once(target, build, run.warn)
    shutil.rmtree(parts, ignore_errors=True)
    return target


@dataclass(frozen=True)
class Labeller:
    """A teacher that is ready to label texts."""

    run: Run
    model: Encoder
    sha256: str
    pad_id: int
    precision: torch.dtype

    @staticmethod
    def of(run: Run, teacher: Path, tokenizer: PreTrainedTokenizerBase, evaluator: Evaluator) -> Labeller:
        model = Encoder(load_encoder(teacher, run.spec.task, evaluator.examples.labels, need_head=True))
        place(model.net, run.device)
        sha256 = checkpoints.model_sha256(teacher)
        return Labeller(run, model, sha256, padding_id(tokenizer), choose_precision("auto", run.device))

    def folder(self, features: Features) -> Path:
        """Where its outputs over `features` are cached."""
        return self.run.caches / "outputs" / cache_key(model=self.sha256, features=features.folder.name)

    def logits(
        self,
        features: Features,
        progress: Callable[[int, int], None] | None = None,
        precision: torch.dtype | None = None,
    ) -> npt.NDArray[np.float32]:
        """Its outputs, as those of `predict`."""
        return predict(
            self.model,
            features_for(self.model, features),
            device=self.run.device,
            precision=precision or self.precision,
            pad_id=self.pad_id,
            batch_tokens=self.run.spec.teacher.batch_size * self.run.spec.data.max_length,
            stop=self.run.stop,
            progress=progress,
        )

    def report_flips(self, features: Features) -> None:
        """In less than fp32: how many predictions of a sample differ from those in fp32."""
        if self.precision == torch.float32 or features.targets.ndim == 2:
            return
        sample = features.part(0, min(FLIP_SAMPLE, len(features)))
        used, exact = (self.logits(sample, precision=one).argmax(axis=1) for one in (self.precision, torch.float32))
        name = str(self.precision).removeprefix("torch.")
        flipped, total = int((used != exact).sum()), len(sample)
        self.run.notice("info", f"the teacher labels in {name}: {flipped} of {total} predictions differ from fp32")
