"""A word before a trial starts that will hardly fit into memory. It refuses nothing: it is an estimate.

Only recent trials are looked at, because a study may have 100,000.
"""

from __future__ import annotations

from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.devices import memory_bytes
from bertdistill.engine.study import memory
from bertdistill.store import reads
from bertdistill.store.db import Reading
from bertdistill.store.rows import Trial, TrialState

RECENT = 50
PEAK = "peak_memory_mb"


def memory_warning(session: Reading, trial: Trial, device: Device) -> str:
    """One sentence if the trial is estimated to need more memory than there is for it; else, or if that is unknown,
    nothing.
    """
    load, room = memory.load_of(trial.settings, trial.known), memory_bytes(device)
    if load is None or room is None:
        return ""
    fitted = memory.fit(_measured(session, trial))
    if fitted is None or fitted.estimate(load) * 1e6 <= room:
        return ""
    needed = fitted.estimate(load) / 1e3
    return (
        f"Trial {trial.number} may need {needed:.1f} GB of memory, estimated from {fitted.trials} trials; there are "
        f"{room / 1e9:.1f} GB. If that is not enough, it is started once more with half its batch."
    )


def _measured(session: Reading, trial: Trial) -> list[tuple[memory.Load, float]]:
    recent = reads.trials_by_id(session, range(max(1, trial.id - RECENT), trial.id))
    found = []
    for one in recent:
        load = memory.load_of(one.settings, one.known)
        if one.study_id == trial.study_id and one.state == TrialState.COMPLETE and load and one.metrics.get(PEAK):
            found.append((load, float(one.metrics[PEAK])))
    return found
