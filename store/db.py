"""Opens the workspace's database, keeps its schema current and provides short transactions.

It knows no tables and no queries beyond the schema revision: those are in `models`, `reads` and `writes`. Reading goes
straight to SQLite; SQLAlchemy (0.4 s to import) is loaded by the first writing transaction, in `writing`. Pragmas and
the single-writer rule follow measurements: WAL with synchronous=NORMAL, every writing transaction BEGIN IMMEDIATE (a
deferred one silently lost 544 of 800 increments), no memory mapping (it makes a SQLite bug likelier).
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bertdistill.store.disk import APPLICATION_ID, explained, network_filesystem, not_ours
from bertdistill.store.errors import StoreError
from bertdistill.store.ownership import refuse_exposed

if TYPE_CHECKING:
    from bertdistill.store.writing import Writer, Writing

__all__ = ["DATABASE_NAME", "HEAD", "Database", "Reading", "Snapshot", "network_filesystem", "open_db"]

DATABASE_NAME = "tracker.db"
HEAD = "0004"
"""Newest revision in `migrations/versions`; a constant, so that opening a current database does not import alembic."""
REVISIONS = ("0001", "0002", "0003", "0004")
"""All revisions that this program can upgrade from, oldest first."""
_WRITER_WAIT_S, _READER_WAIT_S = 30.0, 5.0


class Reading(Protocol):
    """The argument of the functions in `reads`: a `Snapshot` or a writing transaction."""

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of a SELECT; `values` are bound to its question marks in order."""


class Snapshot:
    """One consistent view of the database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `Reading`."""
        return self._connection.execute(query, values).fetchall()


class Database:
    """The open database of one workspace, usable from any number of threads of one process. Created by `open_db`."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        status = path.stat()
        self._identity = (status.st_dev, status.st_ino)
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        self._writer: Writer | None = None
        self._writer_lock = threading.Lock()
        self._watch: sqlite3.Connection | None = None
        self._watch_lock = threading.Lock()

    @contextmanager
    def write(self) -> Iterator[Writing]:
        """A transaction that holds the write lock from its start; committed at the end, rolled back on error."""
        if self.read_only:
            raise StoreError(f"{self.path}: opened read-only", hint="Open it for writing.")
        if self.replaced():
            raise StoreError(
                f"{self.path}: removed or replaced while it was open; nothing more is written",
                hint="Restore the file or restart this program.",
            )
        with self._open_writer().transaction() as writing:
            yield writing

    def _open_writer(self) -> Writer:
        from bertdistill.store.writing import Writer  # loads SQLAlchemy, which readers do not need

        with self._writer_lock:
            if self._writer is None:
                self._writer = Writer(self.path, lambda: connect_writer(self.path))
            return self._writer

    @contextmanager
    def read(self) -> Iterator[Snapshot]:
        """A consistent view for a few short SELECTs.

        Keep it short: the write-ahead log cannot shrink while it is open.
        """
        with explained(self.path):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = _connect_reader(self.path)
            try:
                connection.execute("BEGIN")
                yield Snapshot(connection)
                connection.rollback()
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
            if self._closed:  # closed while this was reading
                self._close_idle()

    def data_version(self) -> int:
        """A number that changes whenever another connection, in any process, has committed. Takes about 5 µs."""
        with explained(self.path), self._watch_lock:
            if self._watch is None:
                self._watch = _connect_reader(self.path)
            return int(self._watch.execute("PRAGMA data_version").fetchone()[0])

    def replaced(self) -> bool:
        """Whether the file at `path` is no longer the open one: SQLite would keep writing to the deleted file."""
        try:
            status = self.path.stat()
        except OSError:
            return True
        return self._identity != (status.st_dev, status.st_ino)

    def check(self) -> list[str]:
        """Problems in the file, one sentence each; empty if it is intact. Reads the whole file."""
        with explained(self.path), closing(_connect_reader(self.path)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            strays = connection.execute("PRAGMA foreign_key_check").fetchall()
        problems = [] if found == ["ok"] else found
        return problems + [f"row {row[1]} of {row[0]} refers to a missing {row[2]}" for row in strays]

    def backup(self, target: Path) -> None:
        """Copy the database, including the write-ahead log, while others keep using it; replaces `target`."""
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        temporary.unlink(missing_ok=True)
        try:
            _create_private(temporary)
            source, copy = _connect_reader(self.path), sqlite3.connect(temporary)
            with explained(target), closing(source), closing(copy):
                source.backup(copy)
                copy.execute("PRAGMA journal_mode=DELETE")  # a single file, without a separate log
            temporary.replace(target)
        except OSError as error:
            raise StoreError(f"{target}: the backup failed: {error.strerror}", hint="Choose another path.") from error
        finally:
            temporary.unlink(missing_ok=True)

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the file and empty it, so that the file alone is a complete copy.

        False when others were reading or writing just then.
        """
        with explained(self.path), closing(_connect(self.path, "rw", 1.0)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

    def close(self) -> None:
        """Close all connections; the last one of all processes merges the write-ahead log into the file."""
        with self._watch_lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        self._closed = True
        self._close_idle()
        with self._writer_lock:
            if self._writer is not None:
                self._writer.close()
                self._writer = None

    def _close_idle(self) -> None:
        with suppress(IndexError):  # other threads also take from it
            while True:
                self._idle.pop().close()


def open_db(workspace: Path, *, read_only: bool = False) -> Database:
    """Open the database of `workspace` at the newest schema revision, creating it if needed (not when reading).

    Raises StoreError for a network file system, a foreign file, a location that every user can write to (not when
    reading), an unknown newer revision, nothing to read, missing permissions or a full disk.
    """
    path = workspace.absolute() / DATABASE_NAME
    kind = network_filesystem(workspace)
    if kind is not None:
        raise StoreError(
            f"{workspace}: is on a network file system ({kind}), where SQLite's write-ahead log can lose data",
            hint="Choose a workspace on a local disk with --workspace; data and models can stay where they are.",
        )
    if path.exists() and not path.is_file():
        raise not_ours(path)
    if not read_only:
        refuse_exposed(path.parent, path)
    try:
        if not read_only:
            _make_place(path)
        elif not path.is_file():
            raise StoreError(f"{path}: does not exist", hint="Run a study in this workspace first, or choose another.")
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be created: {error.strerror}", hint="Check the path, its permissions and the free space."
        ) from error
    with explained(path):
        if _revision(path) != HEAD:
            _migrate(path)
        return Database(path, read_only=read_only)


