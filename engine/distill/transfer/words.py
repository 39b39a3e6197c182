"""The kind `words`: every word of the training texts alone, the most frequent first."""

from __future__ import annotations

import random
from collections.abc import Iterator

from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.unlabelled import Text
from bertdistill.engine.distill.transfer.material import Material


def texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """One row a word; in pairs it replaces one of the sentences."""
    draw, counts = random.Random(spec.seed), material.words()
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        yield material.beside(draw, word)
