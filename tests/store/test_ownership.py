"""Who else can write to a workspace, and what is done about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bertdistill.store import ownership
from bertdistill.store.db import DATABASE_NAME, open_db
from bertdistill.store.errors import StoreError
from bertdistill.store.ownership import others


@pytest.mark.parametrize("name", ["", DATABASE_NAME])
def test_what_everybody_can_write_is_not_used(tmp_path: Path, name: str) -> None:
    """Folder or database: nothing is written to it, and it is said before anything is read."""
    place = tmp_path / "ws"
    open_db(place).close()
    assert "" == others(place, place / DATABASE_NAME)
    (place / name).chmod(0o777 if not name else 0o666)
    assert "can be written by every user" in others(place, place / DATABASE_NAME)
    with pytest.raises(StoreError, match="writable by every user of this machine") as caught:
        open_db(place)
    assert f"chmod o-w {place / name}" in caught.value.hint
    open_db(place, read_only=True).close()


def test_somebody_else_s_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a group of others that can write to it."""
    place = tmp_path / "ws"
    open_db(place).close()
    place.chmod(0o770)
    monkeypatch.setattr(ownership.os, "getegid", lambda: 54321)
    assert "can be written by the group" in others(place, place / DATABASE_NAME)
    monkeypatch.setattr(ownership.os, "geteuid", lambda: 54321)
    assert f"{place} belongs to " in others(place, place / DATABASE_NAME)
