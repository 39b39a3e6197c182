"""Tokenised texts without a tokenizer: arrays of ids as the preparation writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bertdistill.engine.distill.data.features import Features


def made_features(folder: Path, texts: Sequence[Sequence[int]], targets: Sequence[int] = ()) -> Features:
    """One input a text; without `targets` all have label 0. Nothing is written: the folder is only a name."""
    lengths = [len(text) for text in texts]
    return Features(
        folder=folder,
        input_ids=np.array([one for text in texts for one in text], np.uint16),
        token_types=None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        example_index=np.arange(len(texts), dtype=np.int32),
        targets=np.array(targets or [0] * len(texts), np.int32),
        char_spans=None,
    )
