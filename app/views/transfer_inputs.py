"""What the transfer set of a study would add, checked before it starts: files as the worker will read them, and counts.

It draws nothing; kinds that change or generate texts count with the rows that they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bertdistill.app.views.amounts import split_sizes
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import DataSpec, TransferSpec
from bertdistill.engine.data.unlabelled import WORD, Text, normal, texts_of_file


@dataclass(frozen=True)
class Known:
    """What the texts are compared with. Empty if the data is on the hub."""

    train: Sequence[Text] = ()
    """Of the training file, which the validation split is cut from."""
    report: Sequence[Text] = ()
    labels: Sequence[str] = ()
    paired: bool = False


@dataclass(frozen=True)
class TransferRows:
    """One table."""

    rows: int | None
    """None if they cannot be known before they are read."""
    characters: float
    """Mean length of a text."""
    notice: str = ""


def transfer_rows(spec: TransferSpec, named: str, data: DataSpec, known: Known) -> TransferRows:
    """How many texts a table adds; ConfigError if its file cannot be read or nothing of it is left."""
    if spec.kind == "file":
        return _of_file(spec, named, data, known)
    if spec.kind == "words":
        words = {word for text in known.train for side in text if side for word in WORD.findall(side)}
        every = len(words) if known.train else None
        rows = spec.rows if every is None else min(spec.rows or every, every)
        return TransferRows(rows or None, sum(map(len, words)) / max(1, len(words)))
    lengths = [sum(len(side) for side in text if side) for text in known.train]
    return TransferRows(spec.rows or None, sum(lengths) / max(1, len(lengths)))


def _of_file(spec: TransferSpec, named: str, data: DataSpec, known: Known) -> TransferRows:
    """Texts of the report split never count; of those of the training file, the ones that are neither trained on nor
    validated with do, and how many that are depends on the split.
    """
    texts = texts_of_file(spec, data, known.labels, named, paired=known.paired)
    found = {form for form in map(normal, texts) if form[0] and form[1] != ""}
    reported = found & set(map(normal, known.report))
    trained = (found & set(map(normal, known.train))) - reported
    rest = len(found) - len(reported)
    read = sum(split_sizes(data, len(known.train))) / max(1, len(known.train))
    left = rest - round(read * len(trained))
    if not left:
        raise ConfigError(
            f"{spec.path} ({named}.path) has no text that is not in the training or the report file",
            hint="use other texts, or remove the table",
        )
    parts = [
        f"{len(reported):,} of the report file are left out" if reported else "",
        f"{len(trained):,} are in the training file, of which those of the training and validation splits are left out"
        if trained
        else "",
        f"{len(texts) - len(found):,} are empty or duplicates" if len(texts) > len(found) else "",
    ]
    counted = "; ".join(filter(None, parts))
    rows = min(spec.rows or left, left)
    less = f"{named}: only {left:,} of {spec.rows:,} wanted rows are left" if left < spec.rows else ""
    notice = f"{named}: of {len(texts):,} texts in {spec.path}, {counted}" if reported or trained else ""
    length = sum(len(side) for text in found for side in text if side) / len(found)
    return TransferRows(rows, length, "; ".join(filter(None, (less, notice))))
