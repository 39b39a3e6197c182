"""The kind `ngrams`: random runs of words of the training texts, as they are written there."""

from __future__ import annotations

import random
from collections.abc import Iterator

from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.unlabelled import WORD, Text
from bertdistill.engine.distill.data.examples import TextExample
from bertdistill.engine.distill.transfer.material import Material


def texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """Of `shortest` to `longest` words, endlessly; empty where a sentence is too short."""
    draw = random.Random(spec.seed)

    def part(text: str, row: TextExample) -> str:
        found = list(WORD.finditer(text))
        if len(found) < spec.shortest:
            return ""
        count = draw.randint(spec.shortest, min(spec.longest, len(found)))
        start = draw.randint(0, len(found) - count)
        return text[found[start].start() : found[start + count - 1].end()]

    while True:
        yield material.one_side(draw, part)
