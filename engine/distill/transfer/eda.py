"""The kind `eda`: training texts with words swapped, deleted, or replaced by words of texts with the same label.

Wei and Zou 2019, "EDA", EMNLP. Their synonyms need WordNet and are left out: words of the same label replace words
instead. Unlike theirs, punctuation, digits and case stay.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterator

from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.unlabelled import WORD, Text
from bertdistill.engine.distill.data.examples import TextExample
from bertdistill.engine.distill.transfer.material import Material, edited, rebuilt


def texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """One of the three changes to a random text, endlessly."""
    draw = random.Random(spec.seed)
    words: dict[int, list[str]] = defaultdict(list)
    for row in material.rows:
        words[row.label] += WORD.findall(f"{row.text} {row.pair or ''}")
    changes: tuple[Callable[[str, TextExample], str], ...] = (
        lambda text, row: _swapped(text, draw, spec.share),
        lambda text, row: " ".join(edited(text, draw, spec.share, lambda word: "").split()),
        lambda text, row: edited(text, draw, spec.share, lambda word: draw.choice(words[row.label])),
    )
    while True:
        yield material.one_side(draw, draw.choice(changes))


def _swapped(text: str, draw: random.Random, share: float) -> str:
    """Two words change places, as often as `share` of the words, once at least."""
    found = list(WORD.finditer(text))
    if len(found) < 2:
        return ""
    order = list(range(len(found)))
    for _ in range(max(1, int(share * len(found)))):
        first, second = draw.sample(range(len(found)), 2)
        order[first], order[second] = order[second], order[first]
    return rebuilt(text, found, {i: found[other].group() for i, other in enumerate(order)})
