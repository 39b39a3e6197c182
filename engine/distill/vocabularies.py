"""The smaller vocabularies of transformers: counted by the preparation, made and read by whoever trains or scores one.

A trial tokenises for its own size, because a range has too many sizes to prepare; the result is cached like other
features. The names of such tokens are in `Prepared.units` only while a trial, a promotion or a cascade runs.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bertdistill.engine.contract.facts import Pieces, Units, Vocabulary
from bertdistill.engine.contract.spec import CUT_VOCABULARY
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data import pieces as on_disk
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.divided import Divided, difference
from bertdistill.engine.distill.data.examples import NO_LABEL, Examples, TextExample, digest, split_examples, texts_of
from bertdistill.engine.distill.data.features import Features, build_features, feature_key, open_features, padding_id
from bertdistill.engine.distill.data.other_windows import logits_at, other_windows
from bertdistill.engine.distill.data.pieces import smaller_tokenizer
from bertdistill.engine.distill.data.signals import signal_file
from bertdistill.engine.distill.families.model import Model, own_tokenizer
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.splits import PARTS, tokenised
from bertdistill.engine.distill.training.measure import tokenizer_ms
from bertdistill.engine.families.encoder_plan import OFFSET
from bertdistill.engine.families.table import FAMILIES, cuts_vocabulary
from bertdistill.engine.families.vocabulary import entries, size_of, units_name
from bertdistill.engine.tasks.table import TASKS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TRANSFER = "texts.json"
WINDOWS_VERSION = 1
"""Part of the cache keys of windows in other tokens."""


# ------------------------------------------------------------------------------------------------------ the preparation


def count_vocabulary(
    run: Run,
    tokenizer: PreTrainedTokenizerBase,
    folder: str,
    architecture: str,
    train: Examples,
    every: Examples,
    features: Features,
) -> Vocabulary:
    """The facts of the initial model's vocabulary, and of the smaller ones that trials may have.

    `every` are the labelled examples `train` and then the transfer set; `features` are those in these tokens.
    """
    refused = on_disk.refused(tokenizer)
    if not refused and architecture in OFFSET:
        refused = f"{architecture} counts positions from the number of its padding token"
    found = Vocabulary(size=len(tokenizer), tokenizer=folder, refused=refused)
    if refused or not run.spec.vocabularies:
        return found
    kinds: dict[str, Pieces] = {}
    ordered: dict[str, list[str]] = {}
    for kind, sizes in run.spec.vocabularies.items():
        ordered[kind], least, most = _ordered(run, kind, tokenizer, train, every, features)
        points = sorted({*(min(size, most) for size in sizes if size >= least), most})
        smaller = {size: ordered[kind][:size] for size in points}
        lengths = _lengths(run, folder, smaller, train, features)
        kinds[kind] = Pieces(least, most, len(ordered[kind]), tuple(lengths.items()))
    return dataclasses.replace(
        found, kinds=kinds, pieces=_keep_pieces(run, ordered), transfer=_keep_texts(run, train, every)
    )


def _ordered(
    run: Run, kind: str, tokenizer: PreTrainedTokenizerBase, train: Examples, every: Examples, features: Features
) -> tuple[list[str], int, int]:
    """The pieces of a kind in their order, how many always stay, and how many the labelled texts need."""
    if kind == CUT_VOCABULARY:
        last = int(features.offsets[len(features) - (len(every) - len(train))])
        pieces, most = on_disk.ranked_pieces(tokenizer, features.input_ids[:last], features.input_ids[last:])
        return pieces, len(on_disk.staying(tokenizer)), most
    run.progress("training a vocabulary", "words")
    pieces, least = on_disk.new_pieces(tokenizer, texts_of(train))
    return pieces, least, len(pieces)


def _lengths(
    run: Run, initial: str, vocabularies: Mapping[int, Sequence[str]], train: Examples, features: Features
) -> dict[int, float]:
    """Mean number of tokens per training input in each of these vocabularies."""
    report = run.progress("lengths in smaller vocabularies", "vocabularies")
    found: dict[int, float] = {}
    for size, pieces in vocabularies.items():
        tokenizer, _ = smaller_tokenizer(initial, pieces, run.caches, run.warn)
        with tempfile.TemporaryDirectory(dir=run.paths.folder) as scratch:
            folder, data = Path(scratch) / "features", run.spec.data
            if TASKS[run.spec.task].spans:
                divided = other_windows(train, features, tokenizer, data, folder=folder, progress=_quietly)
            else:
                divided = build_features(train, tokenizer, data, folder=folder, progress=_quietly)
            found[size] = float(np.mean(divided.lengths))
        report(len(found), len(vocabularies))
    return found


def _quietly(done: int, total: int) -> None:
    return None


def _keep_pieces(run: Run, ordered: Mapping[str, Sequence[str]]) -> str:
    """The folder with the pieces of every kind."""

    def build(temporary: Path) -> None:
        for kind, pieces in ordered.items():
            on_disk.save_pieces(temporary, kind, pieces)

    return str(build_once(run.caches / "pieces" / cache_key(pieces=dict(ordered)), build, run.warn))


def _keep_texts(run: Run, train: Examples, every: Examples) -> str:
    """The folder with the texts of the transfer set; empty without one."""
    texts = [[row.text, row.pair] for row in every.rows[len(train) :]]
    if not texts:
        return ""

    def build(temporary: Path) -> None:
        (temporary / TRANSFER).write_text(json.dumps(texts), encoding="utf-8")

    return str(build_once(run.caches / "texts" / cache_key(texts=digest(every)), build, run.warn))


# -------------------------------------------------------------------------------------------------------------- readers


def for_trial(run: Run) -> Run:
    """The attempt with the tokens that its settings ask for among the facts, tokenised if they are not cached yet.

    What the smaller vocabulary does to the validation split, which was not counted, is reported.
    """
    spec, vocabulary = run.spec, run.spec.prepared.vocabulary
    size = entries(spec.prepared, spec.settings) if cuts_vocabulary(spec.settings.family) else 0
    if not size:
        return run
    kind = spec.settings.vocabulary
    pieces = on_disk.load_pieces(Path(vocabulary.pieces), kind)[:size]
    tokenizer, folder = smaller_tokenizer(vocabulary.tokenizer, pieces, run.caches, run.warn)
    train, search = split_examples(spec)
    features = {"search": tokenised(run, search, tokenizer, "search")}
    if TASKS[spec.task].spans:
        features["train"] = _same_windows(run, train, tokenizer)
        run = _with_outputs_at(run, features["train"])
    else:
        features["train"] = tokenised(run, _with_texts(train, vocabulary.transfer), tokenizer, "train")
    _report(run, tokenizer, features)
    return _among_facts(run, units_name(kind, size), tokenizer, str(folder), features, search)


def for_models(run: Run, models: Sequence[Model], search: Examples | None = None) -> Run:
    """The attempt with the tokens of trained models among the facts: with the validation split if it is given."""
    for model in models:
        name, tokenizer = model.units, own_tokenizer(model)
        if tokenizer is None or name in run.spec.prepared.units:
            continue
        features = {} if search is None else {"search": tokenised(run, search, tokenizer, "search")}
        run = _among_facts(run, name, tokenizer, tokenizer.name_or_path, features, search)
    return run


def _same_windows(run: Run, train: Examples, tokenizer: PreTrainedTokenizerBase) -> Features:
    """The teacher's windows of the training split in the tokens of another tokenizer."""
    theirs = open_features(Path(run.spec.prepared.features_of("train")))
    key = cache_key(
        version=WINDOWS_VERSION,
        windows=theirs.folder.name,
        own=feature_key(tokenizer, run.spec.data, run.spec.task, "train", digest(train)),
    )
    return other_windows(
        train,
        theirs,
        tokenizer,
        run.spec.data,
        folder=run.caches / "features" / f"train-{key}",
        progress=run.progress("tokenising the training split", "examples"),
        say=run.warn,
    )


