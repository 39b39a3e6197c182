"""Decide which attempt starts next, and on which slot, if there is enough disk space.

It proposes no parameters and settles only what could not be started. How an attempt starts is in `dispatch`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from bertdistill.engine.contract.errors import LaunchError
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.protocol import Exit, Launcher, Slot
from bertdistill.engine.launch.slots import SlotSettings, devices_of, fits, gpu_loads, usable
from bertdistill.engine.runner import dispatch, retention, settle
from bertdistill.engine.runner.lookups import Lookups
from bertdistill.engine.runner.rules import (
    HOST_OOM,
    by_fit,
    launched,
    out_of_hours,
    place_in_queue,
    preparation_slots,
    runs_alone,
    slot_settings,
)
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads, writes
from bertdistill.store.db import Database, Reading
from bertdistill.store.rows import Attempt, Study, Trial

SLOTS_SECONDS = 60.0
"""Seconds for which the list of slots is cached: NVML is slow. A fleet caches those of this machine by itself."""
BUSY_NOTICE_SECONDS = 600.0
LAUNCH_SECONDS = 2.0
"""After so long a tick starts nothing more: a launcher or a disk may be slow, and stops must not wait."""

log = logging.getLogger("bertdistill.runner")


@dataclass
class Scheduler:
    """Fills free slots."""

    workspace: Workspace
    db: Database
    launcher: Launcher
    lookups: Lookups
    at_study: Callable[[int], AbstractContextManager[None]]
    steady: Callable[[], float]
    pause: Callable[[Study, str, float], None]
    failed: set[int]
    """Studies with a failure that has not been diagnosed yet; shared with the collector."""
    _slots: dict[SlotSettings, tuple[float, int, list[Slot]]] = field(default_factory=dict)
    _busy_said: dict[str, float] = field(default_factory=dict)
    _launched: dict[int, float] = field(default_factory=dict)

    def launch(self, now: float) -> None:
        """Fill the free slots, one attempt a study in turn: the study with the fewest workers first."""
        refused: set[int] = set()
        began = self.steady()
        while True:
            with self.db.read() as session:
                live = launched(reads.live_attempts(session))
                prepared = {one.study_id for one in live if one.kind == "prepare"}
                if reads.live_with_reason(session, HOST_OOM) or any(_prepares_alone(session, one) for one in prepared):
                    return  # it runs alone
            studies = [study for study in self.lookups.running() if study.id not in refused]
            if alone := [study for study in studies if self._is_alone(study, live) and self._has_place(study)]:
                if live:
                    return  # nothing new, so that its turn comes
                studies = alone
            studies.sort(key=lambda one: (_count(live, one), self._launched.get(one.id, 0.0)))
            if not any(self._start_one(study, live, now, refused) for study in studies):
                return
            if self.steady() - began > LAUNCH_SECONDS:
                return

    def free_slots(self, spec: StudySpec, study: Study, live: Sequence[Attempt]) -> list[Slot]:
        """Slots for one more worker of this study, best first, if it and the machine have one left.

        On GPUs these are more than the study may fill: other people may be using some of them.
        """
        key = slot_settings(spec) if study.prepared is not None else preparation_slots(spec)
        own, slots = self._slots_for(key)
        most = max(len(found) for _, _, found in self._slots.values())
        if _count(live, study) >= own or len(live) >= most:
            return []
        names = {attempt.slot for attempt in live}
        used = devices_of(live)
        if any(slot.device.kind == "cuda" for slot in slots):
            used += dispatch.devices_in_use(self.db, self.workspace, self.launcher)
        loads = gpu_loads(used)
        free = [slot for slot in slots if slot.name not in names and fits(slot.device, loads)]
        return free if study.prepared is not None else by_fit(free)

    def has_room(self, study: Study, spec: StudySpec, now: float) -> bool:
        """Whether there is enough disk space; removes what is not needed, and pauses the study if still short."""
        wanted = int(spec.runner.min_free_gb * 1e9)
        if retention.free_bytes(self.workspace.path) >= wanted:
            return True
        retention.make_room(self.db, self.workspace, wanted, now=now)
        free = retention.free_bytes(self.workspace.path)
        if free >= wanted:
            return True
        self.pause(study, retention.short_words(free, spec.runner.min_free_gb, self.workspace.path, study.name), now)
        return False

    def _start_one(self, study: Study, live: Sequence[Attempt], now: float, refused: set[int]) -> bool:
        """Start what is next in a study; False when there is nothing, or no room."""
        with self.at_study(study.id):
            spec = self.lookups.spec(study)
            free = self.free_slots(spec, study, live)
            ready, trial = self._next(study, spec, live)
            if not free or not ready:
                return False
            room = self.has_room(study, spec, now)
            slot = next((one for one in free if not self._is_busy(one, study, now)), None) if room else None
            if slot is None:
                refused.add(study.id)
                return False
            if trial is None and not live:
                slot = self.launcher.whole(
                    slot
                )  # all trials wait for a preparation, so no other worker needs the cores
            try:
                attempt = dispatch.begin(
                    self.db, self.workspace, self.launcher, study=study, spec=spec, trial=trial, slot=slot, now=now
                )
            except LaunchError as error:
                refused.add(study.id)
                self._launch_failed(study, trial, spec, error, now)
                return False
            self._launched[study.id] = now
            if attempt is not None:
                log.info("%s started on %s", attempt.folder, slot.name)
            return attempt is not None

    def _next(self, study: Study, spec: StudySpec, live: Sequence[Attempt]) -> tuple[bool, Trial | None]:
        """What to start next: (True, None) is the preparation, (False, None) nothing."""
        if study.prepared is None:
            return not any(one.study_id == study.id for one in live), None
        waiting = self.lookups.waiting(study)
        running = {attempt.trial_id for attempt in live}
        late = out_of_hours(study, spec)
        ready = [one for one in waiting if one.id not in running and not (late and one.started_at is None)]
        return bool(ready), min(ready, key=place_in_queue, default=None)

    def _is_alone(self, study: Study, live: Sequence[Attempt]) -> bool:
        """Whether what this study starts next must run alone."""
        ready, trial = self._next(study, self.lookups.spec(study), live)
        if trial is not None or not ready:
            return trial is not None and runs_alone(trial)
        with self.db.read() as session:
            return _prepares_alone(session, study.id)

    def _has_place(self, study: Study) -> bool:
        """Whether it could start something if nothing else ran: what is away holds no other study up."""
        slots = self.free_slots(self.lookups.spec(study), study, ())
        return any(not self.launcher.busy(slot) for slot in slots)

    def _launch_failed(
        self, study: Study, trial: Trial | None, spec: StudySpec, error: LaunchError, now: float
    ) -> None:
        """The row of the attempt is there; it ends here, as a failure of the machine."""
        with self.db.read() as session:
            if trial is not None:
                attempt = reads.attempts(session, trial_id=trial.id, newest=1)[0]
            else:
                attempt = reads.attempts(session, study_id=study.id, kind="prepare", newest=1)[0]
        ended = Exit("launch_failed", log_tail=str(error), ended_at=now)
        settle.settle(self.db, attempt.id, ended, wanted=(), retries=spec.runner.retries, now=now)
        self.failed.add(study.id)

    def _slots_for(self, key: SlotSettings) -> tuple[int, list[Slot]]:
        """How many workers the study may have at once, and the slots that these may take: of GPUs all there are."""
        at, own, slots = self._slots.get(key, (0.0, 0, []))
        if not slots or key.machines or time.monotonic() - at > SLOTS_SECONDS:
            own, slots = usable(self.launcher, key)
            self._slots[key] = (time.monotonic(), own, slots)
        return own, slots

    def _is_busy(self, slot: Slot, study: Study, now: float) -> bool:
        """Whether other users are using this slot now; reported once in ten minutes."""
        reason = self.launcher.busy(slot)
        steady = self.steady()
        if reason and steady - self._busy_said.get(slot.name, float("-inf")) > BUSY_NOTICE_SECONDS:
            self._busy_said[slot.name] = steady
            with self.db.write() as session:
                text = f"Slot {slot.name} is skipped: {reason}."
                writes.add_notice(session, level="warning", text=text, now=now, study_id=study.id)
        return bool(reason)


def _prepares_alone(session: Reading, study_id: int) -> bool:
    """Whether nothing may run beside the preparation of this study: it ran out of main memory before."""
    return reads.has_ended_as(session, study_id, "prepare", HOST_OOM)


def _count(live: Sequence[Attempt], study: Study) -> int:
    return sum(attempt.study_id == study.id for attempt in live)
