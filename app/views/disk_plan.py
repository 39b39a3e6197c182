"""How much of the disk a study will take: tokens, the teacher and its outputs, checkpoints. Pure arithmetic.

Estimates; what they rest on stands beside each constant. It reads no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.text import format as fmt

FEATURE_BYTES_A_TOKEN = {True: 11, False: 3}
"""Ids and segment types, with spans also places in the passage; by whether the task answers with spans."""
OUTPUT_BYTES = 2
"""A teacher's logit in fp16: two a token with spans, else one a class of each example."""
WEIGHT_BYTES = 4
TRAINING_COPIES = 3
"""The last checkpoint holds weights and the two moments of AdamW."""
TEACHER_TRAINING_COPIES = 1 + TRAINING_COPIES
"""While a teacher is trained: its best weights, and a last checkpoint."""


def disk_bytes(
    *,
    tokens: float | None,
    examples: int | None,
    spans: bool,
    labels: int,
    teacher_params: int | None,
    student_params: int | None,
    trials: int,
    slots: int,
    states: int | None = 0,
    pass_bytes: int = 0,
) -> dict[str, int | None]:
    """Bytes by what they hold; None where it cannot be known. `teacher_params` is 0 where no teacher is trained here.

    `student_params` are those during the training. `states` are the teacher's for the hidden loss; `pass_bytes` is what
    pruning keeps for each parameter beside a last checkpoint. `caches` are features, outputs, these and the trained
    teacher; `preparing` comes on top while that is trained.
    """
    features = outputs = None
    if tokens is not None and examples is not None:
        features = int(tokens * FEATURE_BYTES_A_TOKEN[spans])
        outputs = int(OUTPUT_BYTES * (2 * tokens if spans else labels * examples))
    teacher = None if teacher_params is None else WEIGHT_BYTES * teacher_params
    known = [one for one in (features, outputs, teacher, states) if one is not None]
    running = max(1, slots)
    each = WEIGHT_BYTES * (trials + running * TRAINING_COPIES) + pass_bytes * running
    return {
        "features": features,
        "outputs": outputs,
        "states": states,
        "teacher": teacher,
        "caches": sum(known) if len(known) == 4 else None,
        "preparing": None if teacher is None else teacher * TEACHER_TRAINING_COPIES,
        "checkpoints": each * student_params if student_params else None,
    }


def shortage(disk: Mapping[str, Any], free: int | None, min_free_gb: float) -> str:
    """Why a study would pause, or may, for a disk that is too full; empty if there is room or nothing is known."""
    kept = int(min_free_gb * 1e9)
    if free is None:
        return ""
    if free < kept:
        limit = f"runner.min_free_gb keeps {fmt.size(kept)} free"
        return f"only {fmt.size(free)} of the disk are free and {limit}, so it would pause at once"
    needs = sum(disk[part] or 0 for part in ("caches", "preparing", "checkpoints"))
    if needs <= free - kept:
        return ""
    return f"the disk may get too full: it needs up to {fmt.size(needs)}, and {fmt.size(free - kept)} can be used"


def room_words(free: int | None, min_free_gb: float) -> str:
    """`; 15 GB are free, 2.0 GB of them stay free (runner.min_free_gb)`; empty if it is not known."""
    stays = f", {fmt.size(min_free_gb * 1e9)} of them stay free (runner.min_free_gb)" if min_free_gb else ""
    return "" if free is None else f"; {fmt.size(free)} are free{stays}"


def sent_words(machines: Sequence[str], disk: Mapping[str, Any], data_bytes: int, unknown: str) -> str:
    """`a, b: at most about 620 MB to each, once`: the caches and the training file; whole, if they are known."""
    names = ", ".join(machines)
    if disk["caches"] is None:
        return f"{names}: caches and training data, once; their size is {unknown}"
    return f"{names}: at most about {fmt.size(disk['caches'] + data_bytes)} to each, once"


def caches_words(disk: Mapping[str, Any], unknown: str) -> str:
    """`about 960 MB: teacher 438 MB, its outputs 203 MB …; 1.8 GB more while it is trained`."""
    if disk["caches"] is None:
        return unknown
    names = {"teacher": "teacher", "outputs": "its outputs", "states": "its states", "features": "tokens"}
    parts = ", ".join(f"{words} {fmt.size(disk[name])}" for name, words in names.items() if disk[name])
    more = f"; {fmt.size(disk['preparing'])} more while it is trained" if disk["preparing"] else ""
    return f"about {fmt.size(disk['caches'])}: {parts}{more}"
