"""A small synthetic SQuAD 2.0 dataset generated from templates, so that the demo study needs no download.

It trains nothing and scores nothing, and its files state that their content is synthetic.

A passage states facts about a fictional person. Questions vary in difficulty, so that models of different sizes score
differently: common facts are learned first, rare ones late; half of the later sentences use "she" or "he" instead of
the name; every sentence and question has a second wording; the colours of doors and hats can only be distinguished by
the words around them; and some passages are about two people with the same kinds of facts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.demo.dice import SOURCE, Dice, write_text

NAMES = (
    *(
        "Abel",
        "Anka",
        "Arvo",
        "Bela",
        "Brann",
        "Cato",
        "Dara",
        "Dov",
        "Edda",
        "Elvo",
        "Fenna",
        "Finn",
        "Greta",
        "Gusto",
    ),
    *(
        "Hale",
        "Hedda",
        "Ilse",
        "Ivo",
        "Jarl",
        "Joni",
        "Kaja",
        "Kian",
        "Lasse",
        "Lene",
        "Lumi",
        "Marek",
        "Mira",
        "Nadia",
    ),
    *(
        "Nilo",
        "Odel",
        "Orla",
        "Pavel",
        "Perla",
        "Rana",
        "Rolf",
        "Runa",
        "Selma",
        "Silas",
        "Tove",
        "Ugo",
        "Vera",
        "Wanda",
    ),
    *("Yara", "Zeno"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of fact: its frequency, its values, its plain and alternative sentences, and its questions.

    {who} is the person and {fact} the value. The door and the hat share their colours, so only the words around a
    colour show which it is.
    """

    weight: int
    values: tuple[str, ...]
    plain: str
    other: str
    asks: tuple[str, str]


def _kind(weight: int, values: str, plain: str, other: str, ask: str, other_ask: str) -> Kind:
    return Kind(weight, tuple(values.split()), plain, other, (ask, other_ask))


_COLOURS = "black blue brown golden green grey pink purple red silver white yellow"
KINDS = (
    _kind(
        12,
        "Alvik Corvane Dunmere Eskel Glimvale Hollin Jorund Kelby Lormont Norvale Oslin Quarn",
        "{who} lives in {fact}.",
        "The home of {who} is in {fact}.",
        "Where does {who} live?",
        "In which town is {who} at home?",
    ),
    _kind(
        12,
        "badger crow duck ferret goat heron lizard otter parrot pigeon rabbit toad",
        "{who} keeps a {fact}.",
        "The pet of {who} is a {fact}.",
        "Which animal does {who} keep?",
        "What pet has {who}?",
    ),
    _kind(
        10,
        "baker carpenter doctor farmer judge miller painter sailor tailor teacher weaver smith",
        "{who} is a {fact}.",
        "The job of {who} is that of a {fact}.",
        "What is the job of {who}?",
        "How does {who} earn money?",
    ),
    _kind(
        10,
        "1801 1808 1815 1822 1829 1836 1843 1850 1857 1864 1871 1878",
        "{who} was born in {fact}.",
        "The birth of {who} was in {fact}.",
        "When was {who} born?",
        "In which year did the life of {who} begin?",
    ),
    _kind(
        8,
        "banjo cello drum fiddle flute harp lute organ trumpet viola whistle zither",
        "{who} plays the {fact}.",
        "The music of {who} is for the {fact}.",
        "Which instrument does {who} play?",
        "What can be heard from the room of {who}?",
    ),
    _kind(
        8,
        "bread butter carrots cheese honey lentils onions pears peas plums rice soup",
        "{who} likes {fact}.",
        "The best food of {who} is {fact}.",
        "Which food does {who} like?",
        "What is {who} glad to eat?",
    ),
    _kind(
        6,
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
        "{who} rests on {fact}.",
        "The free day of {who} is {fact}.",
        "On which day does {who} rest?",
        "When is {who} free?",
    ),
    _kind(
        6,
        "ash oak elm alder aspen hazel maple birch cedar willow rowan larch",
        "{who} planted one {fact}.",
        "The tree of {who} is the {fact}.",
        "Which tree did {who} plant?",
        "What grows in the garden of {who}?",
    ),
    _kind(
        5,
        "agate amber coal flint garnet jade marble onyx opal quartz ruby slate",
        "{who} found some {fact}.",
        "The find of {who} was {fact}.",
        "Which stone did {who} find?",
        "What came to {who} by luck?",
    ),
    _kind(
        4,
        "chess darts dice hockey marbles skittles tennis cricket bowls cards",
        "{who} is good at {fact}.",
        "The game of {who} is {fact}.",
        "Which game is {who} good at?",
        "What does {who} win prizes for?",
    ),
    _kind(
        4,
        "aunt brother cousin grandmother nephew niece sister uncle",
        "{who} visits an old {fact}.",
        "The guest of {who} is an old {fact}.",
        "Whom does {who} visit?",
        "Which relative matters to {who}?",
    ),
    _kind(
        3,
        "cocoa coffee juice lemonade milk tea water cider",
        "{who} drinks {fact}.",
        "The cup of {who} is full of {fact}.",
        "What does {who} drink?",
        "What helps {who} against thirst?",
    ),
    _kind(
        3,
        "Danish Dutch Finnish Gaelic Latin Polish Welsh Greek",
        "{who} speaks {fact}.",
        "The words of {who} are {fact}.",
        "Which language does {who} speak?",
        "How does {who} talk?",
    ),
    _kind(
        2,
        "barge bicycle canoe carriage sledge tram wagon train",
        "{who} travels by {fact}.",
        "The trips of {who} are by {fact}.",
        "How does {who} travel?",
        "What brings {who} to the market?",
    ),
    _kind(
        3,
        _COLOURS,
        "{who} has a {fact} door.",
        "The door of {who} is {fact}.",
        "What colour is the door of {who}?",
        "Which paint is on the house of {who}?",
    ),
    _kind(
        2,
        _COLOURS,
        "{who} has a {fact} hat.",
        "The hat of {who} is {fact}.",
        "What colour is the hat of {who}?",
        "Which shade is on the head of {who}?",
    ),
)
"""Rare kinds come last: a small or briefly trained student never learns them."""


