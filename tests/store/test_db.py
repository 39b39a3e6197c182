"""Opening, transactions, watching and copying, with real files and real processes."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from bertdistill.store import db as db_module
from bertdistill.store import reads, writes
from bertdistill.store.db import DATABASE_NAME, HEAD, Database, open_db
from bertdistill.store.errors import NotFound, StoreError
from bertdistill.store.rows import Study

COUNT = """
import sys
from pathlib import Path
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.errors import StoreError

db = open_db(Path(sys.argv[1]))
try:
    with db.write() as session:
        writes.create_study(session, name="counter", task="", spec={}, now=0.0)
except StoreError:
    pass  # another process was faster
for _ in range(int(sys.argv[2])):
    with db.write() as session:
        writes.add_study_seconds(session, reads.study(session, "counter").id, 1)
"""


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [folder, *folder.iterdir()]}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277])
def test_files_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Folder 0700, database and its two companions 0600."""
    before = os.umask(umask)
    try:
        db = open_db(tmp_path / "workspace")
        with db.write() as session:
            writes.create_study(session, name="a", task="", spec={}, now=0.0)
        found = modes(tmp_path / "workspace")
        db.close()
    finally:
        os.umask(before)
    files = [DATABASE_NAME, f"{DATABASE_NAME}-wal", f"{DATABASE_NAME}-shm"]
    assert {"workspace": 0o700, **dict.fromkeys(files, 0o600)} == found


def test_four_processes_that_open_a_new_workspace_at_once_lose_no_increment(tmp_path: Path) -> None:
    """They take turns at creating it, and every writing transaction holds the lock from its first read."""
    command = [sys.executable, "-c", COUNT, str(tmp_path / "new"), "200"]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [""] * 4 == errors
    db = open_db(tmp_path / "new", read_only=True)
    with db.read() as session:
        assert 800 == reads.study(session, "counter").busy_seconds
    db.close()


def test_connections_that_switch_a_new_file_to_wal_at_once_wait_for_each_other(tmp_path: Path) -> None:
    """SQLite itself answers "locked" here without waiting: without our own turns, one in ten of these failed."""
    gate = threading.Barrier(4)

    def connect_all() -> None:
        for number in range(25):
            path = tmp_path / f"{number}.db"
            db_module._create_private(path)
            gate.wait(timeout=30)
            db_module.connect_writer(path).close()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(connect_all) for _ in range(4)]:
            done.result(timeout=60)


def test_an_exception_undoes_the_whole_transaction(db: Database) -> None:
    """Even one that is no Exception, such as ctrl-c."""
    with pytest.raises(KeyboardInterrupt), db.write() as session:  # noqa: PT012 - the exception must come last
        writes.create_study(session, name="half", task="", spec={}, now=0.0)
        raise KeyboardInterrupt
    with db.read() as session:
        assert [] == reads.studies(session)


def test_rows_stay_usable_after_their_transaction(db: Database, study: Study) -> None:
    """Nothing is loaded again behind the reader's back."""
    with db.read() as session:
        found = reads.study(session, "squad")
    assert ("squad", {"name": "squad"}, study.id) == (found.name, found.spec, found.id)


def test_a_view_is_consistent_and_stops_no_writer(db: Database, study: Study) -> None:
    """A reader sees one moment although a writer commits meanwhile."""
    with db.read() as view:
        before = len(reads.studies(view))
        with db.write() as session:
            writes.create_study(session, name="later", task="", spec={}, now=0.0)
        assert before == len(reads.studies(view))
    with db.read() as view:
        assert before + 1 == len(reads.studies(view))


def test_a_view_that_is_open_while_the_database_is_closed_ends_with_its_connection(db: Database, study: Study) -> None:
    """It goes on to its end, and then nothing holds the file open."""
    with db.read() as session:
        db.close()
        assert study == reads.study(session, "squad")
    assert [] == [file.path for file in psutil.Process().open_files() if file.path.startswith(str(db.path))]


def test_numbers_that_are_not_finite_become_null_in_json(db: Database) -> None:
    """JSON has no NaN, and SQLite's own functions refuse it."""
    with db.write() as session:
        writes.create_study(session, name="a", task="", spec={"x": [float("nan"), {"y": float("inf")}, 1.5]}, now=0.0)
    with db.read() as session:
        assert {"x": [None, {"y": None}, 1.5]} == reads.study(session, "a").spec


