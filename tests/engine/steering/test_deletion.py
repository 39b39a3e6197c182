"""Deleting and bringing back, over studies that really ran (with fake workers), real folders and real deaths."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import Workbench, behave

from bertdistill.engine.contract.errors import ActionRefused, InvalidRequest
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner import bin
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.actions import Deletion
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.errors import NotFound
from bertdistill.store.rows import Binned, BinState, StudyState, TrialState

WHO = {"who": "ada"}
Make = Callable[..., Workbench]
STEPS = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "sqlite3.connect")
"""What the system is asked for while something is deleted; a death before any of these is tried."""


@pytest.fixture
def done(bench: Make) -> Workbench:
    """A complete study of five trials."""
    return bench().finish()


def files(of: Workbench) -> set[str]:
    """All that is in the workspace, the bin and the database's own files left out."""
    root = of.workspace.path
    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    return {name for name in found if not name.startswith(("bin", "tracker.db", "runner."))}


def plan(of: Workbench, target: str) -> list[Deletion]:
    with of.db.read() as session:
        return actions.plan_delete(session, of.workspace, target)


def binned(of: Workbench) -> list[Binned]:
    with of.db.read() as session:
        return reads.binned(session)


def promoted(of: Workbench, number: int, *, state: str = "verified", second: tuple[int, int] | None = None) -> str:
    """A model version of a trial, as its row; its folder is made."""
    with of.db.write() as session:
        best = reads.best_checkpoint(session, of.trial(number).id)
        assert best is not None
        given = {"trial_id": best.trial_id, "checkpoint_id": best.id, "who": "ada", "now": 1.0}
        version = writes.create_model_version(session, name="m", second=second, **given)
        folder = of.workspace.models_folder("m", version.version)
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"w" * 4000)
        writes.finish_model_version(
            session, version.id, state=state, now=2.0, folder=of.workspace.relative(folder)
        ) if state != "verifying" else None
    return f"m:{version.version}"


# --------------------------------------------------------------------------------------------------------------- delete


def test_a_deleted_study_is_gone_and_comes_back_exactly(done: Workbench) -> None:
    """Rows, files and places in the lists; meanwhile its name is free."""
    before, trials, study = files(done), done.trials(), done.study()
    [told] = plan(done, "toy")
    [request] = actions.delete(done.workspace, ["toy"], **WHO)
    with done.db.read() as session:
        assert ([], {}) == (reads.studies(session), reads.counts(session, 99))
        with pytest.raises(NotFound):
            reads.study(session, "toy")
    assert told.size_bytes > 0
    assert (told.size_bytes, {BinState.BINNED}) == (request.arguments["bytes"], {one.state for one in binned(done)})
    assert not (done.workspace.path / "runs").exists() or not any((done.workspace.path / "runs").iterdir())
    entry = actions.undo(done.workspace, "toy", **WHO)
    assert "undo #2: delete study toy" == entry.words
    assert (before, trials, study) == (files(done), done.trials(), done.study())


def test_a_deleted_trial_counts_nowhere(done: Workbench) -> None:
    """Not in lists, counts, budget or rank; its number is not given again."""
    actions.delete(done.workspace, ["toy/3"], **WHO)
    assert [0, 1, 2, 4] == [one.number for one in done.trials()]
    with done.db.read() as session:
        assert {"complete": 4} == reads.counts(session, done.study().id)
        with pytest.raises(NotFound, match="trial 3 was deleted"):
            reads.trial(session, done.study().id, 3)
        assert all(one.trial_id in {t.id for t in done.trials()} for one in reads.checkpoints(session, study_id=1))
    actions.resume_study(done.workspace, "toy", retry_failed=True, **WHO)
    with done.db.write() as session:
        writes.set_study_state(session, done.study().id, StudyState.RUNNING, now=1.0)
    done.run()
    assert [0, 1, 2, 4, 5] == [one.number for one in done.trials()]


def test_a_deleted_name_can_be_used_again(done: Workbench, tmp_path: Path) -> None:
    """Then the old study stays in the bin, and the message says why."""
    actions.delete(done.workspace, ["toy"], **WHO)
    actions.start_study(done.workspace, done.spec, **WHO)
    with pytest.raises(ActionRefused, match="another study is now called 'toy'"):
        actions.undo(done.workspace, request_id=2, **WHO)
    with done.db.write() as session:
        writes.set_study_state(session, done.study().id, StudyState.STOPPED, now=1.0)
    actions.delete(done.workspace, ["toy"], **WHO)
    actions.undo(done.workspace, request_id=2, **WHO)
    assert 5 == len(done.trials())


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("tyo", NotFound, "no study or model 'tyo'"),
        ("toy/9", NotFound, "trial 9 does not exist"),
        ("toy/x", InvalidRequest, "'toy/x' is not a trial"),
        ("toy/0", ActionRefused, "trial toy/0 is the baseline"),
        ("m:1", NotFound, "model 'm' does not exist"),
    ],
)
def test_what_cannot_be_deleted_says_why(done: Workbench, target: str, error: type[Exception], words: str) -> None:
    """And with it nothing else of the same command is."""
    with pytest.raises(error, match=words):
        actions.delete(done.workspace, ["toy/1", target], **WHO)
    assert (5, []) == (len(done.trials()), binned(done))