QUESTIONS = 5
"""Questions per passage."""
FACTS_PER_PASSAGE = 5
"""Facts per passage, divided between the people if there are two."""
# Probabilities of an unanswerable question, of two people in a passage, and of the second wordings.
IMPOSSIBLE = 1 / 3
TWO_PEOPLE = 0.05
OTHER_TELLING = 0.25
OTHER_ASKING = 0.35


@dataclass(frozen=True)
class DemoFiles:
    """The two files of the demo."""

    train: Path
    report: Path


_DECK = tuple(kind for kind in KINDS for _ in range(kind.weight))


def _some_kinds(dice: Dice, count: int, besides: Sequence[Kind] = ()) -> list[Kind]:
    """`count` distinct kinds not in `besides`, weighted by frequency."""
    found: list[Kind] = []
    while len(found) < count:
        kind = dice.pick(_DECK)
        if kind not in found and kind not in besides:
            found.append(kind)
    return found


@dataclass(frozen=True)
class _Fact:
    who: str
    kind: Kind
    value: str
    start: int
    """Offset of `value` in the passage."""


def write_demo(folder: Path, *, articles: int = 60, passages: int = 30, seed: int = 7) -> DemoFiles:
    """Write `train.json` and `report.json` in SQuAD 2.0 format; the same arguments give the same bytes.

    One article in nine goes to the report split. One question in three is unanswerable. The defaults give 8,100
    training and 900 report questions. At most about 60 tokens a question with its passage.
    """
    dice = Dice(seed)
    made = [_article(dice, number, passages) for number in range(articles)]
    cut = max(articles // 9, 1)
    folder.mkdir(parents=True, exist_ok=True)
    files = DemoFiles(folder / "train.json", folder / "report.json")
    _write(files.train, made[cut:])
    _write(files.report, made[:cut])
    return files


def _write(path: Path, articles: list[dict[str, Any]]) -> None:
    write_text(path, json.dumps({"version": "v2.0", "source": SOURCE, "data": articles}, indent=1))


def _article(dice: Dice, number: int, passages: int) -> dict[str, Any]:
    paragraphs = [_paragraph(dice, f"made-{number:03}-{index:03}") for index in range(passages)]
    return {"title": f"Made village {number + 1}", "source": SOURCE, "paragraphs": paragraphs}


def _paragraph(dice: Dice, name: str) -> dict[str, Any]:
    people = dice.some(NAMES, 2 if dice.chance(TWO_PEOPLE) else 1)
    context, facts = _passage(dice, people)
    asked = [
        _unanswerable(facts, people, dice) if dice.chance(IMPOSSIBLE) else _answerable(dice.pick(facts), dice)
        for _ in range(QUESTIONS)
    ]
    return {"context": context, "qas": [{"id": f"{name}-{i}", **qa} for i, qa in enumerate(asked)]}


def _passage(dice: Dice, people: list[str]) -> tuple[str, list[_Fact]]:
    """Facts in random order. Two people have the same kinds of facts; a single person may be called "she" or "he"."""
    kinds = _some_kinds(dice, FACTS_PER_PASSAGE // len(people))
    plan = dice.some([(who, kind) for who in people for kind in kinds], len(kinds) * len(people))
    pronoun = dice.pick(("she", "he"))
    context = ""
    facts: list[_Fact] = []
    for who, kind in plan:
        taken = [fact.value for fact in facts]
        value = dice.pick([value for value in kind.values if value not in taken])
        plain = not dice.chance(OTHER_TELLING)
        subject = pronoun if plain and context and len(people) == 1 and dice.chance(0.5) else who
        sentence = (kind.plain if plain else kind.other).replace("{who}", subject)
        sentence = sentence[0].upper() + sentence[1:]
        facts.append(_Fact(who, kind, value, len(context) + sentence.index("{fact}")))
        context += sentence.replace("{fact}", value) + " "
    return context.strip(), facts


def _question(kind: Kind, who: str, dice: Dice) -> str:
    return kind.asks[dice.chance(OTHER_ASKING)].replace("{who}", who)


def _answerable(fact: _Fact, dice: Dice) -> dict[str, Any]:
    answers = [{"text": fact.value, "answer_start": fact.start}]
    return {"question": _question(fact.kind, fact.who, dice), "answers": answers, "is_impossible": False}


def _unanswerable(facts: list[_Fact], people: list[str], dice: Dice) -> dict[str, Any]:
    """A question about a kind of fact not in the passage or, if there are two people, possibly about a third person."""
    stated = [fact.kind for fact in facts]
    kind, who = _some_kinds(dice, 1, besides=stated)[0], dice.pick(people)
    if len(people) > 1 and dice.chance(0.5):
        kind, who = dice.pick(stated), dice.pick([name for name in NAMES if name not in people])
    return {"question": _question(kind, who, dice), "answers": [], "is_impossible": True}