def test_a_locked_database_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program that holds the lock for too long is named as the reason."""
    monkeypatch.setattr(db_module, "_WRITER_WAIT_S", 0.05)
    db = open_db(tmp_path)
    holder = sqlite3.connect(db.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process"), db.write():
        pass
    holder.close()
    db.close()


def test_reading_only_cannot_write_and_makes_nothing(tmp_path: Path, db: Database, study: Study) -> None:
    """Neither through write() nor by a statement; a missing database is an error and leaves no folder."""
    reader = open_db(db.path.parent, read_only=True)
    with pytest.raises(StoreError, match="read-only"), reader.write():
        pass
    with pytest.raises(StoreError, match="cannot be written"), reader.read() as session:
        session.rows("DELETE FROM study")
    reader.close()
    with pytest.raises(StoreError, match="does not exist"):
        open_db(tmp_path / "missing", read_only=True)
    assert not (tmp_path / "missing").exists()


def test_data_version_moves_with_every_commit_and_only_then(db: Database) -> None:
    """One's own commits count like those of others; a rolled back transaction does not."""
    start = db.data_version()
    assert start == db.data_version()
    with pytest.raises(NotFound), db.write() as session:
        writes.set_prepared(session, 99, {})
    assert start == db.data_version()
    with db.write() as session:
        writes.create_study(session, name="a", task="", spec={}, now=0.0)
    second = db.data_version()
    other = open_db(db.path.parent)
    with other.write() as session:
        writes.create_study(session, name="b", task="", spec={}, now=0.0)
    other.close()
    assert len({start, second, db.data_version()}) == 3


def test_a_removed_file_is_noticed_before_anything_is_written_into_the_void(db: Database) -> None:
    """SQLite itself would go on without an error."""
    assert not db.replaced()
    copy = db.path.with_name("copy.db")
    db.backup(copy)
    db.path.unlink()
    assert db.replaced()
    copy.replace(db.path)
    assert db.replaced()
    with pytest.raises(StoreError, match="removed or replaced"), db.write():
        pass


def test_a_backup_holds_what_is_still_in_the_log(tmp_path: Path, db: Database, study: Study) -> None:
    """It is one private file, sound, and replaces an older one; a bad target leaves nothing behind."""
    target = tmp_path / "safe" / DATABASE_NAME
    target.parent.mkdir()
    target.write_text("old")
    db.backup(target)
    assert {"safe": stat.S_IMODE(target.parent.stat().st_mode), DATABASE_NAME: 0o600} == modes(target.parent)
    copy = open_db(target.parent, read_only=True)
    with copy.read() as session:
        assert ["squad"] == [one.name for one in reads.studies(session)]
    copy.close()
    with pytest.raises(StoreError, match="backup failed"):
        db.backup(tmp_path / "nowhere" / "x.db")


def test_check_finds_rows_that_point_nowhere(db: Database, study: Study) -> None:
    """A sound file yields nothing."""
    assert [] == db.check()
    with sqlite3.connect(db.path) as raw:  # without foreign keys, as any other program would write
        raw.execute("INSERT INTO metric VALUES (77, 0, 1.0, 0.0)")
    raw.close()
    assert ["row None of metric refers to a missing series"] == db.check()


def test_somebody_elses_files_are_refused_and_left_untouched(tmp_path: Path) -> None:
    """A text file, and an SQLite file of another program, which must not even become a WAL database."""
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / DATABASE_NAME).write_text("notes about something else entirely\n" * 40)
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "other" / DATABASE_NAME) as raw:
        raw.execute("CREATE TABLE alembic_version (version_num TEXT)")
    raw.close()
    for name in ("text", "other"):
        before = (tmp_path / name / DATABASE_NAME).read_bytes()
        with pytest.raises(StoreError, match="not a database of this program"):
            open_db(tmp_path / name)
        assert before == (tmp_path / name / DATABASE_NAME).read_bytes()


def test_a_newer_schema_asks_for_an_upgrade_of_the_program(db: Database) -> None:
    """Both to read and to write: guessing would damage it."""
    with sqlite3.connect(db.path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    for read_only in (False, True):
        with pytest.raises(StoreError, match=f"9999 is newer than this program supports .{HEAD}.") as caught:
            open_db(db.path.parent, read_only=read_only)
        assert "Upgrade bertdistill-tui" in caught.value.hint


def test_a_path_with_odd_characters_is_opened_as_it_is(tmp_path: Path) -> None:
    """Question mark, hash, percent and blank mean something in a URI."""
    folder = tmp_path / "a?mode=memory#b%20c d"
    open_db(folder).close()
    assert (folder / DATABASE_NAME).is_file()


def test_the_connections_follow_the_measured_settings(db: Database) -> None:
    """WAL, normal sync, foreign keys, a bounded log, never a memory map; readers fold nothing into the file."""
    names = ("journal_mode", "synchronous", "foreign_keys", "journal_size_limit", "mmap_size", "trusted_schema")
    with db.write() as session:
        run = session.connection().exec_driver_sql
        assert ["wal", 1, 1, 16 << 20, 0, 0] == [run(f"PRAGMA {name}").scalar_one() for name in names]
    with db.read() as session:
        names = ("query_only", "wal_autocheckpoint", "mmap_size")
        assert [1, 0, 0] == [session.rows(f"PRAGMA {name}")[0][0] for name in names]
