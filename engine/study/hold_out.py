"""Holds a tenth of one's own examples out, where there is one file: the report needs one that no training sees.

It writes two new files and never changes the data itself.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.data.columns import find_columns
from bertdistill.engine.data.files import source_name
from bertdistill.engine.data.labels import label_texts
from bertdistill.engine.data.questions import QAExample, file_questions
from bertdistill.engine.data.tables import cell_text, file_table
from bertdistill.engine.study.template import holds_questions

SHARE = 0.1
FEWEST = 30
"""Examples below which nothing is held out: a tenth of them would say nothing."""
SEED = 1
Example = TypeVar("Example")
_Parts = tuple[str, list[str], list[int], tuple[str, str, str], tuple[str, ...]]
"""Suffix, contents and counts of both files; the columns of text, second text and label; notices."""


def hold_out(data: DataSpec, folder: Path, name: str) -> tuple[DataSpec, str]:
    """The data with a report file of its own, both written into `folder`, and what was done in a sentence.

    Examples with the same text, or about the same passage, stay on one side. Unchanged, and no sentence, if there are
    too few. ConfigError for data that cannot be read.
    """
    parts = _questions(data) if holds_questions(data) else _texts(data)
    if parts is None:
        return data, ""
    suffix, written, counts, columns, notices = parts
    digest = hashlib.sha256("".join(written).encode()).hexdigest()[:8]  # data that changed is another pair of files
    paths = [folder / f"{name}-{digest}.{part}{suffix}" for part in ("train", "report")]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, text in zip(paths, written, strict=True):
        path.write_text(text, encoding="utf-8")
    words = f"{counts[1]:,} of {sum(counts):,} examples are held out for the report, in {paths[1].name}"
    words = "; ".join((words, *notices))  # the data itself is not read again
    text, pair, label = columns
    found = replace(data, text_column=text, text_pair_column=pair, label_column=label)
    return replace(found, train=str(paths[0]), report=str(paths[1])), words


def _texts(data: DataSpec) -> _Parts | None:
    source = source_name(data, "train")
    table = file_table(data, "train")
    if len(table.rows) < FEWEST:
        return None
    at = find_columns(table, data, source)
    labels = label_texts([row[at.label] for row in table.rows], source, data.labels)
    used = {at.text: "text", at.label: "label"} | ({} if at.pair is None else {at.pair: "text_pair"})
    names = {column: table.names[column] if table.names else name for column, name in used.items()}
    rows = [
        {names[column]: label if column == at.label else cell_text(row[column]) for column in sorted(names)}
        for row, label in zip(table.rows, labels, strict=True)
    ]
    sides = _split(rows, lambda row: row[names[at.text]])
    written = ["".join(f"{_json(row)}\n" for row in side) for side in sides]
    columns = (names[at.text], "" if at.pair is None else names[at.pair], names[at.label])
    return ".jsonl", written, [len(side) for side in sides], columns, table.notices


def _questions(data: DataSpec) -> _Parts | None:
    rows, notices = file_questions(data, "train")
    if len(rows) < FEWEST:
        return None
    sides = _split(rows, lambda row: row.context)
    written = [_json(_squad(side)) for side in sides]
    return ".json", written, [len(side) for side in sides], ("", "", ""), tuple(notices)


def _split(rows: Sequence[Example], key: Callable[[Example], Hashable]) -> tuple[list[Example], list[Example]]:
    """Most of the rows and about a tenth, both in their order; never the same key on both sides."""
    counts = Counter(map(key, rows))
    keys = list(counts)
    random.Random(SEED).shuffle(keys)
    held: set[Hashable] = set()
    many = 0
    for one in keys[:-1]:
        if many >= SHARE * len(rows):
            break
        held.add(one)
        many += counts[one]
    return [row for row in rows if key(row) not in held], [row for row in rows if key(row) in held]


def _squad(rows: Sequence[QAExample]) -> dict[str, Any]:
    """The questions as SQuAD JSON, a paragraph for each passage."""
    passages: dict[tuple[str, str], list[QAExample]] = {}
    for row in rows:
        passages.setdefault((row.title, row.context), []).append(row)
    return {
        "version": "v2.0",
        "data": [
            {"title": title, "paragraphs": [{"context": context, "qas": [_question(row) for row in found]}]}
            for (title, context), found in passages.items()
        ],
    }


def _question(row: QAExample) -> dict[str, Any]:
    answers = [{"text": text, "answer_start": at} for text, at in zip(row.answers, row.starts, strict=True)]
    return {"id": row.id, "question": row.question, "is_impossible": row.impossible, "answers": answers}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
