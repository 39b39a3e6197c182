"""The preparation of a study, done once before its trials: splits, tokens, the teacher and its outputs.

It trains no students and decides nothing about the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import INIT_UNITS, Prepared, Units
from bertdistill.engine.contract.spec import SCRATCH, SUPERNET, Settings
from bertdistill.engine.contract.terms import CLS, LOGITS
from bertdistill.engine.distill.corpus import collect_corpus
from bertdistill.engine.distill.data.batches import padded_length
from bertdistill.engine.distill.data.caches import cache_key
from bertdistill.engine.distill.data.chance import chance_scores, weak_teacher
from bertdistill.engine.distill.data.examples import (
    Examples,
    check_report,
    cut,
    digest,
    load_examples,
    split_notices,
    texts_of,
)
from bertdistill.engine.distill.data.features import mean_first_length, open_features, padding_id
from bertdistill.engine.distill.data.split_file import keep_split
from bertdistill.engine.distill.data.units import count_units
from bertdistill.engine.distill.data.words import word_tokenizer
from bertdistill.engine.distill.families.ngrams import with_ngrams
from bertdistill.engine.distill.families.resolve import resolve
from bertdistill.engine.distill.families.transformer import read_any_shape, same_vocabulary
from bertdistill.engine.distill.labelling import Texts, teacher_outputs, teacher_scores, transfer_outputs
from bertdistill.engine.distill.pretraining.masking import masking_of
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.splits import tokenised
from bertdistill.engine.distill.states import cls_states
from bertdistill.engine.distill.supernet.make import with_supernet
from bertdistill.engine.distill.teacher import open_tokenizer, teacher_vectors
from bertdistill.engine.distill.teacher_cost import ensemble, teacher_costs, weights_of
from bertdistill.engine.distill.teachers import INIT, base_model, check_length, labels_of, output_files, teacher_model
from bertdistill.engine.distill.training.evaluate import Evaluator
from bertdistill.engine.distill.training.measure import tokenizer_ms
from bertdistill.engine.distill.transfer.rows import with_transfer
from bertdistill.engine.distill.vocabularies import count_vocabulary
from bertdistill.engine.distill.weighing import Weighing, blocks_in
from bertdistill.engine.families.encoder_plan import Shape, bert_shape
from bertdistill.engine.families.separate import check_segments
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.tasks.table import TASKS

WORDS_VERSION = 1
"""Part of the cache key of word tokenizers: increment it when the same texts give other words."""


def prepare(run: Run) -> Prepared:
    """Build the caches and return the facts that the study stores."""
    spec = run.spec
    run.progress("reading data", "examples")
    train_examples, search = cut(load_examples(spec.data, spec.task, "train"), spec.data)
    # Otherwise problems would show only when the first model is promoted, days later.
    report = check_report(spec.data, train_examples)
    splits = split_notices(training=train_examples, validation=search)
    for notice in (*train_examples.notices, *splits, *report):
        run.warn(notice)
    base, named = base_model(run)
    if base != SCRATCH:
        check_length(run, base, named)
    tokenizer = open_tokenizer(run, train_examples, base, named)
    # Before a teacher is trained for hours: files that cannot be used end the preparation.
    all_examples = with_transfer(run, train_examples, tokenizer) if spec.transfer else train_examples
    corpus = collect_corpus(run, train_examples, all_examples)
    files = output_files(run, train_examples, all_examples)
    pad_id = padding_id(tokenizer)
    train_features = tokenised(run, train_examples, tokenizer, "train")
    search_features = tokenised(run, search, tokenizer, "search")
    pairs = any(getattr(row, "pair", None) is not None for row in search.rows)
    first_length = mean_first_length(train_features) if pairs or TASKS[spec.task].spans else 0.0
    if spec.settings.separate_layers and TRANSFORMER.name in (spec.families or [spec.settings.family]):
        check_segments(Prepared(labels=tuple(train_examples.labels), pairs=pairs, first_length=first_length))
    evaluator = Evaluator(
        examples=search,
        features=search_features,
        data=spec.data,
        select=spec.select_metric or TASKS[spec.task].scores[0],
        direction=spec.select_direction,
        pad_id=pad_id,
    )
    teacher = teacher_model(run, base, tokenizer, train_features, evaluator)
    init = (
        teacher
        if spec.student.init in ("teacher", SUPERNET)
        else resolve(spec.student.init, spec.student.revision, INIT)
    )
    init_shape = _init_shape(run, init, teacher or base, tokenizer)
    labels = labels_of(run, teacher, tokenizer, train_examples, files)
    texts = Texts(train_examples, train_features, "train")
    outputs = teacher_outputs(run, labels, texts)
    search_texts = Texts(search, search_features, "search")
    search_outputs, teacher_metrics = teacher_scores(run, labels, search_texts, evaluator)
    every = train_features
    if spec.transfer:
        every = tokenised(run, all_examples, tokenizer, "train")
        outputs = transfer_outputs(run, labels, Texts(all_examples, every, "train"), len(train_features), outputs)
    states = cls_states(run, labels, Texts(all_examples, every, "train"))
    if weak := weak_teacher(teacher_metrics, search):
        run.warn(weak)
    tokenizers = {"": (tokenizer, teacher or tokenizer.name_or_path)}
    if init not in (SCRATCH, teacher, base):
        tokenizers |= _other_tokenizer(run, tokenizer, init, train_examples)
    units, features = _units(run, (train_examples, all_examples, search), tokenizers, pairs=pairs)
    own = INIT_UNITS if INIT_UNITS in units else ""
    if corpus.folder:
        masking_of(tokenizers[own][0], spec.settings.mask_probability)  # a tokenizer without a mask ends it here
    vocabulary = count_vocabulary(
        run,
        *tokenizers[own],
        init_shape.architecture,
        train_examples,
        all_examples,
        open_features(Path(features[f"train/{own}"])) if own else every,
    )
    known = teacher if teacher and not spec.teacher.outputs else ""
    units = {name: teacher_vectors(run, name, one, tokenizer, known) for name, one in units.items()}
    weighing = Weighing(
        run,
        init,
        open_features(Path(features[f"train/{own}"])).part(0, len(train_features)) if own else train_features,
        train_examples.labels,
        units[own].pad_id if own else pad_id,
    )
    importance = weighing.importance()
    if own and first_length:
        first_length = mean_first_length(weighing.features)
    facts = Prepared(
        train_examples=len(train_examples.rows),
        search_examples=len(search.rows),
        train_features=len(train_features),
        transfer_features=len(every) - len(train_features),
        search_features=len(search_features),
        mean_length=float(np.mean(train_features.lengths)),
        search_digest=digest(search),
        split=keep_split(search, spec.data, run.caches, run.warn),
        labels=tuple(train_examples.labels),
        pad_id=pad_id,
        teacher_shape=read_any_shape(known).to_dict() if known else {},
        teacher_params=weights_of(known) if known else 0,
        ensemble=ensemble(labels, texts),
        init_shape=init_shape.to_dict(),
        teacher_metrics=teacher_metrics,
        teacher_folder=known,
        init_folder=init,
        features={"train": str(every.folder), "search": str(search_features.folder)} | features,
        units=units,
        vocabulary=vocabulary,
        corpus=corpus,
        outputs=str(outputs),
        search_outputs=search_outputs,
        states=states,
        signals=(LOGITS, CLS) if states else (LOGITS,),
        importance=importance,
        ffn_importance=blocks_in(importance) if importance and spec.neurons else (),
        projection=weighing.projection(),
        first_position=True,
        first_length=first_length,
        weak_teacher=weak,
        chance=chance_scores(search),
        pairs=pairs,
        tokenizer_ms={name: _tokenizer_ms(one.tokenizer, search, spec.data.max_length) for name, one in units.items()},
    )
    facts = with_supernet(run, facts, evaluator)
    return replace(facts, teacher_costs=teacher_costs(run, labels, search_texts, facts))


def _init_shape(run: Run, init: str, base: str, tokenizer: PreTrainedTokenizerBase) -> Shape:
    """The shape that students are cut from or, from scratch, whose tokens and default widths they have.

    ConfigError if a family of the study cannot be made from it, such as transformers of another architecture.
    """
    teacher, longest = run.spec.teacher, padded_length(run.spec.data.max_length)
    if init != SCRATCH:
        shape = read_any_shape(init)
        for family in run.spec.families or [run.spec.settings.family]:
            FAMILIES[family].plan(Prepared(init_shape=shape.to_dict()), Settings(family=family), scratch=False)
        return shape
    if base != SCRATCH:
        shape = read_any_shape(base)
        few = shape if shape.divisible else replace(shape, positions=max(512, longest), architecture="bert")
        return replace(few, pad_id=padding_id(tokenizer)) if few is not shape else shape
    return bert_shape(
        vocab_size=len(tokenizer),
        positions=max(512, longest),
        hidden_size=teacher.hidden_size,
        ffn_size=teacher.ffn_size,
        layers=teacher.layers,
        head_size=teacher.head_size,
        pad_id=padding_id(tokenizer),
    )


def _units(
    run: Run,
    examples: tuple[Examples, Examples, Examples],
    tokenizers: Mapping[str, tuple[PreTrainedTokenizerBase, str]],
    *,
    pairs: bool,
) -> tuple[dict[str, Units], dict[str, str]]:
    """The facts of the units that a trial may read, and the folders of the splits in those other than the teacher's.

    `examples` are the labelled ones, all of the training split with its transfer set, and the validation split;
    `tokenizers` have their folders beside them. Words are added if the study can read them.
    """
    if TASKS[run.spec.task].spans:
        return {}, {}
    train, every, search = examples
    found: dict[str, Units] = {}
    folders: dict[str, str] = {}
    for name, (tokenizer, folder) in {**tokenizers, **_words(run, train, every)}.items():
        rows = {part: tokenised(run, one, tokenizer, part) for part, one in (("train", every), ("search", search))}
        units = count_units(tokenizer, folder, rows["train"], len(train.rows), run.caches, run.warn)
        longest = run.spec.ngrams.get(name, 0)
        if longest:
            units = with_ngrams(units, rows["train"], len(train.rows), longest, run.caches, run.warn, pairs=pairs)
        found[name] = units
        folders |= {f"{part}/{name}": str(one.folder) for part, one in rows.items() if name}
    return found, folders


def _words(run: Run, train: Examples, every: Examples) -> dict[str, tuple[PreTrainedTokenizerBase, str]]:
    found: dict[str, tuple[PreTrainedTokenizerBase, str]] = {}
    for name in run.spec.units:
        folder = run.caches / "tokenizers" / cache_key(units=name, version=WORDS_VERSION, data=digest(every))
        found[name] = word_tokenizer(texts_of(train), folder, run.warn, more=texts_of(every)), str(folder)
    return found


def _tokenizer_ms(folder: str, examples: Examples, max_length: int) -> float:
    return tokenizer_ms(AutoTokenizer.from_pretrained(folder, trust_remote_code=False), examples.rows, max_length)


def _other_tokenizer(
    run: Run, ours: PreTrainedTokenizerBase, init: str, train: Examples
) -> dict[str, tuple[PreTrainedTokenizerBase, str]]:
    """The tokenizer of `student.init`, if it gives other tokens than the teacher's; ConfigError where it must not.

    A label belongs to a text, whatever its tokens; the place of an answer is one of the teacher's tokens.
    """
    named = f"{INIT} = {run.spec.student.init!r}"
    theirs = open_tokenizer(run, train, init, named)
    check_length(run, init, named)
    reason = same_vocabulary(ours, theirs)
    if not reason:
        return {}
    if TASKS[run.spec.task].spans:
        raise ConfigError(
            f"{named} does not use the teacher's tokens: {reason}",
            hint="teacher and student must share a vocabulary; choose a pair of the same family",
        )
    return {INIT_UNITS: (theirs, init)}
