"""What each write leaves behind: numbers, allowed moves, times, replaced rows."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from types import ModuleType

import pytest

from bertdistill.store import metrics, reads, writes
from bertdistill.store.db import Database
from bertdistill.store.errors import NotFound, StoreError
from bertdistill.store.rows import AttemptState, Checkpoint, ModelVersion, Study, StudyState, Trial, TrialState
from bertdistill.store.writing import Writing

S = TrialState


def add_trial(session: Writing, study: Study, state: TrialState = S.WAITING, now: float = 3.0) -> Trial:
    return writes.create_trial(
        session,
        study_id=study.id,
        origin="sampler",
        params={"layers": 3},
        settings={},
        known={},
        now=now,
        state=state,
    )


def add_attempt(session: Writing, study: Study, trial: Trial | None, kind: str = "trial") -> int:
    attempt = writes.create_attempt(
        session,
        study_id=study.id,
        trial_id=trial.id if trial else None,
        kind=kind,
        folder="runs/squad/x",
        slot="cpu-0",
        now=4.0,
    )
    return attempt.id


def add_checkpoint(session: Writing, trial: Trial, attempt_id: int, step: int, role: str = "best") -> Checkpoint:
    return writes.add_checkpoint(
        session,
        trial_id=trial.id,
        attempt_id=attempt_id,
        role=role,
        step=step,
        folder=f"runs/squad/x/checkpoints/step-{step}",
        sha256=f"{step:064d}",
        size_bytes=10,
        metrics={"exact": step / 10},
        now=float(step),
    )


def test_a_name_is_used_once(db: Database, study: Study) -> None:
    """The second study of that name is refused with what to do."""
    with pytest.raises(StoreError, match="'squad' already exists"), db.write() as session:
        writes.create_study(session, name="squad", task="", spec={}, now=0.0)


def test_a_study_keeps_when_it_started_and_ended(db: Database, study: Study) -> None:
    """The first attempt starts it, going on clears the end, a pause keeps its diagnosis."""
    study_id = study.id
    with db.write() as session:
        add_attempt(session, study, None, "prepare")
        writes.set_study_state(session, study_id, StudyState.PAUSED, now=5.0, diagnosis="three crashes")
        found = reads.study(session, "squad")
        assert (4.0, None, "three crashes") == (found.started_at, found.finished_at, found.diagnosis)
        writes.set_study_state(session, study_id, StudyState.STOPPED, now=6.0)
        found = reads.study(session, "squad")
        assert (6.0, "") == (found.finished_at, found.diagnosis)
        writes.set_study_state(session, study_id, StudyState.RUNNING, now=7.0)
        found = reads.study(session, "squad")
        assert (4.0, None) == (found.started_at, found.finished_at)
        writes.add_study_seconds(session, study_id, 1.5)
        writes.add_study_seconds(session, study_id, 2.0)
        writes.set_prepared(session, study_id, {"labels": ["a"]})
        writes.set_study_spec(session, study_id, {"name": "squad", "budget": 9})
    with db.read() as session:
        found = reads.study(session, "squad")
    assert (3.5, {"labels": ["a"]}, {"name": "squad", "budget": 9}) == (found.busy_seconds, found.prepared, found.spec)


def test_trials_are_numbered_without_a_gap_in_their_study(db: Database, study: Study) -> None:
    """Each study counts from 0, and an undone trial leaves no hole."""
    with db.write() as session:
        other = writes.create_study(session, name="other", task="", spec={}, now=0.0)
        assert [0, 1] == [add_trial(session, study).number for _ in range(2)]
        assert 0 == add_trial(session, other).number
    with pytest.raises(RuntimeError), db.write() as session:  # noqa: PT012 - the exception must come last
        add_trial(session, study)
        raise RuntimeError
    with db.write() as session:
        assert 2 == add_trial(session, study).number


def test_only_allowed_moves_are_made(db: Database, study: Study) -> None:
    """Final states never change, but failed and stopped trials may wait again."""
    final = {S.COMPLETE, S.PRUNED, S.INFEASIBLE, S.FAILED, S.STOPPED}
    allowed = {(S.WAITING, S.RUNNING), (S.RUNNING, S.WAITING), (S.FAILED, S.WAITING), (S.STOPPED, S.WAITING)}
    allowed |= {(S.RUNNING, state) for state in final} | {(S.WAITING, state) for state in final - {S.COMPLETE}}
    made = set()
    with db.write() as session:
        for old, new in itertools.product(S, S):
            trial = add_trial(session, study, old)
            moved = writes.set_trial_state(session, trial.id, new, now=9.0, reason="why")
            found = reads.trial_by_id(session, trial.id)
            assert (new if moved else old, "why" if moved else "") == (found.state, found.reason)
            made |= {(old, new)} if moved else set()
    assert allowed == made


def test_a_trial_keeps_when_it_first_started_and_last_ended(db: Database, trial: Trial) -> None:
    """A retry clears the end and its reason; completing fills the progress."""
    with db.write() as session:
        seen = []
        for now, (state, reason) in enumerate(
            [(S.RUNNING, ""), (S.FAILED, "crashed"), (S.WAITING, ""), (S.RUNNING, ""), (S.COMPLETE, "")], 10
        ):
            assert writes.set_trial_state(session, trial.id, state, now=float(now), reason=reason)
            found = reads.trial_by_id(session, trial.id)
            seen.append((found.started_at, found.finished_at, found.reason, found.progress))
    assert [
        (10.0, None, "", 0.0),
        (10.0, 11.0, "crashed", 0.0),
        (10.0, None, "", 0.0),
        (10.0, None, "", 0.0),
        (10.0, 14.0, "", 1.0),
    ] == seen


def test_a_revived_trial_has_all_its_retries(db: Database, trial: Trial) -> None:
    """Failures count until the trial is given up; a person who revives it has mended something."""
    assert trial.id is not None
    with db.write() as session:
        for state in (S.RUNNING, S.FAILED):
            writes.add_trial_failure(session, trial.id)
            writes.set_trial_state(session, trial.id, state, now=1.0)
        assert 2 == reads.trial_by_id(session, trial.id).failures
        writes.set_trial_state(session, trial.id, S.WAITING, now=2.0)
        assert 0 == reads.trial_by_id(session, trial.id).failures


def test_what_a_trial_collects(db: Database, trial: Trial) -> None:
    """Metrics are replaced, failures and seconds add up, edits leave the other fields alone."""
    trial_id = trial.id
    with db.write() as session:
        writes.set_trial_metrics(session, trial_id, {"exact": 1.0, "f1": 2.0}, progress=0.25)
        writes.set_trial_metrics(session, trial_id, {"exact": 3.0})
        assert [1, 2] == [writes.add_trial_failure(session, trial_id) for _ in range(2)]
        writes.add_trial_seconds(session, trial_id, 2.5)
        writes.edit_trial(session, trial_id, note="good", tags=["a", "b"])
        writes.edit_trial(session, trial_id, archived=True)
    with db.read() as session:
        found = reads.trial_by_id(session, trial_id)
    assert ({"exact": 3.0}, 0.25, 2, 2.5) == (found.metrics, found.progress, found.failures, found.busy_seconds)
    assert ("good", ["a", "b"], True) == (found.note, found.tags, found.archived)


def test_attempts_are_numbered_for_their_trial_and_for_the_preparation(
    db: Database, study: Study, trial: Trial
) -> None:
    """Numbers can be asked for beforehand, because the folder carries them."""
    with db.write() as session:
        other = add_trial(session, study)
        for owner, kind in (
            (trial, "trial"),
            (trial, "trial"),
            (None, "prepare"),
            (other, "trial"),
            (trial, "promote"),
        ):
            add_attempt(session, study, owner, kind)
        assert [1, 2, 1, 1, 1] == [one.number for one in reads.attempts(session, study_id=study.id)]
        assert [3, 2, 2, 2] == [
            reads.next_attempt_number(session, study_id=study.id, trial_id=owner, kind=kind)
            for owner, kind in ((trial.id, "trial"), (None, "prepare"), (other.id, "trial"), (trial.id, "promote"))
        ]


def test_an_attempt_lives_until_it_is_ended(db: Database, study: Study, trial: Trial) -> None:
    """Everything that is known about it stays."""
    with db.write() as session:
        attempt_id = add_attempt(session, study, trial)
        writes.set_attempt_handle(session, attempt_id, {"pid": 1})
        writes.set_attempt_stop_reason(session, attempt_id, "pruned")
        writes.set_attempt_progress(session, attempt_id, phase="train", done=5, total=9, rate=2.5, unit="examples")
        writes.add_attempt_outcome(session, attempt_id, {"status": "stopped"})
        writes.set_attempts_reported(session, [writes.Reported(attempt_id, 120, 2)])
    with db.write() as session:
        [live] = reads.live_attempts(session)
        assert (attempt_id, {"pid": 1}, "pruned", 120, 2) == (
            live.id, live.handle, live.stop_reason, live.ingest_offset, live.bad_lines
        )  # fmt: skip
        assert ("train", 5, 9, 2.5, "examples") == (live.phase, live.done, live.total, live.rate, live.unit)
        writes.end_attempt(session, attempt_id, now=8.0, exit_class="killed", exit_signal=9, log_tail="x", max_rss_mb=1)
    with db.read() as session:
        assert [] == reads.live_attempts(session)
        [ended] = reads.attempts(session, trial_id=trial.id)
    assert (AttemptState.ENDED, 8.0, "killed", 9) == (ended.state, ended.ended_at, ended.exit_class, ended.exit_signal)
    assert {"status": "stopped"} == ended.outcome


def test_a_newer_checkpoint_takes_the_place_of_older_ones_of_its_role(db: Database, study: Study, trial: Trial) -> None:
    """Recording an old one again, as a file that is read anew does, neither doubles it nor brings it back."""
    with db.write() as session:
        attempt_id = add_attempt(session, study, trial)
        for step, role in ((1, "best"), (1, "last"), (2, "best"), (1, "best"), (3, "best"), (2, "best"), (3, "best")):
            add_checkpoint(session, trial, attempt_id, step, role)
    with db.write() as session:
        rows = reads.checkpoints(session, trial.id, dropped=True)
        assert [("best", 1, 2.0), ("last", 1, None), ("best", 2, 3.0), ("best", 3, None)] == [
            (one.role, one.step, one.dropped_at) for one in rows
        ]
        best = reads.best_checkpoint(session, trial.id)
        assert best is not None
        assert (3, {"exact": 0.3}) == (best.step, best.metrics)
        writes.drop_checkpoint(session, best.id, now=50.0)
        writes.drop_checkpoint(session, best.id, now=60.0)
    with db.read() as session:
        assert 50.0 == reads.checkpoints(session, trial.id, dropped=True)[-1].dropped_at
        assert reads.best_checkpoint(session, trial.id) is None
        assert ["last"] == [one.role for one in reads.checkpoints(session, study_id=study.id)]


def test_requests_wait_until_they_are_finished(db: Database, study: Study, trial: Trial) -> None:
    """One that took effect at once never waits."""
    with db.write() as session:
        waiting = writes.add_request(
            session, who="ada", verb="stop_trial", now=1.0, study_id=study.id, trial_id=trial.id, arguments={"why": "x"}
        )
        writes.add_request(
            session, who="ada", verb="note", now=2.0, study_id=study.id, before={"note": ""}, handled=True
        )
        assert [waiting.id] == [one.id for one in reads.pending_requests(session)]
        writes.finish_request(session, waiting.id, outcome="stopped", now=3.0)
        with pytest.raises(NotFound):
            writes.finish_request(session, 99, outcome="", now=3.0)
    with db.read() as session:
        assert [] == reads.pending_requests(session)
        found = [(one.verb, one.handled_at, one.outcome) for one in reads.requests(session, study.id)]
    assert [("stop_trial", 3.0, "stopped"), ("note", 2.0, "")] == found


def test_the_lease_is_one_row(db: Database) -> None:
    """Taking it again replaces the runner before, released or not."""
    with db.write() as session:
        writes.beat_lease(session, now=0.5)
        assert reads.lease(session) is None
        writes.take_lease(session, host="a", pid=1, start_time=0.0, boot_id="b", now=1.0, log="runner.log")
        writes.beat_lease(session, now=2.0)
        writes.release_lease(session, now=3.0)
    with db.write() as session:
        found = reads.lease(session)
        assert found is not None
        assert ("a", 1, 1.0, 2.0, 3.0) == (
            found.host, found.pid, found.acquired_at, found.heartbeat_at, found.released_at
        )  # fmt: skip
        writes.take_lease(session, host="c", pid=2, start_time=0.0, boot_id="d", now=4.0)
    with db.read() as session:
        found = reads.lease(session)
    assert found is not None
    assert ("c", 2, 4.0, None) == (found.host, found.pid, found.heartbeat_at, found.released_at)


@pytest.fixture
def versions(db: Database, study: Study, trial: Trial) -> list[ModelVersion]:
    """Three versions of one model."""
    with db.write() as session:
        checkpoint = add_checkpoint(session, trial, add_attempt(session, study, trial), 1)
        return [
            writes.create_model_version(
                session, name="qa", trial_id=trial.id, checkpoint_id=checkpoint.id, who="ada", now=1.0
            )
            for _ in range(3)
        ]


def test_a_verification_ends_once(db: Database, versions: list[ModelVersion]) -> None:
    """What came second changes nothing."""
    first = versions[0].id
    with db.write() as session:
        writes.set_model_handle(session, first, attempt_folder="runs/squad/promote-qa-1", handle={"pid": 3})
        assert writes.finish_model_version(session, first, state="verified", now=5.0, folder="models/qa/v1", sha256="f")
        assert not writes.finish_model_version(session, first, state="failed", now=6.0)
    with db.read() as session:
        found = reads.model_version(session, "qa:1")
    assert ("verified", 5.0, "models/qa/v1", {"pid": 3}) == (found.state, found.finished_at, found.folder, found.handle)
    assert [1, 2, 3] == [one.version for one in versions]


def test_an_alias_can_be_undone(db: Database, versions: list[ModelVersion]) -> None:
    """Back to what it stood for, again forward, and away if it was new."""
    first, second, _ = (one.id for one in versions)
    with db.write() as session:
        for version_id in (first, second, second):
            alias = writes.set_alias(session, name="qa", alias="live", version_id=version_id, now=1.0)
        seen = [(alias.version_id, alias.previous_version_id)]
        for _ in range(2):
            moved = writes.undo_alias(session, name="qa", alias="live", now=2.0)
            assert moved is not None
            seen.append((moved.version_id, moved.previous_version_id))
        writes.set_alias(session, name="qa", alias="new", version_id=first, now=3.0)
        assert writes.undo_alias(session, name="qa", alias="new", now=4.0) is None
        with pytest.raises(NotFound, match="'new'"):
            writes.undo_alias(session, name="qa", alias="new", now=5.0)
        with pytest.raises(StoreError, match="does not belong"):
            writes.set_alias(session, name="other", alias="live", version_id=first, now=6.0)
    assert [(second, first), (first, second), (second, first)] == seen
    with db.read() as session:
        assert ["live"] == [one.alias for one in reads.aliases(session)]


def statements(module: ModuleType) -> list[str]:
    """Every SQL statement in a module's text; `1` stands for a part that is filled in at run time."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
    filled = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in filled for part in node.values}
    texts = [
        "".join(str(part.value) if isinstance(part, ast.Constant) else "1" for part in node.values) for node in filled
    ]
    texts += [str(node.value) for node in nodes if isinstance(node, ast.Constant) and id(node) not in parts]
    return [
        text for text in texts if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH) .*(FROM|INTO|SET) ", text, re.DOTALL)
    ]


@pytest.mark.parametrize("module", [metrics, writes], ids=lambda module: module.__name__)
def test_every_statement_names_tables_and_columns_that_exist(db: Database, module: ModuleType) -> None:
    """SQLite prepares each against a new database. Those of `reads` are run in its own tests."""
    found = statements(module)
    assert len(found) > 5
    with db.read() as session:
        for statement in found:
            numbered = [int(n) for n in re.findall(r"\?(\d+)", statement)]
            values = [None] * (max(numbered) if numbered else statement.count("?"))
            session.rows(f"EXPLAIN {statement}", *values)
