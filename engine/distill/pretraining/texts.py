"""The texts for pre-training as tokens, cached for each tokenizer and length. It masks nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Corpus
from bertdistill.engine.distill.data.caches import build_once, cache_key
from bertdistill.engine.distill.data.corpus_file import read_corpus
from bertdistill.engine.distill.data.features import (
    BATCH,
    Features,
    Part,
    open_features,
    token_arrays,
    tokenizer_sha256,
    write_parts,
)
from bertdistill.engine.distill.run import Run

VERSION = 1
"""Part of the cache keys: increment it when the same texts give other arrays."""


def corpus_features(run: Run, corpus: Corpus, tokenizer: Any, max_length: int) -> Features:
    """The texts in inputs of at most so many tokens, special ones included; a longer text gives several.

    `example_index` is the number of the text; the targets are all 0. ConfigError if no text has a token.
    """
    key = cache_key(
        version=VERSION,
        corpus=Path(corpus.folder).name,
        tokenizer=tokenizer_sha256(tokenizer),
        names=tokenizer.model_input_names,
        length=max_length,
    )
    report = run.progress("tokenising texts for pre-training", "texts")

    def build(temporary: Path) -> None:
        parts = _parts(read_corpus(Path(corpus.folder)), tokenizer, max_length)
        write_parts(temporary, parts, lambda done: report(min(done * BATCH, corpus.texts), corpus.texts))
        tokenizer.backend_tokenizer.no_truncation()  # otherwise it would be saved with the tokenizer

    found = open_features(build_once(run.caches / "features" / f"pretrain-{key}", build, run.warn))
    if not len(found):
        raise ConfigError("no text of [[pretrain]] has a token", hint="use other texts, or set pretrain_epochs = 0")
    return found


def _parts(texts: Iterator[str], tokenizer: Any, max_length: int) -> Iterator[Part]:
    first, special = 0, tokenizer.num_special_tokens_to_add()
    while some := list(islice(texts, BATCH)):
        encoded = tokenizer(some, truncation=True, max_length=max_length, return_overflowing_tokens=True)
        kept = [
            (one, text)
            for one, text in zip(encoded.encodings, encoded["overflow_to_sample_mapping"], strict=True)
            if len(one.ids) > special
        ]
        arrays = {
            **token_arrays([one.ids for one, _ in kept], [one.type_ids for one, _ in kept], tokenizer),
            "example_index": np.array([first + text for _, text in kept], np.int32),
            "targets": np.zeros(len(kept), np.int32),
        }
        yield Part(arrays, np.array([len(one.ids) for one, _ in kept], np.int64))
        first += len(some)