def test_a_search_over_a_program_is_guarded_as_any_other(tmp_path: Path) -> None:
    """Its runner, its baseline and its optimiser are the same; only logged runs have none of them."""
    ws = Workspace(tmp_path / "ws")
    ws.make()
    db = open_db(ws.path)
    with db.write() as session:
        study = writes.create_study(session, name="digits", kind="program", task="a program", spec={}, now=1.0).id
        for origin in ("baseline", "sampler"):
            made = {"params": {}, "settings": {}, "known": {}, "now": 1.0}
            trial = writes.create_trial(session, study_id=study, origin=origin, **made)
            for state in (TrialState.RUNNING, TrialState.COMPLETE):
                writes.set_trial_state(session, trial.id, state, now=2.0)
    with db.read() as session:
        with pytest.raises(ActionRefused, match="'digits' is running"):
            actions.plan_delete(session, ws, "digits")
        with pytest.raises(ActionRefused, match="digits/0 is the baseline"):
            actions.plan_delete(session, ws, "digits/0")
        assert "the optimiser forgets it" in actions.plan_delete(session, ws, "digits/1")[0].words[0]
    db.close()


def test_what_a_promoted_model_rests_on_stays(done: Workbench) -> None:
    """Its trial, the trials that it is a rerun of, the study; until the model is deleted, which an alias forbids."""
    model = promoted(done, 2)
    with done.db.write() as session:
        child = done.trial(2)
        session.change(type(child), child.id, parent_id=done.trial(1).id)
    for target, words in (("toy/2", "was promoted from it"), ("toy/1", "a rerun of trial toy/1"), ("toy", "model m:1")):
        with pytest.raises(ActionRefused, match=words) as caught:
            actions.delete(done.workspace, [target], **WHO)
        assert "engine delete m:1" in caught.value.hint
    actions.set_alias(done.workspace, "m", "live", 1, **WHO)
    with pytest.raises(ActionRefused, match="m:1 is what m@live points to"):
        actions.delete(done.workspace, [model], **WHO)
    actions.undo_alias(done.workspace, "m", "live", **WHO)
    folder = done.workspace.models_folder("m", 1)
    [request] = actions.delete(done.workspace, ["m"], **WHO)
    with done.db.read() as session:
        assert ([], False) == (reads.model_versions(session), folder.exists())
    with pytest.raises(ActionRefused, match="the version that m@live pointed to was deleted"):
        actions.undo(done.workspace, request_id=request.id - 1, **WHO)
    actions.undo(done.workspace, request_id=request.id, **WHO)
    assert (folder / "model.safetensors").is_file()


@pytest.mark.parametrize("state", ["verifying", "verified"])
def test_the_second_member_of_a_cascade_stays_as_well(done: Workbench, state: str) -> None:
    """While it is verified, because the worker reads its checkpoint, and afterwards as the first one does."""
    with done.db.write() as session:
        best = reads.best_checkpoint(session, done.trial(2).id)
    assert best is not None
    promoted(done, 3, state=state, second=(best.trial_id, best.id))
    words = "is being verified" if state == "verifying" else "was promoted from it"
    with pytest.raises(ActionRefused, match=f"model m:1 {words}"):
        actions.delete(done.workspace, ["toy/2"], **WHO)
    with done.db.read() as session:
        assert (best.trial_id, best.id) == tuple(
            ids[1] for one in reads.model_versions(session) for ids in (one.trial_ids, one.checkpoint_ids)
        )


@pytest.mark.parametrize("state", ["verifying", "refused"])
def test_a_version_that_failed_goes_with_its_trial(done: Workbench, state: str) -> None:
    """One that is being verified does not."""
    promoted(done, 2, state=state)
    if state == "verifying":
        with pytest.raises(ActionRefused, match="m:1 is being verified"):
            actions.delete(done.workspace, ["toy/2"], **WHO)
        return
    actions.delete(done.workspace, ["toy/2"], **WHO)
    with done.db.read() as session:
        assert [] == reads.model_versions(session)
    actions.undo(done.workspace, "toy", **WHO)
    with done.db.read() as session:
        assert ["m"] == [one.name for one in reads.model_versions(session)]


