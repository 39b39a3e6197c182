"""A WordPiece vocabulary trained on the data, for a teacher from scratch. It reads no file and loads no model."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from filelock import FileLock
from tokenizers import BertWordPieceTokenizer
from transformers import BertTokenizer, PreTrainedTokenizerFast

from bertdistill.engine.contract import sync_folder

MIN_FREQUENCY = 2
"""Pieces seen once are not learned; their characters are."""


def train_wordpiece(texts: Iterable[str], size: int, folder: Path) -> PreTrainedTokenizerFast:
    """Train an uncased BERT vocabulary of at most `size` entries and save it as a tokenizer in `folder`.

    A `folder` that is already there is complete, because it was renamed into place; it is opened, not trained again.
    The same texts in the same order give the same vocabulary.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            _train(texts, size, folder)
    return cast(PreTrainedTokenizerFast, BertTokenizer.from_pretrained(folder))


def _train(texts: Iterable[str], size: int, folder: Path) -> None:
    trainer = BertWordPieceTokenizer(lowercase=True)
    trainer.train_from_iterator(texts, vocab_size=size, min_frequency=MIN_FREQUENCY, show_progress=False)
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    BertTokenizer(vocab=trainer.get_vocab(), do_lower_case=True).save_pretrained(temporary)
    temporary.rename(folder)
    sync_folder(folder.parent)