def _make_place(path: Path) -> None:
    """Create folder (0700) and file (0600) if missing, whatever the umask; -wal and -shm inherit the file's mode."""
    folder = path.parent
    if not folder.is_dir():
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    if not path.exists():
        _create_private(path)


def _create_private(path: Path) -> None:
    """Create an empty file, 0600. An existing one is never opened here.

    Closing any descriptor of a database would drop the locks that SQLite holds on it in this process.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        return
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def connect_writer(path: Path) -> sqlite3.Connection:
    """A connection that may write, in WAL mode."""
    connection = _connect(path, "rw", _WRITER_WAIT_S)
    mode = _into_wal(connection)
    if mode != "wal":
        raise StoreError(f"{path}: this location does not support a write-ahead log", hint="Choose a local disk.")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_size_limit=16777216")
    return connection


def _into_wal(connection: sqlite3.Connection) -> str:
    """Switch to a write-ahead log if needed and return the journal mode in force.

    SQLite reports "locked" at once, regardless of the timeout, if two connections to a new file switch simultaneously:
    waiting inside SQLite would deadlock, as each holds the lock that the other one needs. So the retry is here.
    """
    deadline = time.monotonic() + _WRITER_WAIT_S
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.005, 0.05))


def _connect_reader(path: Path) -> sqlite3.Connection:
    connection = _connect(path, "ro", _READER_WAIT_S)
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection


def _connect(path: Path, mode: str, wait_s: float) -> sqlite3.Connection:
    # isolation_level=None: Python starts no implicit transactions. A connection is used by one thread at a time.
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, timeout=wait_s, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


def _revision(path: Path) -> str | None:
    """Schema revision of the file, None if it is still empty. Read-only: a foreign file is left untouched."""
    with closing(_connect(path, "ro", _WRITER_WAIT_S)) as connection:
        return _read_revision(path, lambda query: connection.execute(query).fetchone())


def _read_revision(path: Path, one: Callable[[str], Any]) -> str | None:
    if one("PRAGMA application_id")[0] != APPLICATION_ID:
        if one("SELECT count(*) FROM sqlite_master")[0]:
            raise not_ours(path)
        return None
    revision = str(one("SELECT version_num FROM alembic_version")[0])
    if revision not in REVISIONS:
        raise StoreError(
            f"{path}: its schema revision {revision} is newer than this program supports ({HEAD})",
            hint="Upgrade bertdistill-tui, or use the version that created this workspace.",
        )
    return revision


def _migrate(path: Path) -> None:
    """Bring the schema to HEAD in one transaction; processes that open the same file at the same time take turns."""
    from bertdistill.store.migrations.upgrade import upgrade  # alembic costs 0.2 s and is rarely needed
    from bertdistill.store.writing import writing_engine

    engine = writing_engine(lambda: connect_writer(path))
    try:
        with engine.begin() as connection:
            if _read_revision(path, lambda query: connection.exec_driver_sql(query).fetchone()) != HEAD:
                upgrade(connection, HEAD)
                connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    finally:
        engine.dispose()
