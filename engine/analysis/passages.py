"""The part of a passage needed to judge an answer: the text around the gold and the given answers.

Pure. It judges no answers and knows no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

AROUND = 300
"""Characters kept on either side of an answer; a SQuAD passage has about 700."""
WORD = 20
"""A cut moves to the next space within this many characters; some languages have no spaces."""
GAP = " ... "

Span = tuple[int, int]
"""First character, and one past the last."""


@dataclass(frozen=True)
class Passage:
    """An excerpt; `...` marks omitted text. The spans are offsets in `text`."""

    text: str
    golds: tuple[Span, ...] = ()
    """In order, not overlapping: overlapping gold answers are merged."""
    given: Span | None = None
    """None if no answer was given, or it was not found."""
    places: int = 0
    """How often the given text occurs in the passage if its position was not recorded: the first occurrence is marked.
    1 if its position is known, 0 if there is none."""

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Passage:
        """Read from its JSON form: the four fields by name."""
        golds = tuple((start, end) for start, end in raw["golds"])
        given = None if raw["given"] is None else (raw["given"][0], raw["given"][1])
        return Passage(raw["text"], golds, given, raw["places"])


def excerpt(passage: str, golds: Sequence[tuple[int, str]], given: str, start: int | None = None) -> Passage:
    """The part around `golds` (offset and text of each) and around `given`, which begins at `start`.

    Without a matching `start`, the given text is searched for. With nothing to mark, returns the beginning.
    """
    at, places = _place(passage, given, start)
    right = _united([(begin, begin + len(text)) for begin, text in golds if text])
    chosen = None if at is None else (at, at + len(given))
    marks = [*right, *([chosen] if chosen else [])]
    kept = _united([_wider(passage, mark) for mark in marks or [(0, AROUND)]], len(GAP))
    return Passage(
        _joined(passage, kept),
        tuple(_moved(span, kept) for span in right),
        None if chosen is None else _moved(chosen, kept),
        places,
    )


def _place(passage: str, given: str, start: int | None) -> tuple[int | None, int]:
    """Where the given answer begins, and the number of candidate positions."""
    if not given:
        return None, 0
    if start is not None and start >= 0 and passage.startswith(given, start):
        return start, 1
    places = passage.count(given)
    return (passage.index(given) if places else None), places


def _united(spans: Sequence[Span], gap: int = 0) -> list[Span]:
    """Sorted; spans that overlap or are less than `gap` characters apart are merged."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin < found[-1][1] + gap:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _wider(passage: str, mark: Span) -> Span:
    """The span with its surrounding text, in whole words."""
    begin, end = max(0, mark[0] - AROUND), min(len(passage), mark[1] + AROUND)
    before = passage.rfind(" ", max(0, begin - WORD), begin) + 1
    after = passage.find(" ", end, end + WORD)
    return 0 if begin <= WORD else before or begin, end if after < 0 else after


def _joined(passage: str, kept: Sequence[Span]) -> str:
    first = GAP.lstrip() if kept[0][0] else ""
    last = GAP.rstrip() if kept[-1][1] < len(passage) else ""
    return first + GAP.join(passage[begin:end] for begin, end in kept) + last


def _moved(span: Span, kept: Sequence[Span]) -> Span:
    """A span of the passage as offsets in the excerpt; one of `kept` contains it."""
    by = len(GAP.lstrip()) if kept[0][0] else 0
    for begin, end in kept:
        if span[1] <= end:
            return span[0] + by - begin, span[1] + by - begin
        by += end - begin + len(GAP)
    raise ValueError(f"{span} is in none of {kept}")