def _with_outputs_at(run: Run, mine: Features) -> Run:
    """The attempt with the teacher's logits at the tokens of `mine` in place of those at its own."""
    facts = run.spec.prepared
    theirs, outputs = open_features(Path(facts.features_of("train"))), Path(facts.outputs)
    run.progress("the teacher's outputs at other tokens", "windows")

    def build(temporary: Path) -> None:
        logits = np.load(signal_file(outputs, LOGITS), mmap_mode="r")
        np.save(signal_file(temporary, LOGITS), logits_at(logits, theirs, mine))

    key = cache_key(version=WINDOWS_VERSION, outputs=outputs.name, windows=mine.folder.name)
    folder = build_once(run.caches / "outputs" / key, build, run.warn)
    moved = dataclasses.replace(facts, outputs=str(folder))
    return dataclasses.replace(run, spec=dataclasses.replace(run.spec, prepared=moved))


def _report(run: Run, tokenizer: PreTrainedTokenizerBase, features: Mapping[str, Features]) -> None:
    """How both splits are divided, compared with the initial vocabulary."""
    from transformers import AutoTokenizer  # only where it is needed: it takes a second

    facts = run.spec.prepared
    before: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(facts.vocabulary.tokenizer, trust_remote_code=False)
    settings = dataclasses.replace(run.spec.settings, vocab_size=0)
    units = FAMILIES[settings.family].units(facts, settings)
    for part, now in features.items():
        then = open_features(Path(facts.features_of(part, units)))
        level, text = difference(Divided(before, then), Divided(tokenizer, now), run.spec.data.max_length)
        run.notice(level, f"{len(tokenizer):,} pieces, {PARTS[part]} split: {text}")


def _with_texts(train: Examples, folder: str) -> Examples:
    """The labelled examples, then the transfer set whose texts are in the folder."""
    texts = json.loads((Path(folder) / TRANSFER).read_text(encoding="utf-8")) if folder else []
    rows = [TextExample(f"transfer-{i}", text, pair, NO_LABEL) for i, (text, pair) in enumerate(texts)]
    return dataclasses.replace(train, rows=[*train.rows, *rows])


def _among_facts(
    run: Run,
    name: str,
    tokenizer: PreTrainedTokenizerBase,
    folder: str,
    features: Mapping[str, Features],
    search: Examples | None,
) -> Run:
    facts = run.spec.prepared
    kind, size = size_of(name)
    units = Units(
        size=len(tokenizer),
        mean_length=facts.vocabulary.kinds.get(kind, Pieces()).mean_length(size) or facts.mean_length,
        pad_id=padding_id(tokenizer),
        special_ids=tuple(tokenizer.all_special_ids),
        tokenizer=folder,
    )
    timed = {}
    if search is not None and not TASKS[run.spec.task].spans:
        timed[name] = tokenizer_ms(tokenizer, search.rows, run.spec.data.max_length)
    more = dataclasses.replace(
        facts,
        units={**facts.units, name: units},
        features={**facts.features, **{f"{part}/{name}": str(one.folder) for part, one in features.items()}},
        tokenizer_ms={**facts.tokenizer_ms, **timed},
    )
    return dataclasses.replace(run, spec=dataclasses.replace(run.spec, prepared=more))
