"""What an end means for its trial, and which failures in a row speak against the machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from tests.kept import new_db

from bertdistill.engine.launch.protocol import Exit
from bertdistill.engine.runner.settle import diagnosis, failures_in_a_row, is_evidence, settle, verdict
from bertdistill.store import reads, writes
from bertdistill.store.rows import Attempt, AttemptState, TrialState


def ended(*ends: tuple[int, str]) -> list[Attempt]:
    """Attempts of these trials that ended so, one a second."""
    return [
        Attempt(
            id=second,
            study_id=1,
            trial_id=trial,
            kind="trial",
            number=1,
            folder=f"runs/squad/{second}",
            state=AttemptState.ENDED,
            exit_class=how,
            started_at=second - 0.5,
            ended_at=float(second),
        )
        for second, (trial, how) in enumerate(ends, 1)
    ]


@pytest.mark.parametrize(
    ("attempts", "start", "name", "count"),
    [
        (ended((0, "crashed"), (1, "crashed"), (2, "crashed")), 0.0, "crashed", 3),
        (ended((0, "crashed"), (1, "complete"), (2, "crashed")), 0.0, "crashed", 1),
        (ended((0, "crashed"), (1, "diverged")), 0.0, "", 0),
        (ended((0, "crashed"), (1, "lost"), (2, "lost")), 0.0, "lost", 2),
        (ended((0, "crashed"), (1, "stopped"), (2, "crashed")), 0.0, "crashed", 2),
        (ended((0, "crashed"), (1, "crashed"), (2, "crashed")), 2.0, "crashed", 1),
    ],
)
def test_only_failures_of_one_class_count(attempts: Sequence[Attempt], start: float, name: str, count: int) -> None:
    """Success and other classes end the row, stops are passed over, and so is what a person has seen."""
    found, rows = failures_in_a_row(attempts, start)
    assert (name, count) == (found, len(rows))


@pytest.mark.parametrize(
    ("trials", "wanted", "budget", "expected"),
    [
        ((0, 1, 2), 3, 40, True),
        ((0, 0, 0), 3, 40, False),
        ((0, 0, 1), 3, 40, False),
        ((0, 0, 1, 2), 3, 40, True),
        ((0, 0, 0), 3, 1, True),
        ((0, 1), 3, 2, False),
    ],
)
def test_different_trials_speak_against_the_machine(
    trials: tuple[int, ...], wanted: int, budget: int, expected: bool
) -> None:
    """The retries of one trial repeat its own trouble, unless the study has no other."""
    assert expected == is_evidence(ended(*((trial, "crashed") for trial in trials)), wanted, budget)


@pytest.mark.parametrize(("count", "words"), [(1, "1 attempt ended with lost"), (2, "2 attempts in a row ended with")])
def test_a_diagnosis_counts_the_failures(count: int, words: str) -> None:
    """A study may be paused by a single one."""
    assert diagnosis("squad", "lost", ended(*[(0, "lost")] * count), 0).startswith(words)


@pytest.mark.parametrize("outcome", [{}, {"status": "infeasible", "reason": "host_oom", "detail": "no memory"}])
def test_main_memory_gets_one_try_alone(outcome: dict[str, str]) -> None:
    """A neighbour may have taken it: only a trial that ran alone is to blame. It costs none of its retries."""
    given = {"failures": 0, "retries": 0}
    beside = verdict(Exit("host_oom"), outcome, "", alone=False, **given)
    assert (TrialState.WAITING, "host_oom", False) == (beside.state, beside.reason, beside.failure)
    alone = verdict(Exit("host_oom"), outcome, "", alone=True, **given)
    assert (TrialState.INFEASIBLE, "host_oom") == (alone.state, alone.reason)


@pytest.mark.parametrize("smaller", ["", "batch_size = 8 and accumulation = 2 instead of 16 and 1"])
@pytest.mark.parametrize(
    ("kind", "stop_reason", "expected"),
    [
        ("host_oom", "trial", (TrialState.STOPPED, "trial")),
        ("host_oom", "pruned: it cannot catch up", (TrialState.PRUNED, "pruned")),
        ("host_oom", "runner", (TrialState.WAITING, "host_oom")),
        ("cuda_oom", "trial", (TrialState.INFEASIBLE, "cuda_oom")),
    ],
)
def test_a_trial_that_was_stopped_for_good_is_not_tried_again(
    kind: str, stop_reason: str, expected: tuple[TrialState, str], smaller: str
) -> None:
    """A machine that runs out of memory is a reason to stop a trial: it must not start again by itself."""
    found = verdict(Exit(kind), {}, stop_reason, failures=0, retries=2, smaller=smaller)
    assert expected == (found.state, found.reason)


def test_a_stop_of_the_runner_does_not_cost_the_attempt_with_a_smaller_batch() -> None:
    """Whoever resumes the study expects the trial to go on as if it had not been interrupted."""
    found = verdict(Exit("cuda_oom"), {}, "runner", failures=0, retries=2, smaller="batch_size = 8")
    assert (TrialState.WAITING, "cuda_oom", "batch_size = 8") == (found.state, found.reason, found.detail)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(40.0, 40.0), (None, 60.0), (1e9, 100.0)],
    ids=["measured beside the worker", "only the record knows", "a clock that is wrong"],
)
def test_worker_time_is_what_was_measured_beside_the_worker(
    tmp_path: Path, seconds: float | None, expected: float
) -> None:
    """The time of the record includes a wait in a queue, a suspended machine and another machine's clock."""
    with closing(new_db(tmp_path)) as db:
        with db.write() as session:
            study = writes.create_study(session, name="squad", task="question-answering", spec={}, now=0.0)
            trial = writes.create_trial(
                session,
                study_id=study.id,
                origin="sampler",
                params={},
                settings={},
                known={},
                now=0.0,
                state=TrialState.RUNNING,
            )
            attempt = writes.create_attempt(
                session, study_id=study.id, trial_id=trial.id, kind="trial", folder="runs/squad/0", slot="", now=0.0
            )
        settle(db, attempt.id, Exit("crashed", ended_at=60.0, seconds=seconds), wanted=(), retries=0, now=100.0)
        with db.read() as session:
            assert expected == reads.trial_by_id(session, trial.id).busy_seconds
