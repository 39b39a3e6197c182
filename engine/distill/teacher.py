"""The teacher: resolved or trained, scored on the validation split, and its outputs written once for all trials.

No students are built here, and trials never run the teacher.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import SCRATCH, FineTuneSpec, Settings, TeacherSpec
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.batches import padded_length
from bertdistill.engine.distill.data.caches import build_once, cache_key
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
from bertdistill.engine.families.folders import check_folder, read_config
from bertdistill.engine.families.transformer import bert_shape
from bertdistill.engine.tasks.table import TASKS


def resolve(model_id: str, revision: str, key: str) -> str:
    """A local folder for a Hub id or folder, so that trials never contact the Hub. `key` is a key of the study file."""
    if model_id == SCRATCH:
        return model_id
    if Path(model_id).is_dir():
        check_folder(Path(model_id), f"{key} = {model_id!r}")
        return model_id
    try:
        folder = snapshot_download(
            model_id, revision=revision or None, allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"]
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ConfigError(
            f"{key} = {model_id!r} is not a local folder and cannot be downloaded from the Hub: {error}",
            hint="give the path of a local folder, or check the id and the network",
        ) from error
    if not any(Path(folder).glob("*.safetensors")):
        raise ConfigError(
            f"{key} = {model_id!r} has no model.safetensors; other weight files can run code and are not read",
            hint=f'set {key.split(".")[0]}.revision = "refs/pr/1" if the Hub has a converted copy, or convert it',
        )
    check_folder(Path(folder), f"{key} = {model_id!r}")
    return folder


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
    key = cache_key(model=checkpoints.model_sha256(teacher), features=features.folder.name)
    folder = run.caches / "outputs" / key
    model = Encoder(load_encoder(teacher, run.spec.task, evaluator.examples.labels, need_head=True))
    place(model.net, run.device)
    precision = choose_precision("auto", run.device)

    def build(temporary: Path) -> None:
        outputs = predict(
            model,
            features_for(model, features),
            device=run.device,
            precision=precision,
            pad_id=padding_id(tokenizer),
            batch_tokens=run.spec.teacher.batch_size * run.spec.data.max_length,
            stop=run.stop,
            progress=run.progress("teacher outputs", "windows"),
        )
        np.save(signal_file(temporary, LOGITS), outputs.astype(np.float16))

    build_once(folder, build, run.warn)
    scores = evaluator.evaluate(model, run, precision).metrics
    return folder, {name: scores[name] for name in (*TASKS[run.spec.task].scores, "search_loss") if name in scores}
