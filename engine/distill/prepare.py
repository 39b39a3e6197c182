"""The preparation of a study, done once before its trials: splits, tokens, the teacher and its outputs.

It trains no students and decides nothing about the search.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared, Units
from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.batches import MULTIPLE, Batch, by_length, collate, pad_edges, padded_length
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.chance import chance_scores, weak_teacher
from bertdistill.engine.distill.data.examples import Examples, check_report, cut, digest, load_examples, texts_of
from bertdistill.engine.distill.data.features import Features, build_features, feature_key, padding_id
from bertdistill.engine.distill.data.units import count_units
from bertdistill.engine.distill.data.words import word_tokenizer
from bertdistill.engine.distill.families.checks import check_vocabulary_size
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.importance import head_importance, save_importance
from bertdistill.engine.distill.families.resolve import resolve
from bertdistill.engine.distill.families.transformer import load_encoder, read_shape, same_vocabulary
from bertdistill.engine.distill.run import Run, place
from bertdistill.engine.distill.teacher import fine_tuned, open_tokenizer, teacher_outputs, transfer_outputs
from bertdistill.engine.distill.training.checkpoints import model_sha256
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.losses import losses_of
from bertdistill.engine.distill.training.terms.step import Step
from bertdistill.engine.distill.training.train import forward
from bertdistill.engine.distill.transfer.rows import with_transfer
from bertdistill.engine.tasks.table import TASKS

PHASE = "head importance"
IMPORTANCE_TOKENS = 4096
HARD_ONLY = Settings(alpha=0.0)
WORDS_VERSION = 1
"""Part of the cache key of word tokenizers: increment it when the same texts give other words."""


def prepare(run: Run) -> Prepared:
    """Build the caches and return the facts that the study stores."""
    spec = run.spec
    run.progress("reading data", "examples")
    train_examples, search = cut(load_examples(spec.data, spec.task, "train"), spec.data)
    # Otherwise problems would show only when the first model is promoted, days later.
    for notice in (*train_examples.notices, *check_report(spec.data, train_examples)):
        run.warn(notice)
    base = resolve(spec.teacher.model, spec.teacher.revision, "teacher.model")
    if base != SCRATCH:
        _check_length(run, base, f"teacher.model = {spec.teacher.model!r}")
    tokenizer = open_tokenizer(run, train_examples, base)
    pad_id = padding_id(tokenizer)
    train_features = _features(run, train_examples, tokenizer, "train")
    search_features = _features(run, search, tokenizer, "search")
    evaluator = Evaluator(
        examples=search,
        features=search_features,
        data=spec.data,
        select=TASKS[spec.task].scores[0],
        direction="maximize",
        pad_id=pad_id,
    )
    init = base if spec.student.init == "teacher" else resolve(spec.student.init, spec.student.revision, "student.init")
    if spec.student.init not in ("teacher", SCRATCH):
        _check_vocabulary(tokenizer, init)
        check_vocabulary_size(tokenizer, read_shape(init).vocab_size, f"student.init = {spec.student.init!r}")
        _check_length(run, init, f"student.init = {spec.student.init!r}")
    teacher = fine_tuned(run, base, tokenizer, train_features, evaluator)
    outputs, teacher_metrics = teacher_outputs(run, teacher, train_features, tokenizer, evaluator)
    all_examples, every = train_examples, train_features
    if spec.transfer:
        all_examples = with_transfer(run, train_examples, tokenizer)
        every = _features(run, all_examples, tokenizer, "train")
        outputs = transfer_outputs(run, teacher, every, len(train_features), outputs, tokenizer, evaluator)
    if weak := weak_teacher(teacher_metrics, search):
        run.warn(weak)
    if spec.student.init == "teacher":
        init = str(teacher)
    units, features = _units(run, (train_examples, all_examples, search), (tokenizer, str(teacher), every))
    teacher_shape = read_shape(teacher)
    scratch = spec.student.init == SCRATCH
    return Prepared(
        train_examples=len(train_examples.rows),
        search_examples=len(search.rows),
        train_features=len(train_features),
        transfer_features=len(every) - len(train_features),
        search_features=len(search_features),
        mean_length=float(np.mean(train_features.lengths)),
        search_digest=digest(search),
        labels=tuple(train_examples.labels),
        pad_id=pad_id,
        teacher_shape=teacher_shape.to_dict(),
        init_shape=(teacher_shape if scratch else read_shape(init)).to_dict(),
        teacher_metrics=teacher_metrics,
        teacher_folder=str(teacher),
        init_folder=init,
        features={"train": str(every.folder), "search": str(search_features.folder)} | features,
        units=units,
        outputs=str(outputs),
        signals=(LOGITS,),
        importance=_importance(run, init, train_features, train_examples, pad_id),
        weak_teacher=weak,
        chance=chance_scores(search),
        pairs=any(getattr(row, "pair", None) is not None for row in search.rows),
    )


def _features(run: Run, examples: Examples, tokenizer: PreTrainedTokenizerBase, part: str) -> Features:
    key = feature_key(tokenizer, run.spec.data, run.spec.task, part, digest(examples))
    return build_features(
        examples,
        tokenizer,
        run.spec.data,
        folder=run.caches / "features" / key,
        progress=run.progress(f"tokenising the {'training' if part == 'train' else 'validation'} split", "examples"),
        say=run.warn,
    )


def _units(
    run: Run,
    examples: tuple[Examples, Examples, Examples],
    teacher: tuple[PreTrainedTokenizerBase, str, Features],
) -> tuple[dict[str, Units], dict[str, str]]:
    """The facts of the teacher's units and of others that a trial may read, and the folders of the splits in those.

    `examples` are the labelled ones, all of the training split with its transfer set, and the validation split.
    """
    train, every, search = examples
    if TASKS[run.spec.task].spans:
        return {}, {}
    found: dict[str, Units] = {}
    folders: dict[str, str] = {}

    def add(name: str, tokenizer: PreTrainedTokenizerBase, folder: str, features: Features) -> None:
        found[name] = count_units(tokenizer, folder, features, len(train.rows), run.caches, run.warn)

    add("", *teacher)
    for name in run.spec.units:
        folder = run.caches / "tokenizers" / cache_key(units=name, version=WORDS_VERSION, data=digest(every))
        tokenizer = word_tokenizer(texts_of(train), folder, run.warn, more=texts_of(every))
        rows = {part: _features(run, one, tokenizer, part) for part, one in (("train", every), ("search", search))}
        add(name, tokenizer, str(folder), rows["train"])
        folders |= {f"{part}/{name}": str(one.folder) for part, one in rows.items()}
    return found, folders


def _check_length(run: Run, folder: str, named: str) -> None:
    """A tokenizer does not always know how many positions its model has; a GPU would fail with an assertion."""
    wanted, most = run.spec.data.max_length, read_shape(folder).longest_input
    if padded_length(wanted) > most:
        raise ConfigError(
            f"data.max_length = {wanted}, but {named} reads at most {most} tokens",
            hint=f"lower data.max_length to {most // MULTIPLE * MULTIPLE} (lengths are multiples of {MULTIPLE})",
        )


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase, init: str) -> None:
    reason = same_vocabulary(tokenizer, AutoTokenizer.from_pretrained(init, trust_remote_code=False))
    if reason:
        raise ConfigError(
            f"student.init = {init!r} does not use the teacher's tokens: {reason}",
            hint="teacher and student must share a vocabulary; choose a pair of the same family",
        )


def _importance(run: Run, init: str, features: Features, examples: Examples, pad_id: int) -> str:
    """The folder of the head importance of the initial model on training examples, computed once and shared.

    Empty if no trial needs it: from scratch, or if the study keeps all heads or draws them at random.
    """
    if init == SCRATCH or not run.spec.importance:
        return ""
    count = min(run.spec.student.importance_examples, len(features))
    key = cache_key(model=model_sha256(Path(init)), features=features.folder.name, count=count)

    def build(temporary: Path) -> None:
        model = Encoder(_with_head(run, init, examples))
        place(model.net, run.device)
        seen = features_for(model, features)
        chosen = np.sort(np.random.default_rng(0).choice(len(features), count, replace=False))
        edges, report = pad_edges(features.lengths), run.progress(PHASE, "examples")
        parts = [chosen[part] for part in by_length(features.lengths[chosen], IMPORTANCE_TOKENS)]

        def loss(_: nn.Module, numbered: tuple[int, Batch]) -> Tensor:
            done, batch = numbered
            report(done, count)
            return losses_of(Step(forward(model, batch, precision=torch.float32), batch, HARD_ONLY)).total

        ends = np.cumsum([len(part) for part in parts])
        batches = (
            (int(end), collate(seen, rows, edges=edges, pad_id=pad_id).to(run.device))
            for end, rows in zip(ends, parts, strict=True)
        )
        save_importance(temporary, head_importance(model.net, batches, loss))

    return str(build_once(run.caches / "importance" / key, build, run.warn))


def _with_head(run: Run, init: str, examples: Examples) -> PreTrainedModel:
    """The initial model with its task head; a new random head is reported, because gradients through it say less."""
    try:
        return load_encoder(init, run.spec.task, examples.labels, dropout=0.0, need_head=True)
    except ConfigError:
        run.notice(
            "warning",
            f"{init} has no head for {run.spec.task}, so head importance is computed with a random one. With "
            'student.init = "teacher", or head_choice = "random", it is not needed.',
        )
        return load_encoder(init, run.spec.task, examples.labels, dropout=0.0)
