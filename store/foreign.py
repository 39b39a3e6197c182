"""Database files of other programs, written once as an export. It knows no table of them, and not ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertdistill.store.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Engine


def hurry(engine: Engine) -> None:
    """From now on commits do not wait for the disk: twenty times faster, and a power failure may damage the file.

    Only for a file that is not in its place before it is complete.
    """
    from sqlalchemy import event

    engine.dispose()  # connections that are open keep their settings

    @event.listens_for(engine, "connect")
    def without_waiting(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA journal_mode=MEMORY")


@contextmanager
def foreign_errors(file: Path, *kinds: type[Exception]) -> Iterator[None]:
    """SQLAlchemy's errors, and those of the program whose file it is (`kinds`), as a StoreError that names the file."""
    from sqlalchemy.exc import SQLAlchemyError

    known: tuple[type[Exception], ...] = (SQLAlchemyError, *kinds)
    try:
        yield
    except known as error:
        cause = getattr(error.__cause__ or error, "orig", None) or error
        raise StoreError(
            f"{file.name} cannot be written: {str(cause).splitlines()[0] if str(cause) else type(cause).__name__}",
            hint="Check the free disk space and the permissions of the folder.",
        ) from error
