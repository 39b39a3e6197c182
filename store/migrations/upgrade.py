"""Runs the revision files with alembic inside the caller's transaction.

It must not be imported on the fast path: only if a database is not at the newest revision.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def configuration() -> Config:
    """Alembic's configuration: the revision files in this package, wherever it is installed."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def upgrade(connection: Connection, revision: str) -> None:
    """Upgrade the database behind `connection` to `revision`; commits nothing itself."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
