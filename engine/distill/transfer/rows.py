"""The transfer set of a study as examples without labels, behind the labelled ones. It labels nothing."""

from __future__ import annotations

import dataclasses
from typing import Any

from bertdistill.engine.data.unlabelled import Text, normal
from bertdistill.engine.distill.data.examples import NO_LABEL, Examples, TextExample, cut, load_examples
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.transfer.material import Material
from bertdistill.engine.distill.transfer.table import transfer_texts


def with_transfer(run: Run, train: Examples, tokenizer: Any) -> Examples:
    """The labelled examples, then the rows that `[[transfer]]` describes.

    ConfigError if there are none, or if they are those of the report split.
    """
    material = Material(train.rows, train.labels, tokenizer.mask_token or tokenizer.unk_token or "", run)
    texts = transfer_texts(material, _held(run, train))
    rows = [TextExample(f"transfer-{i}", text, pair, NO_LABEL) for i, (text, pair) in enumerate(texts)]
    return dataclasses.replace(train, rows=[*train.rows, *rows])


def _held(run: Run, train: Examples) -> dict[str, set[Text]]:
    parts = held_back(run, train)
    return {name: {normal((row.text, row.pair)) for row in part.rows} for name, part in parts.items()}


def held_back(run: Run, train: Examples) -> dict[str, Examples]:
    """The validation and the report split, all of them, however few of their examples are used."""
    data = dataclasses.replace(run.spec.data, max_search_examples=0, max_report_examples=0)
    _, search = cut(load_examples(data, train.task, "train", train.labels), data)
    return {"validation": search, "report": load_examples(data, train.task, "report", train.labels)}
