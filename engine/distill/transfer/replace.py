"""The kind `replace`: training texts with random words replaced by other words of their class.

Tang et al. 2019 (arXiv 1903.12136) replace a word by one with the same part-of-speech tag. That takes a tagger; this
one knows none, so a class is what can be seen of a word: its shape (word, capitalised word, number), its suffix, and
without a suffix how frequent it is, which separates the few function words from the many content words.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import accumulate

from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.data.unlabelled import Text
from bertdistill.engine.distill.transfer.material import Material, edited

SUFFIXES = (
    *("ing", "ed", "ly", "tion", "sion", "ness", "ment", "ity", "able", "ible", "ful", "less", "ous", "ive", "al"),
    *("est", "er", "ism", "ist", "n't", "s"),
)
"""English suffixes, in the order in which they are tried."""
SHORTEST_STEM = 3


def word_class(word: str, count: int, total: int) -> tuple[str, str, int]:
    """(shape, suffix, band of frequency) of a word that occurs `count` times among `total`; punctuation is alone."""
    if word.isdecimal():
        return "number", "", 0
    if not any(character.isalpha() for character in word):
        return word, "", 0
    shape = "Word" if word[0].isupper() else "word"
    folded = word.casefold()
    for suffix in SUFFIXES:
        if folded.endswith(suffix) and len(folded) >= len(suffix) + SHORTEST_STEM:
            return shape, suffix, 0
    # A band for each power of ten: the most frequent words of a language are function words.
    return shape, "", len(str(total // count))


class Classes:
    """Random words of a class, drawn as often as they occur in the training texts."""

    def __init__(self, counts: Mapping[str, int]) -> None:
        self._counts, self._total = counts, sum(counts.values())
        members: dict[tuple[str, str, int], list[str]] = defaultdict(list)
        for word in sorted(counts):
            members[word_class(word, counts[word], self._total)].append(word)
        self._members = {name: (words, [*accumulate(counts[w] for w in words)]) for name, words in members.items()}

    def other(self, word: str, draw: random.Random) -> str:
        """A word of the same class; itself if it is the only one."""
        words, weights = self._members[word_class(word, self._counts[word], self._total)]
        return draw.choices(words, cum_weights=weights)[0]


def texts(spec: TransferSpec, material: Material, named: str) -> Iterator[Text]:
    """Each word is replaced with probability `share`, endlessly."""
    draw, classes = random.Random(spec.seed), Classes(material.words())
    while True:
        yield material.one_side(
            draw, lambda text, row: edited(text, draw, spec.share, lambda word: classes.other(word, draw))
        )
