"""What pre-training would cost: texts, steps and disk, estimated before anything starts. It draws nothing.

Files are read as the worker will read them, and compared with the report file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.views.amounts import CHARACTERS_A_TOKEN, split_sizes
from bertdistill.app.views.transfer_inputs import Known, TransferRows
from bertdistill.engine.contract.spec import PretrainSpec
from bertdistill.engine.data.corpus import Held, allowed, corpus_file, form
from bertdistill.engine.families.phases import PRETRAIN_EPOCHS, WEIGHT_BYTES, pretraining_bytes
from bertdistill.engine.study.student import of_family, wanted_pretrain
from bertdistill.engine.study.study_spec import StudySpec

FAMILY = "transformer"
SPECIAL_TOKENS = 2

Lengths = Sequence[float]
"""Characters of each text."""


def pretrain_lengths(
    spec: StudySpec, index: int, table: PretrainSpec, known: Known, transfer: Sequence[TransferRows]
) -> Lengths | None:
    """Those of one table; None if they cannot be known yet. ConfigError if its file is unusable or the report's."""
    if table.kind == "file":
        named = f"pretrain.{index}"
        texts = corpus_file(table, named, spec.data, known.labels)
        report = Held.of(side for text in known.report for side in text if side)
        left = allowed(table, named, texts, {"report": report})
        return [len(text) for text in {form(text): text for text in left if text.strip()}.values()]
    if table.kind == "transfer":
        if any(one.rows is None for one in transfer):
            return None
        return [one.characters for one in transfer for _ in range(one.rows or 0)]
    every = [len(side) for side in dict.fromkeys(side for text in known.train for side in text if side)]
    if not every:
        return None
    read = split_sizes(spec.data, len(known.train))[0] / len(known.train)
    return every[: max(1, round(read * len(every)))]


def pretraining(spec: StudySpec, lengths: Sequence[Lengths | None], params: int | None) -> dict[str, Any] | None:
    """By name: `texts`, `tokens`, `least` and `most` steps before a trial, `bytes` of a result, `running_bytes`.

    None if no trial is pre-trained; single values are None if they are unknown. `params` are those of the largest
    student.
    """
    if not wanted_pretrain(spec):
        return None
    found: dict[str, Any] = dict.fromkeys(("texts", "tokens", "least", "most", "bytes", "running_bytes"))
    if params:
        found |= {"bytes": WEIGHT_BYTES * params, "running_bytes": pretraining_bytes(params)}
    known = [one for one in lengths if one is not None]
    if len(known) < len(lengths):
        return found
    tokens = [length / CHARACTERS_A_TOKEN for one in known for length in one]
    epochs = [value for value in of_family(spec, PRETRAIN_EPOCHS, FAMILY) if value]
    batches = [int(one) for one in of_family(spec, "pretrain_batch_size", FAMILY)]
    longest = max(int(one) for one in of_family(spec, "pretrain_max_length", FAMILY)) - SPECIAL_TOKENS
    inputs = sum(max(1, math.ceil(one / longest)) for one in tokens)
    return found | {
        "texts": len(tokens),
        "tokens": round(sum(tokens) + SPECIAL_TOKENS * inputs),
        "least": math.ceil(math.ceil(inputs / max(batches)) * min(epochs)),
        "most": math.ceil(math.ceil(inputs / min(batches)) * max(epochs)),
    }


def pretraining_words(found: Mapping[str, Any], unknown: str) -> str:
    """`about 6,920 texts with 180,000 tokens, 217 to 434 steps, once for all trials that would do the same; …`."""
    words = unknown
    if found["texts"] is not None:
        least, most = f"{found['least']:,}", f"{found['most']:,}"
        steps = least if least == most else f"{least} to {most}"
        words = f"about {found['texts']:,} texts with {found['tokens']:,} tokens, {steps} steps"
    disk = f"; at most {fmt.size(found['bytes'])} kept of each and {fmt.size(found['running_bytes'])} while it runs"
    return f"{words}, once for all trials that would do the same{disk if found['bytes'] else ''}"
