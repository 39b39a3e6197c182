"""SQLite files of other programs, read while those may use them: no byte of theirs is written, no lock kept for long.

A file in rollback mode, and one whose write-ahead log is open, is read with the locks of SQLite, each query for itself:
a program that waits for its turn waits for one query. A file in WAL mode that no process has open is read without locks
(`immutable`), because SQLite would otherwise leave two new files next to it; if it changes meanwhile, the query runs
again with locks. A log that was left without its index by a copy is read from a private copy. It knows no table.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertdistill.store.errors import ForeignError

MAGIC = b"SQLite format 3\0"
_WAIT_S = 20.0
_WAL = b"\2"
"""File format version in the header (byte 18) of a database in WAL mode."""


class ForeignDatabase:
    """A database of another program that is open for reading. Created by `open_foreign`."""

    def __init__(self, path: Path, opened: Path, *, immutable: bool) -> None:
        self.path = path
        self._opened, self._immutable = opened, immutable
        self._connection = self._connect()

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of one SELECT, which holds a lock until they are all read: keep it short. ForeignError."""
        try:
            before = self._changed_at()
            found = self._rows(query, values)
            if self._immutable and before != self._changed_at():  # a program has opened the file
                self._immutable = False
                self._connection.close()
                self._connection = self._connect()
                found = self._rows(query, values)
        except sqlite3.Error as error:
            raise _explained(self.path, error) from error
        return found

    def columns(self, table: str) -> frozenset[str]:
        """Names of the columns of a table; empty if no table has that name. A view is none."""
        if not self.rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table):
            return frozenset()
        return frozenset(str(name) for (name,) in self.rows("SELECT name FROM pragma_table_info(?)", table))

    def close(self) -> None:
        self._connection.close()

    def _rows(self, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            if "decode to UTF-8" not in str(error):
                raise
            self._connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            return self._connection.execute(query, values).fetchall()

    def _connect(self) -> sqlite3.Connection:
        how = "mode=ro&immutable=1" if self._immutable else "mode=ro"
        connection = sqlite3.connect(f"{self._opened.as_uri()}?{how}", uri=True, timeout=_WAIT_S, isolation_level=None)
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
        return connection

    def _changed_at(self) -> tuple[int, int]:
        status = self._opened.stat()
        return status.st_mtime_ns, status.st_size


@contextmanager
def open_foreign(path: Path) -> Iterator[ForeignDatabase]:
    """A database of another program for reading; ForeignError if it is none or cannot be opened."""
    path = path.resolve()
    try:
        with path.open("rb") as file:
            head = file.read(19)
        log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
        logged, indexed = log.exists() and log.stat().st_size > 0, index.exists()
    except OSError as error:
        raise ForeignError(f"{path}: cannot be read: {error.strerror}", hint="Check its permissions.") from error
    if head[:16] != MAGIC:
        raise ForeignError(f"{path}: is not an SQLite database", hint="Name the database file itself.")
    with tempfile.TemporaryDirectory(prefix="bertdistill-") as folder:
        opened = path
        if logged and not indexed:
            opened = Path(folder) / "copy"
            shutil.copyfile(path, opened)
            shutil.copyfile(log, opened.with_name("copy-wal"))
        try:
            database = ForeignDatabase(path, opened, immutable=head[18:19] == _WAL and not logged and not indexed)
            database.rows("SELECT count(*) FROM sqlite_master")
        except sqlite3.Error as error:
            raise _explained(path, error) from error
        try:
            yield database
        finally:
            database.close()


def is_sqlite(path: Path) -> bool:
    """Whether a file is an SQLite database, by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(16) == MAGIC
    except OSError:
        return False


def _explained(path: Path, error: sqlite3.Error) -> ForeignError:
    name, reported = str(getattr(error, "sqlite_errorname", "")), f"SQLite reports: {error}"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        hint = "Try again; a program that writes to it holds it for too long."
        return ForeignError(f"{path}: locked by another process ({reported})", hint=hint)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        hint = "Save what can be read: sqlite3 FILE .recover | sqlite3 NEW, and import NEW."
        return ForeignError(f"{path}: damaged ({reported})", hint=hint)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
        hint = (
            "A program was killed while it wrote: open the file once with that program, or import a copy of its folder."
        )
        return ForeignError(f"{path}: cannot be read as it is ({reported})", hint=hint)
    if "no such column" in str(error) or "no such table" in str(error):
        hint = "An older version has written it: upgrade a copy of the file with the tracker's own command first."
        return ForeignError(f"{path}: has other columns than are known ({reported})", hint=hint)
    return ForeignError(f"{path}: cannot be read ({reported})", hint="Check that the file is complete.")