def test_a_change_of_what_was_deleted_is_not_undone(done: Workbench) -> None:
    """The deletion overrides it; when that is undone, so can it be."""
    actions.annotate(done.workspace, "toy", 2, note="hm", **WHO)
    actions.delete(done.workspace, ["toy/2"], **WHO)
    with pytest.raises(ActionRefused, match=r"a later change overrides it: #3 \(delete\)"):
        actions.undo(done.workspace, request_id=2, **WHO)
    actions.undo(done.workspace, request_id=3, **WHO)
    actions.undo(done.workspace, request_id=2, **WHO)
    assert "" == done.trial(2).note
    with pytest.raises(ActionRefused, match="an undo does not delete what was restored"):
        actions.undo(done.workspace, request_id=4, **WHO)


def test_what_left_the_bin_cannot_be_undone(done: Workbench) -> None:
    """Its curves and folders are gone then; the history says so before anybody tries."""
    actions.delete(done.workspace, ["toy/2"], keep_days=0, **WHO)
    with done.db.read() as session:
        trial = reads.requests(session)[-1].trial_id or 0
        assert ([], set()) == (reads.series(session, 1, trial), {*done.workspace.bin.iterdir()})
    with pytest.raises(ActionRefused, match="was removed from the bin"):
        actions.undo(done.workspace, request_id=2, **WHO)
    assert any(reads_series(done, one.id) for one in done.trials())


def reads_series(of: Workbench, trial_id: int) -> int:
    with of.db.read() as session:
        return len(reads.series(session, 1, trial_id))


# --------------------------------------------------------------------------------------------------- beside a runner


def test_what_runs_is_refused_and_a_runner_works_on(bench: Make) -> None:
    """A study that runs, a running and a waiting trial; a finished one goes while the runner works."""
    of = bench({"budget": {"trials": 2}}).finish()
    gate = of.tmp_path / "gate"
    gate.touch()
    behave(of.tmp_path, hold=str(gate))
    actions.set_budget(of.workspace, "toy", trials=4, **WHO)
    of.tick_until(lambda: of.at_half(2), "two trials at half")
    for target in ("toy", "toy/2", "toy/3"):
        with pytest.raises(ActionRefused, match="is running"):
            actions.delete(of.workspace, [target], **WHO)
    actions.delete(of.workspace, ["toy/1"], **WHO)
    gate.unlink()
    of.run()
    assert ([0, 2, 3, 4], StudyState.COMPLETE) == ([one.number for one in of.trials()], of.study().state)


def test_a_late_request_does_not_wake_a_deleted_study(bench: Make) -> None:
    """It was left while the runner was away; the study stays deleted and stopped."""
    of = bench().finish()
    of.ask("resume", study_id=of.study().id)
    actions.delete(of.workspace, ["toy"], **WHO)
    of.runner.tick()
    with of.db.read() as session:
        assert "nothing to do: the study was deleted" == reads.requests(session)[1].outcome
        [study] = reads.studies(session, deleted=True)
    assert StudyState.COMPLETE == study.state


# --------------------------------------------------------------------------------------------------------------- deaths


def dies(at: int, work: Callable[[], Any]) -> bool:
    """Do `work` in a process that is killed just before its step number `at`; False when it came to its end before."""
    child = os.fork()
    if child == 0:
        left = [at]

        def hook(event: str, arguments: Any) -> None:
            if event in STEPS:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def consistent(of: Workbench, before: set[str]) -> None:
    """What is listed has all its files; what is not has none."""
    db = open_db(of.workspace.path)
    bin.settle(db, of.workspace)
    with db.read() as session:
        listed = bool(reads.studies(session))
    db.close()
    assert before == files(of) if listed else not any(name.startswith("runs/toy/") for name in files(of))


def test_a_death_at_any_instant_leaves_all_or_nothing(done: Workbench) -> None:
    """Deleting and undoing are tried again and again, each time killed one step later."""
    before = files(done)
    for work in (
        lambda: actions.delete(done.workspace, ["toy"], **WHO),
        lambda: actions.undo(done.workspace, "toy", **WHO),
    ):
        at = 1
        while dies(at, work):
            consistent(done, before)
            at += 1
        consistent(done, before)
        assert at > 3
    with done.db.read() as session:
        assert ["toy"] == [one.name for one in reads.studies(session)]
    assert before == files(done)
