"""How much memory the workers of a study need at most, from trials of this workspace that were measured.

Estimated from their peaks and the sizes of this study's students; nothing where no trial on the same data was measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.views.plan_sizes import students
from bertdistill.app.views.plan_time import sized
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.devices import DRIVER_SIGNS, memory_bytes
from bertdistill.engine.study import memory
from bertdistill.engine.study.memory import Memory
from bertdistill.engine.study.outline import outline
from bertdistill.engine.study.student import known, possible
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import Database
from bertdistill.store.rows import Trial, TrialState

PEAK = "peak_memory_mb"


def measured_memory(db: Database, spec: StudySpec) -> dict[str, Any] | None:
    """`mb` that a worker of the largest student needs, and the `study` and number of `trials` that were measured."""
    wanted = sized(spec)
    with db.read() as session:
        for study in reversed(reads.studies(session)):
            found = outline(study).spec
            if found is None or sized(found) != wanted or not study.prepared:
                continue
            fitted = _fitted(reads.trials(session, study.id))
            most = fitted and _most(fitted, spec, Prepared.from_dict(study.prepared))
            if fitted and most:
                return {"mb": most, "study": study.name, "trials": fitted.trials}
    return None


def _fitted(trials: list[Trial]) -> Memory | None:
    complete = [one for one in trials if one.state == TrialState.COMPLETE and one.metrics.get(PEAK)]
    loads = [(memory.load_of(one.settings, one.known), float(one.metrics[PEAK])) for one in complete]
    return memory.fit((load, peak) for load, peak in loads if load is not None)


def _most(fitted: Memory, spec: StudySpec, facts: Prepared) -> float:
    """Of the largest student and batch, as far above the estimate as any measured trial was; 0: unknown."""
    batch = max(map(int, possible(spec, "batch_size")))
    found = [0.0]
    for settings in students(spec):
        try:
            sizes = known(spec, facts, settings)
        except ConfigError:
            continue
        load = memory.load_of(dataclasses.asdict(settings) | {"batch_size": batch}, sizes)
        found.append(fitted.most * fitted.estimate(load) if load else 0.0)
    return max(found)


def main_memory(spec: StudySpec) -> int | None:
    """Bytes of this machine's main memory; None if the workers use GPUs or other machines, or it does not say."""
    if spec.runner.machines or any(Path(sign).exists() for sign in DRIVER_SIGNS):
        return None
    return memory_bytes(Device())


def memory_text(spec: StudySpec, found: Mapping[str, Any], total: int | None = None) -> str:
    """`at most about 610 MB a worker, 1.2 GB in 2 slots (12 trials of demo)`; the machine has `total` bytes."""
    slots = max(spec.runner.slots, 1)
    every = slots * found["mb"] * 1e6
    text = f"at most about {fmt.size(found['mb'] * 1e6)} a worker"
    if slots > 1:
        text += f", {fmt.size(every)} in {slots} slots"
    text += f" ({found['trials']} trials of {found['study']})"
    if total is not None and every > total:
        text += f"; this machine has {fmt.size(total)}: use fewer slots, or a smaller batch_size and more accumulation"
    return text
