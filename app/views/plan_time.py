"""How long a study takes, from trials of this workspace that were measured; it returns nothing where there are none.

It estimates nothing from sizes: only trials on the same data count, longer or shorter by their epochs and by
the share of the transfer set.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.engine.contract.terms import passes
from bertdistill.engine.study.outline import outline
from bertdistill.engine.study.student import proposed
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import TrialState

FEWEST = 3
"""Minimum number of trials for a meaningful median."""
SIZED = ("max_length", "max_train_examples", "train", "hub", "train_split", "doc_stride")
"""Keys of `[data]` that decide how much a trial reads."""


def measured_time(db: Database, spec: StudySpec) -> dict[str, Any] | None:
    """`trial_seconds` (worker time of one trial), `pass_seconds` (of one pass over the data), `seconds` (all of the
    budget in its slots, or None when the machine decides how many there are), and the `study` and number of `trials`
    that were measured; None without any."""
    wanted = sized(spec)
    with db.read() as session:
        for study in reversed(reads.studies(session)):
            found = outline(study).spec  # logged runs have none
            if found is None or sized(found) != wanted:
                continue
            complete = [t for t in reads.trials(session, study.id) if t.state == TrialState.COMPLETE]
            complete = [t for t in complete if not t.settings.get("pretrain_epochs")]  # once for many trials
            rates = [t.busy_seconds / passes(t.settings) for t in complete if t.busy_seconds > 0]
            if len(rates) >= FEWEST:
                seconds = median(rates) * _passes(spec)
                whole = seconds * spec.budget.trials / spec.runner.slots if spec.runner.slots else None
                one = {"trial_seconds": seconds, "pass_seconds": median(rates), "seconds": whole}
                return one | {"study": study.name, "trials": len(rates)}
    return None


def time_text(spec: StudySpec, time: Mapping[str, Any]) -> str:
    """`about 40m 00s: 14 trials of 5m 43s in 2 slots (median of 12 trials of demo)`."""
    one = f"a trial about {fmt.duration(time['trial_seconds'])}"
    source = f"(median of {time['trials']} trials of {time['study']})"
    if time["seconds"] is None:
        return f"{one} {source}"
    slots = f"{spec.runner.slots} slot{'s' * (spec.runner.slots > 1)}"
    return f"about {fmt.duration(time['seconds'])} in {slots}, {one} {source}"


def sized(spec: StudySpec) -> tuple[Any, ...]:
    return spec.task, *(getattr(spec.data, key) for key in SIZED)


def _passes(spec: StudySpec) -> float:
    """Of a trial in the middle of the space."""
    keys = ("epochs", "finetune_epochs", "batch_size", "alpha", "transfer_share")
    middle = {key: median(map(float, proposed(spec, key))) for key in keys}
    return passes(middle)
