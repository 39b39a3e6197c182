"""Why things wait: on paper for every reason, and the slots as the scheduler sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import CPU, FixedSlots, study_spec

from bertdistill.engine.contract.spec import Device
from bertdistill.engine.launch.local import LocalLauncher
from bertdistill.engine.launch.protocol import Slot
from bertdistill.engine.launch.slots import Capacity, SlotSettings, SlotState, look, on_other_host
from bertdistill.engine.runner import waiting
from bertdistill.engine.runner.waiting import Shared, StudyNow
from bertdistill.store.rows import Attempt, Study, StudyState, Trial, TrialState

FREE = Capacity(
    (SlotState(Slot("cpu0", CPU)), SlotState(Slot("cpu1", CPU))),
    {SlotSettings(2): 2},
    2,
)


def attempt(id_: int, *, study: int = 1, trial: int | None = 1, slot: str = "cpu0", **more: Any) -> Attempt:
    given = {"kind": "trial", "number": 1, "folder": "", "started_at": 1.0, **more}
    return Attempt(id=id_, study_id=study, trial_id=trial, slot=slot, **given)


def trial(number: int, **more: Any) -> Trial:
    return Trial(**{"id": number + 10, "study_id": 1, "number": number, "created_at": 1.0, **more})


@dataclass
class Desk:
    """One study on paper; `queue` says (item, number, place, reason) of all that waits."""

    tmp_path: Path
    trials: Sequence[Trial] = ()
    state: StudyState = StudyState.RUNNING
    prepared: Mapping[str, Any] | None = field(default_factory=dict)
    alone: bool = False
    diagnosis: str = ""
    busy_seconds: float = 0.0
    sections: Mapping[str, Any] = field(default_factory=dict)

    def now(self) -> StudyNow:
        prepared = None if self.prepared is None else dict(self.prepared)
        study = Study(
            id=1, name="toy", task="", state=self.state, prepared=prepared, created_at=1.0,
            diagnosis=self.diagnosis, busy_seconds=self.busy_seconds,
        )  # fmt: skip
        return StudyNow(study, study_spec(self.tmp_path, **self.sections), list(self.trials))

    def items(self, *live: Attempt, capacity: Capacity = FREE, alive: bool = True, going: bool = False) -> list[Any]:
        bench = Shared(live, capacity, alive, going, frozenset({1} if self.alone else ()))
        return [(w.item, w.trial, w.position, w.reason) for w in waiting.waiting([self.now()], bench)]

    def why(self, *live: Attempt, capacity: Capacity = FREE, alive: bool = True) -> list[str]:
        return [f"{w.why}; {w.note}" for w in waiting.waiting([self.now()], Shared(live, capacity, alive))]


def test_the_queue_is_in_the_order_of_the_runner(tmp_path: Path) -> None:
    """What had begun goes on first, then what people asked for, then proposals; two slots are free."""
    trials = [trial(1), trial(2, origin="queued"), trial(3, started_at=2.0)]
    assert [("trial", 3, 1, "next"), ("trial", 2, 2, "next"), ("trial", 1, 3, "queue")] == Desk(
        tmp_path, trials
    ).items()


@pytest.mark.parametrize(
    ("state", "diagnosis", "words"),
    [
        (StudyState.PAUSED, "", "the study is paused; "),
        (StudyState.PAUSED, "3 attempts crashed", "the study is paused: 3 attempts crashed; "),
        (StudyState.STOPPED, "", "the study is stopped; "),
        (StudyState.FAILED, "no data", "the study failed: no data; "),
    ],
)
def test_a_study_that_does_not_run_holds_up_its_trials(
    tmp_path: Path, state: StudyState, diagnosis: str, words: str
) -> None:
    """Its own diagnosis is told with it."""
    desk = Desk(tmp_path, [trial(1)], state, diagnosis=diagnosis)
    assert [words] == desk.why()
    assert [("trial", 1, 1, state.value)] == desk.items()


def test_without_a_runner_nothing_starts(tmp_path: Path) -> None:
    """Nor with one that was asked to leave."""
    desk = Desk(tmp_path, [trial(1)])
    assert [("trial", 1, 1, "no runner")] == desk.items(alive=False)
    assert [("trial", 1, 1, "leaving")] == desk.items(going=True)


def test_the_preparation_comes_first(tmp_path: Path) -> None:
    """It waits itself, and when it runs the trials wait for it."""
    desk = Desk(tmp_path, [trial(1)], prepared=None)
    assert [("preparation", None, 1, "next"), ("trial", 1, 1, "preparing")] == desk.items()
    assert [("trial", 1, 1, "preparing")] == desk.items(attempt(1, trial=None))


def test_a_preparation_that_ran_out_of_main_memory_waits_for_everyone(tmp_path: Path) -> None:
    """As a trial does: it is started once more, alone."""
    desk, other = Desk(tmp_path, prepared=None, alone=True), attempt(1, study=2)
    assert [("preparation", None, 1, "alone")] == desk.items(other)
    assert [("preparation", None, 1, "next")] == desk.items()
    assert [("preparation", None, 1, "next")] == Desk(tmp_path, prepared=None).items(other)


def test_while_a_study_is_prepared_its_first_proposal_waits(tmp_path: Path) -> None:
    """So the queue says what comes next, and that the preparation comes first."""
    desk = Desk(tmp_path, prepared=None)
    assert [("preparation", None, 1, "next")] == desk.items()
    assert [("proposal", None, 1, "preparing")] == desk.items(attempt(1, trial=None))
    assert ["the preparation of the study comes first; "] == desk.why(attempt(1, trial=None))


def test_a_budget_of_hours_that_is_used_up_holds_up_what_has_not_begun(tmp_path: Path) -> None:
    """What had begun goes on to its end."""
    trials = [trial(1), trial(2, started_at=2.0)]
    desk = Desk(tmp_path, trials, sections={"budget": {"trials": 5, "hours": 1.0}}, busy_seconds=4000)
    assert [("trial", 2, 1, "next"), ("trial", 1, 2, "hours")] == desk.items()
    assert "the study's 1 hours are used up; " == desk.why()[1]


def test_slots_of_the_study_and_of_the_machine_are_told_apart(tmp_path: Path) -> None:
    """One is mended by more workers for the study, the other only by waiting."""
    desk = Desk(tmp_path, [trial(1)])
    assert ["no free slot: the study has 2 of 2 workers; "] == desk.why(attempt(1, trial=90), attempt(2, trial=91))
    others = (attempt(1, study=2), attempt(2, study=2, slot="cpu1"))
    assert ["no free slot: 2 workers of all studies run; "] == desk.why(*others)


def test_slots_that_other_people_use_are_named_with_the_cause(tmp_path: Path) -> None:
    """The text is what NVML said."""
    capacity = Capacity(
        (SlotState(Slot("gpu0", CPU), reason="process 7 of someone else holds 3.0 GiB"),), {SlotSettings(2): 1}, 1
    )
    assert ["no free slot: gpu0: process 7 of someone else holds 3.0 GiB; "] == Desk(tmp_path, [trial(1)]).why(
        capacity=capacity
    )
    assert [("trial", 1, 1, "busy")] == Desk(tmp_path, [trial(1)]).items(capacity=capacity)


def test_an_attempt_that_still_ends_holds_up_its_own_trial(tmp_path: Path) -> None:
    """The trial waits again, but its process is not gone."""
    assert [("trial", 1, 1, "ending")] == Desk(tmp_path, [trial(1)]).items(attempt(1, trial=11))


def test_retries_say_what_happened_before(tmp_path: Path) -> None:
    """A stop without a failure leaves a checkpoint to go on from."""
    desk = Desk(tmp_path, [trial(1, started_at=2.0, failures=1, reason="crashed"), trial(2, started_at=2.0)])
    assert [
        "starts at the runner's next check; resumes from its checkpoint",
        "starts at the runner's next check; retry 1 of 2 after crashed",
    ] == desk.why()


def test_the_next_proposal_waits_when_no_trial_does(tmp_path: Path) -> None:
    """So a study at rest says why; one without budget, or at its end, has nothing that waits."""
    assert [("proposal", None, 1, "next")] == Desk(tmp_path).items()
    assert [("proposal", None, 1, "paused")] == Desk(tmp_path, state=StudyState.PAUSED).items()
    done = [trial(n, state=TrialState.COMPLETE) for n in range(5)]
    assert [] == Desk(tmp_path, done).items()
    assert [] == Desk(tmp_path, [trial(1)], StudyState.COMPLETE).items()


def test_a_runner_that_was_asked_to_leave_is_known_by_its_workers() -> None:
    """The request is handled at once; its workers still carry the reason."""
    assert waiting.leaving([attempt(1, stop_reason="runner")], [])
    assert waiting.leaving([], ["stop_runner"])
    assert not waiting.leaving([attempt(1)], ["pause"])


def test_the_newest_worker_is_one_that_nobody_asked_to_leave(tmp_path: Path) -> None:
    """Preparations and workers of other studies are not meant."""
    live = [attempt(1), attempt(2), attempt(3, stop_reason="trial"), attempt(4, trial=None), attempt(5, study=2)]
    found = waiting.newest_worker(Desk(tmp_path).now(), live)
    assert found is not None
    assert 2 == found.id
    assert None is waiting.newest_worker(Desk(tmp_path).now(), [])


def test_cpu_slots_are_shares_of_the_cores() -> None:
    """As many as any study wants; a worker has its slot, and one in a slot of an earlier wish is not lost."""
    launcher = LocalLauncher(environ={"CUDA_VISIBLE_DEVICES": ""})
    capacity = look(launcher, [SlotSettings(2), SlotSettings(1)], [attempt(7, slot="cpu1"), attempt(8, slot="cpu5")])
    assert [("cpu0", None), ("cpu1", 7), ("cpu5", 8)] == [(place.slot.name, place.attempt) for place in capacity.slots]
    assert ({SlotSettings(2): 2, SlotSettings(1): 1}, 2) == (capacity.own, capacity.most)
    assert ["cpu0"] == [place.slot.name for place in look(launcher, [], []).slots]


def test_gpu_slots_are_busy_shared_or_free() -> None:
    """By UUID: a GPU that is given away whole has no capacity for a shared slot."""
    slots = tuple(Slot(f"gpu{n}", Device("cuda", 1, f"GPU-{n}")) for n in range(3))
    launcher = FixedSlots(given=slots, reasons={"gpu1": "process 7 of someone else holds 3.0 GiB"})
    whole = {"device": asdict(Device("cuda", 1, "GPU-2"))}
    live = [
        attempt(1, slot="gpu0", handle={"device": asdict(slots[0].device)}),
        attempt(2, slot="gpu2.0", handle=whole),
    ]
    found = {
        place.slot.name: (place.attempt, place.reason, place.free)
        for place in look(launcher, [SlotSettings()], live).slots
    }
    assert {
        "gpu0": (1, "", False),
        "gpu1": (None, "process 7 of someone else holds 3.0 GiB", False),
        "gpu2": (None, "other slots use all of this GPU", False),
        "gpu2.0": (2, "", False),
    } == found


def test_slots_of_another_machine_are_known_by_their_workers(tmp_path: Path) -> None:
    """Nobody here can tell whether one is free there."""
    capacity = on_other_host("far", [attempt(7, slot="gpu0")])
    assert [("gpu0", 7)] == [(place.slot.name, place.attempt) for place in capacity.slots]
    assert ["waits for a slot on far; "] == Desk(tmp_path, [trial(1)]).why(capacity=capacity)
