"""How much a study reads: examples, windows and tokens, from an earlier preparation or estimated from the file.

It tokenises nothing: an estimate takes the length of a text in characters for its number of tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.study.outline import outline
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import Database

if TYPE_CHECKING:
    from bertdistill.app.views.transfer_inputs import TransferRows

CHARACTERS_A_TOKEN = 4.6
"""Of English text in WordPiece. On SQuAD 1.1 and 2.0 it gives 1 % too many windows or too few, and 3 % more tokens."""
SPECIAL_TOKENS = 3
ELSEWHERE = ("report", "report_split", "max_report_examples", "max_answer_length", "n_best")
"""Keys of `[data]` that say nothing about the training and validation splits and their tokens."""
TOKENIZER = ("model", "revision", "vocab_size")
"""Keys of `[teacher]` that decide how texts are cut into tokens."""


@dataclass(frozen=True)
class Amounts:
    """What is read: `windows` are what a step counts, `tokens` those of both splits and of the transfer set."""

    examples: int
    windows: int
    tokens: float
    exact: bool = False
    """Counted by a preparation, not estimated."""
    transfer: int | None = 0
    """Texts of the transfer set; None if they cannot be counted before they are read."""


def from_preparation(facts: Prepared) -> Amounts:
    """What a preparation counted."""
    tokens = facts.mean_length * (facts.train_features + facts.search_features)
    return Amounts(facts.train_examples, facts.train_features, tokens, exact=True)


def with_transfer(amounts: Amounts, data: DataSpec, tables: Sequence[TransferRows]) -> Amounts:
    """The same with the texts of the transfer set, as far as they are known."""
    counted = [(one.rows, _read_as(data, round(one.characters), None)[1]) for one in tables if one.rows is not None]
    tokens = amounts.tokens + sum(rows * each for rows, each in counted)
    rows = sum(rows for rows, _ in counted) if len(counted) == len(tables) else None
    return replace(amounts, tokens=tokens, transfer=rows)


def prepared_before(db: Database, spec: StudySpec) -> Prepared | None:
    """The facts of a study in this workspace that read the same data with the same tokenizer; None without one."""
    wanted = _reading(spec)
    with db.read() as session:
        for study in reversed(reads.studies(session)):
            facts, found = Prepared.from_dict(study.prepared), outline(study).spec
            same = facts.train_features > 0 and found is not None and _reading(found) == wanted
            if same and not _changed_since(spec.data, study.created_at):
                return facts
    return None


def _reading(spec: StudySpec) -> tuple[Any, ...]:
    read = {key: value for key, value in vars(spec.data).items() if key not in ELSEWHERE}
    return spec.task, read, [getattr(spec.teacher, key) for key in TOKENIZER]


def _changed_since(data: DataSpec, moment: float) -> bool:
    """Whether the training file was written after `moment`, or is gone."""
    try:
        return bool(data.train) and Path(data.train).stat().st_mtime > moment
    except OSError:
        return True


# ------------------------------------------------------------------------------------------------------------ estimates


def estimate(data: DataSpec, lengths: Sequence[tuple[int, int | None]]) -> Amounts:
    """Amounts of a training file from the lengths of its examples in characters (see `inputs`); one at least."""
    found = [_read_as(data, *one) for one in lengths]
    count = len(found)
    train, search = split_sizes(data, count)
    windows = sum(windows for windows, _ in found) / count
    tokens = sum(tokens for _, tokens in found) / count
    return Amounts(train, round(train * windows), tokens * (train + search))


def split_sizes(data: DataSpec, count: int) -> tuple[int, int]:
    """Examples to train on and to validate with, of so many in the training file."""
    train = round(count * (1 - data.search_fraction))
    return min(train, data.max_train_examples or train), min(count - train, data.max_search_examples or count)


def _read_as(data: DataSpec, passage: int, question: int | None) -> tuple[int, float]:
    """(windows, tokens in all of them) of an example, from its lengths in characters."""
    tokens = passage / CHARACTERS_A_TOKEN
    if question is None:
        return 1, min(tokens + SPECIAL_TOKENS - 1, data.max_length)
    beside = min(question / CHARACTERS_A_TOKEN + 1, data.max_question_length) + SPECIAL_TOKENS
    room = data.max_length - beside
    more = math.ceil(max(0.0, tokens - room) / max(1.0, room - data.doc_stride))
    return 1 + more, tokens + beside + more * (beside + data.doc_stride)
