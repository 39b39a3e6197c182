"""Small rules of the runner as pure functions: when a study has had enough, what waits first, what fits a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bertdistill.engine.launch.machines import AUTO, LOCAL
from bertdistill.engine.launch.protocol import Slot
from bertdistill.engine.launch.slots import SlotSettings
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.tasks.table import METRICS
from bertdistill.store.rows import Attempt, Study, Trial, TrialState

HOST_OOM = "host_oom"
"""Class of an end for lack of main memory. Often another worker used it, so the same is run once more, alone; until
that attempt has ended a trial carries this reason."""


CUDA_OOM = "cuda_oom"
"""Class of an end for lack of a GPU's memory."""


LOGGED = "logged"
"""Key in the handle of an attempt that logs itself, and origin of its trial."""


def is_logged(attempt: Attempt) -> bool:
    """Whether it is someone's own training, which no runner started and none can stop."""
    return LOGGED in attempt.handle


def launched(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Those that a runner started, and that use its slots."""
    return [one for one in attempts if not is_logged(one)]


def slot_settings(spec: StudySpec) -> SlotSettings:
    """Which slots the study may use."""
    return SlotSettings(spec.runner.slots, spec.runner.slots_per_gpu, tuple(spec.runner.machines))


def preparation_slots(spec: StudySpec) -> SlotSettings:
    """Which slots its preparation may use: of one machine, or of all of its machines, this one first."""
    place = spec.runner.prepare_on
    wanted = spec.runner.machines if place == AUTO else [place]
    far = [name for name in wanted if name != LOCAL]
    machines = (LOCAL, *far) if place == AUTO and far else tuple(far)
    return SlotSettings(spec.runner.slots, spec.runner.slots_per_gpu, machines)


def by_fit(slots: Iterable[Slot]) -> list[Slot]:
    """Where a preparation runs best first: on a GPU, then in the order given."""
    return sorted(slots, key=lambda slot: slot.device.kind != "cuda")


def runs_alone(trial: Trial) -> bool:
    """Whether the trial must run alone: it ran out of main memory, perhaps because of other trials."""
    return trial.reason == HOST_OOM and trial.state in (TrialState.WAITING, TrialState.RUNNING)


def out_of_hours(study: Study, spec: StudySpec) -> bool:
    """Whether the study has run for longer than its hours."""
    return 0 < spec.budget.hours * 3600 <= study.busy_seconds


def over_limit(spec: StudySpec, known: Mapping[str, float]) -> tuple[str, str] | None:
    """Class and sentence when what is known before training breaks a threshold: such a trial needs no run."""
    for objective in spec.objectives:
        value = known.get(objective.metric)
        if (
            objective.metric in METRICS
            and METRICS[objective.metric].known_before
            and value is not None
            and not objective.feasible(value)
        ):
            side = "below" if objective.direction == "maximize" else "above"
            return "limit", f"{objective.metric} is {value:,.6g}, {side} the threshold {objective.threshold:,.6g}"
    return None


def place_in_queue(trial: Trial) -> tuple[bool, bool, bool, bool, int]:
    """Trials that had begun are resumed first, then what users requested, then the rest, each by number.

    Trials that have failed come after all of these: each says once how it fares before one is tried again. Last come
    those that run alone, for all others must have ended then.
    """
    return (
        runs_alone(trial),
        trial.failures > 0,
        trial.started_at is None,
        trial.origin not in ("queued", "rerun", "baseline"),
        trial.number,
    )
