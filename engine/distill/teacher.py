"""The teacher's tokenizer, and the teacher itself, used as it is or trained once for all studies that share it.

No students are built here, and trials never run the teacher.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Units
from bertdistill.engine.contract.folder import RunPaths
from bertdistill.engine.contract.spec import SCRATCH, FineTuneSpec, Settings, TeacherSpec
from bertdistill.engine.distill.data.batches import padded_length
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.examples import Examples, digest, texts_of
from bertdistill.engine.distill.data.features import Features, Progress, padding_id, tokenizer_sha256
from bertdistill.engine.distill.data.units import frequent_ids
from bertdistill.engine.distill.data.vocabulary import train_wordpiece
from bertdistill.engine.distill.data.words import word_tokenizer
from bertdistill.engine.distill.families.checks import check_vocabulary_size, class_order
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.transformer import load_encoder, new_encoder, read_any_shape
from bertdistill.engine.distill.families.vectors import load_vectors, save_vectors
from bertdistill.engine.distill.run import Run, to_device
from bertdistill.engine.distill.training import checkpoints
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.precision import choose_precision, width_of
from bertdistill.engine.distill.training.train import Job, train
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.folders import read_config
from bertdistill.engine.tasks.table import TASKS

ELSEWHERE = ("outputs", "weight", "ensemble")
"""Keys of `[teacher]` that say nothing about its training."""


def open_tokenizer(run: Run, train_examples: Examples, folder: str, named: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, which messages call `named`; from scratch, a WordPiece vocabulary of the data."""
    spec = run.spec.teacher
    if folder != SCRATCH:
        try:
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
            raise ConfigError(
                f"{named}: its tokenizer cannot be loaded: {error}",
                hint="add its tokenizer.json, the form of fast tokenizers",
            ) from error
        if not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
            # transformers creates an empty one if the files are missing; every word would be unknown.
            raise ConfigError(
                f"{named} has no tokenizer files: its vocabulary is empty",
                hint="copy the model's vocab.txt or tokenizer.json into its folder",
            )
        check_vocabulary_size(tokenizer, read_any_shape(folder).vocab_size, named)
        return tokenizer
    target = run.caches / "tokenizers" / cache_key(data=digest(train_examples), size=spec.vocab_size)
    return train_wordpiece(texts_of(train_examples), spec.vocab_size, target, run.warn)


def fine_tuned(
    run: Run, folder: str, tokenizer: PreTrainedTokenizerBase, train_features: Features, evaluator: Evaluator
) -> Path:
    """The folder of this study's teacher, trained now unless an identical one was trained before.

    An interrupted training is resumed from its checkpoint by the next attempt or study that needs it.
    """
    spec = run.spec.teacher
    if spec.fine_tune is None:
        check_classes(run, folder, evaluator.examples, f"teacher.model = {spec.model!r}")
        return Path(folder)
    weights = "" if folder == SCRATCH else checkpoints.model_sha256(Path(folder))
    first = TASKS[evaluator.examples.task].scores[0]
    key = cache_key(
        teacher={key: value for key, value in dataclasses.asdict(spec).items() if key not in ELSEWHERE}
        | {"model": "", "revision": "", "batch_size": 0},
        model=weights,
        features=train_features.folder.name,
        **({} if evaluator.select == first else {"select": evaluator.select}),  # keeps the keys of older versions
    )
    target = run.caches / "teachers" / key

    def build(temporary: Path) -> None:
        work = RunPaths(_training(target))
        work.folder.mkdir(mode=0o700, exist_ok=True)
        model = Encoder(_untrained(spec, folder, tokenizer, evaluator))
        best = _train(run, work, model, spec.fine_tune, train_features, evaluator, tokenizer)
        load_model(best).save(temporary, tokenizer)

    build_once(target, build, run.warn, run.waiting("teacher"))
    shutil.rmtree(_training(target), ignore_errors=True)  # weights and optimiser: four times the teacher
    return target


def check_classes(run: Run, folder: str, examples: Examples, named: str) -> None:
    """For a teacher that is used as is: the label of each of its classes must be known, not guessed."""
    if not examples.labels:
        return
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
    precision = choose_precision("auto", run, width_of(model.net))
    to_device(model.net, run.device)
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


def teacher_vectors(run: Run, name: str, units: Units, tokenizer: PreTrainedTokenizerBase, teacher: str) -> Units:
    """The units with the teacher's embeddings that trials may start from; none without a teacher model."""
    folders: dict[str, str] = {}
    if not teacher or name not in ("", *run.spec.units):
        return units
    for kind, most in run.spec.vectors.items():
        ids = frequent_ids(Path(units.frequent))[:most].tolist()
        key = cache_key(
            model=checkpoints.model_sha256(Path(teacher)),
            tokenizer=tokenizer_sha256(tokenizer),
            kind=kind,
            units=Path(units.frequent).name,
            most=len(ids),
        )
        report = run.progress("the teacher's embeddings", "units")

        def build(temporary: Path, kind: str = kind, ids: list[int] = ids, report: Progress = report) -> None:
            pieces = [[one] for one in ids]
            if name:
                words = word_tokenizer((), Path(units.tokenizer)).convert_ids_to_tokens(ids)
                pieces = tokenizer(words, add_special_tokens=False)["input_ids"]
            around = tokenizer("")["input_ids"]
            save_vectors(temporary, kind, teacher, pieces, around, report)

        folders[kind] = str(build_once(run.caches / "vectors" / key, build, run.warn))
    size = load_vectors(Path(next(iter(folders.values())))).shape[1] if folders else 0
    return dataclasses.replace(units, vectors=folders, vector_size=size)
