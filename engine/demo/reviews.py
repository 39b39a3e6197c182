"""A small synthetic set of reviews with the labels `content` and `let-down`, for the demo of text classification.

It trains and scores nothing. In most reviews a single word decides, so a bag of words finds the label; in the others
every praising word stands beside a blaming one and only their order decides, so it cannot. Rare words come at the end
of each list: a student that has seen few texts does not know them. Few reviews have a label; of the others, the teacher
says what it thinks. It stands for a large model and is none: it knows the rule by which the reviews are made.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from bertdistill.engine.demo.dice import Dice, write_text


def _words(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in line.split())


LABELS = ("let-down", "content")
GOOD = _words(
    "good lovely friendly tasty clean fresh cheerful quiet generous splendid tidy warm charming crisp cosy swift",
    "handsome delightful gentle roomy sunny patient graceful hearty serene polished gracious dapper mellow sublime",
)
BAD = _words(
    "bad rude dirty stale noisy dull greasy cold cramped careless bland dreary shabby gloomy sour clumsy sluggish",
    "musty bitter grim soggy curt tatty murky squalid surly rancid dismal grubby tasteless",
)
THINGS = _words(
    "room soup waiter garden bread bed breakfast kitchen music host tea cellar ferry market library bakery tram",
    "museum porch bath terrace lamp menu staircase",
)
PLACES = ("Alvik", "Corvane", "Dunmere", "Eskel", "Glimvale", "Hollin", "Jorund", "Kelby", "Lormont", "Norvale")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SOFTENERS = ("very", "rather", "quite", "really", "truly", "somewhat", "plainly", "fairly")

PLAIN = (
    "the {thing} in {place} was {adverbs}{said} .",
    "on {day} we had a {adverbs}{said} {thing} .",
    "what a {adverbs}{said} {thing} they have in {place} !",
    "the {thing} was {said} and the {other_thing} was {also} .",
)
"""{said} and {also} are of the label's own kind."""
ORDERED = (
    "we expected a {adverbs}{denied} {thing} and found a {adverbs_2}{said} one .",
    "we found a {adverbs}{said} {thing} where we expected a {adverbs_2}{denied} one .",
    "the {thing} in {place} was not {adverbs}{denied} but {adverbs_2}{said} .",
    "the {thing} was {adverbs}{said} , not {adverbs_2}{denied} .",
    "{denied} at first , the {thing} was {adverbs}{said} in the end .",
    "in the end the {thing} was {adverbs}{said} , after a {adverbs_2}{denied} start .",
)
"""{denied} is of the other kind: exchanging the two words gives a review with the other label."""
IN_ORDER = 0.35
"""Share of reviews in which only the order decides."""
MISLABELLED = 0.03
"""Share of wrong labels, in both files, as people make them."""
SURE = (0.8, 0.9, 0.95, 0.98, 0.99)
"""Probabilities that the teacher gives its label."""


@dataclass(frozen=True)
class ReviewFiles:
    """The files of the demo."""

    train: Path
    report: Path
    unlabelled: Path
    teacher: Path
    """Probabilities of the labels for the reviews in `train` and `unlabelled`."""


def write_reviews(
    folder: Path, *, train: int = 1500, report: int = 1000, unlabelled: int = 6000, seed: int = 11
) -> ReviewFiles:
    """Write `train.tsv` and `report.tsv` (text, tab, label), `unlabelled.txt` and `teacher.jsonl`; the same arguments,
    the same bytes. No text is twice.
    """
    dice, found = Dice(seed), dict[str, bool]()
    while len(found) < train + report + unlabelled:
        text, pleased = _review(dice)
        found.setdefault(text, pleased)
    rows = list(found.items())
    labelled = [f"{text}\t{LABELS[pleased != dice.chance(MISLABELLED)]}" for text, pleased in rows[: train + report]]
    others = rows[train + report :]
    folder.mkdir(parents=True, exist_ok=True)
    names = ("train.tsv", "report.tsv", "unlabelled.txt", "teacher.jsonl")
    files = ReviewFiles(*(folder / name for name in names))
    for path, part in ((files.train, labelled[:train]), (files.report, labelled[train:])):
        write_text(path, "\n".join(["text\tlabel", *part]))
    write_text(files.unlabelled, "\n".join(text for text, _ in others))
    write_text(files.teacher, "\n".join(_answer(dice, *row) for row in (*rows[:train], *others)))
    return files


def _answer(dice: Dice, text: str, pleased: bool) -> str:
    """What the teacher says of a review, as a line of JSON."""
    sure = dice.pick(SURE)
    shares = {label: sure if label == LABELS[pleased] else round(1 - sure, 2) for label in LABELS}
    return json.dumps({"text": text, "probabilities": shares})


def _review(dice: Dice) -> tuple[str, bool]:
    """A text, and whether it is content."""
    pleased = dice.chance(0.5)
    own, other = (GOOD, BAD) if pleased else (BAD, GOOD)
    template = dice.pick(ORDERED if dice.chance(IN_ORDER) else PLAIN)
    thing, other_thing = dice.some(THINGS, 2)
    text = template.format(
        said=dice.rarely(own),
        also=dice.rarely(own),
        denied=dice.rarely(other),
        thing=thing,
        other_thing=other_thing,
        place=dice.pick(PLACES),
        day=dice.pick(DAYS),
        adverbs=_adverbs(dice),
        adverbs_2=_adverbs(dice),
    )
    return text, pleased


def _adverbs(dice: Dice) -> str:
    """None, one or two words before an adjective: they keep it away from the word that decides."""
    count = dice.pick((0, 1, 1, 2))
    return "".join(f"{word} " for word in dice.some(SOFTENERS, count))
