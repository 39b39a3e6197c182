"""Folders on their way into the bin, back and away, over a study that really ran and real folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes import Workbench, study_spec

from bertdistill.engine.runner import bin, retention
from bertdistill.engine.runner.bin import Item
from bertdistill.store import reads, writes
from bertdistill.store.rows import Binned, BinState, StudyState

LATER = 10.0**10


@pytest.fixture
def done(tmp_path: Path) -> Iterator[Workbench]:
    """A complete study of two trials."""
    bench = Workbench(tmp_path, study_spec(tmp_path, budget={"trials": 2})).start().finish()
    yield bench
    bench.close()


def put(of: Workbench, *items: Item, expires_at: float = LATER) -> list[Binned]:
    """Mark items as a person's request does, and nothing more: as if the process had died then."""
    with of.db.write() as session:
        request = writes.add_request(session, who="ada", verb="prune", now=1.0, handled=True)
        bin.put(session, request.id, items, expires_at=expires_at)
    return rows(of)


def rows(of: Workbench) -> list[Binned]:
    with of.db.read() as session:
        return reads.binned(session)


def cache(of: Workbench, kind: str = "features", key: str = "abc") -> Path:
    folder = of.workspace.caches / kind / key
    folder.mkdir(parents=True)
    (folder / "ids.npy").write_bytes(b"x" * 5000)
    return folder


def test_what_was_marked_is_moved_and_removed_in_its_time(done: Workbench) -> None:
    """A runner that starts makes good what broke off, and empties what has expired."""
    folder = cache(done)
    [one] = put(done, Item("cache", "caches/features/abc", 5000), expires_at=100.0)
    retention.finish_all(done.db, done.workspace, now=99.0)
    assert (False, True) == (folder.exists(), (done.workspace.path / one.folder / "ids.npy").exists())
    retention.finish_all(done.db, done.workspace, now=101.0)
    assert ([], [BinState.GONE]) == (list(done.workspace.bin.iterdir()), [one.state for one in rows(done)])


def test_a_cache_that_a_study_needs_again_stays(done: Workbench) -> None:
    """Between the mark and the move a study was prepared with it, or is being prepared."""
    folder = cache(done)
    put(done, Item("cache", "caches/features/abc"))
    with done.db.write() as session:
        facts = {"features": {"train": f"{folder}"}, "parts": [f"/elsewhere/caches/features/abc/{7}"]}
        writes.set_prepared(session, done.study().id, facts)
    bin.settle(done.db, done.workspace)
    assert (True, BinState.HOME) == (folder.exists(), rows(done)[0].state)
    with done.db.write() as session:
        writes.set_prepared(session, done.study().id, {})
        writes.create_study(session, name="new", task="t", spec={}, now=2.0)
    put(done, Item("leftover", "caches/features/abc"))
    bin.settle(done.db, done.workspace)
    assert [True, BinState.HOME] == [folder.exists(), rows(done)[1].state]


def test_a_folder_that_is_in_use_again_stays(done: Workbench) -> None:
    """A new study of the same name got the folder that a deleted one had."""
    folder = done.attempts(0)[0].folder
    put(done, Item("attempt", folder))
    with done.db.write() as session:
        study = writes.create_study(session, name="next", task="t", spec={}, now=2.0, state=StudyState.STOPPED)
        writes.create_attempt(session, study_id=study.id, trial_id=None, kind="x", folder=folder, slot="", now=2.0)
    bin.settle(done.db, done.workspace)
    assert (True, BinState.HOME) == (done.workspace.absolute(folder).exists(), rows(done)[0].state)


def test_a_folder_on_another_disk_stays_until_it_expires(done: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be renamed into the bin, but it is removed in its time."""
    folder = cache(done)

    def refuse(self: Path, target: Path) -> Path:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", refuse)
    put(done, Item("cache", "caches/features/abc"), expires_at=100.0)
    bin.settle(done.db, done.workspace)
    assert (True, BinState.GOING) == (folder.exists(), rows(done)[0].state)
    bin.tidy(done.db, done.workspace, now=101.0)
    assert (False, BinState.GONE) == (folder.exists(), rows(done)[0].state)


def test_a_full_disk_empties_the_bin_before_checkpoints_go(done: Workbench) -> None:
    """What was deleted anyway is the first to go, and a notice says that it cannot be undone."""
    cache(done)
    put(done, Item("cache", "caches/features/abc", 5000))
    bin.settle(done.db, done.workspace)
    free = iter([0, 10**9, 10**9])
    gone = retention.make_room(done.db, done.workspace, 10**9, now=2.0, free=lambda _: next(free))
    assert (0, [BinState.GONE]) == (gone.checkpoints, [one.state for one in rows(done)])
    assert any("the bin was emptied" in text for text in done.notices())


def test_nothing_else_is_removed_with_what_left_the_bin(done: Workbench) -> None:
    """A death after the removal, and a new folder under the old name: only the place in the bin is looked at again."""
    folder = cache(done)
    [one] = put(done, Item("model", "caches/features/abc"))
    bin.settle(done.db, done.workspace)
    with done.db.write() as session:
        writes.move_binned(session, one.id, BinState.LEAVING)
    bin.remove(done.workspace.absolute(one.folder))
    folder.mkdir(parents=True)
    bin.settle(done.db, done.workspace)
    assert (True, BinState.GONE) == (folder.exists(), rows(done)[0].state)
