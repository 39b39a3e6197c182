"""What the kinds of transfer sets draw from, and what they share: words, edits, pairs. It reads no files."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertdistill.engine.data.unlabelled import WORD, Text
from bertdistill.engine.distill.data.examples import TextExample

if TYPE_CHECKING:
    from bertdistill.engine.distill.run import Run


@dataclass(frozen=True)
class Material:
    """The training texts of a study, at least one."""

    rows: Sequence[TextExample]
    labels: tuple[str, ...]
    mask: str
    """What the teacher reads as an unknown word."""
    run: Run

    @property
    def paired(self) -> bool:
        return self.rows[0].pair is not None

    def sides(self) -> Iterator[str]:
        """Every sentence."""
        for row in self.rows:
            yield row.text
            if row.pair is not None:
                yield row.pair

    def words(self) -> Counter[str]:
        """Every word with its number of occurrences."""
        return Counter(word for text in self.sides() for word in WORD.findall(text))

    def one_side(self, draw: random.Random, change: Callable[[str, TextExample], str]) -> Text:
        """A random row with one of its sentences changed; ("", None) if the change leaves nothing."""
        row = self.rows[draw.randrange(len(self.rows))]
        if row.pair is None:
            return change(row.text, row), None
        first = draw.random() < 0.5
        changed = change(row.text if first else row.pair, row)
        if not changed:
            return "", None
        return (changed, row.pair) if first else (row.text, changed)

    def beside(self, draw: random.Random, text: str) -> Text:
        """`text` alone, or in the place of one sentence of a random pair."""
        return self.one_side(draw, lambda old, row: text)


def edited(text: str, draw: random.Random, share: float, change: Callable[[str], str]) -> str:
    """`text` with each word changed with probability `share`, one at least; "" if no word would be left as it was."""
    found = list(WORD.finditer(text))
    if len(found) < 2:
        return ""
    chosen = {i for i in range(len(found)) if draw.random() < share} or {draw.randrange(len(found))}
    if len(chosen) == len(found):
        return ""
    return rebuilt(text, found, {i: change(found[i].group()) for i in sorted(chosen)})


def rebuilt(text: str, words: Sequence[re.Match[str]], changes: dict[int, str]) -> str:
    """`text` with the words at some positions replaced; what is between words stays."""
    parts, end = [], 0
    for index, word in enumerate(words):
        parts += [text[end : word.start()], changes.get(index, word.group())]
        end = word.end()
    return "".join([*parts, text[end:]])
