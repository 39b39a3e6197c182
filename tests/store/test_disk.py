"""What SQLite and the system say about the place of a database, in words of ours."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bertdistill.store.db import Database, network_filesystem, open_db
from bertdistill.store.disk import explained
from bertdistill.store.errors import StoreError

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw,relatime - nfs4 server:/home rw
31 30 254:1 / /home/local rw,relatime shared:5 master:1 - xfs /dev/vdb rw
32 22 0:41 / /mnt/my\\040lab rw,relatime - fuse.sshfs lab: rw
33 22 0:42 / /scratch rw,relatime - lustre 10.0.0.1@tcp:/s rw
34 22 0:43 / /box rw,relatime - fuse.fuse-overlayfs fuse-overlayfs rw
35 22 254:2 / /stacked rw,relatime - ext4 /dev/vdc rw
36 35 0:44 / /stacked rw,relatime - cifs //nas/share rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/var/lib/work", None),
        ("/home/ada/runs", "nfs4"),
        ("/home", "nfs4"),
        ("/homestead", None),
        ("/home/local/runs", None),
        ("/mnt/my lab/runs", "fuse.sshfs"),
        ("/scratch/x", "lustre"),
        ("/box/x", None),
        ("/stacked/x", "cifs"),
    ],
)
def test_network_disks_are_recognised_by_their_mount(tmp_path: Path, place: str, kind: str | None) -> None:
    """The longest mount point decides, the topmost of several on one point, escaped blanks are understood."""
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(MOUNTS)
    assert kind == network_filesystem(Path(place), mountinfo=mountinfo)


def test_a_system_without_mountinfo_is_taken_as_local(tmp_path: Path) -> None:
    """Outside Linux there is nothing to read."""
    assert network_filesystem(tmp_path, mountinfo=tmp_path / "missing") is None


def test_a_workspace_on_a_network_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names folder, type and remedy, and nothing is made there."""
    monkeypatch.setattr("bertdistill.store.db.network_filesystem", lambda path: "nfs4")
    with pytest.raises(StoreError, match="nfs4") as caught:
        open_db(tmp_path / "workspace")
    assert (str(tmp_path) in str(caught.value), "--workspace" in caught.value.hint) == (True, True)
    assert not (tmp_path / "workspace").exists()


def test_a_full_disk_names_the_path_and_keeps_what_is_stored(db: Database) -> None:
    """SQLITE_FULL becomes a StoreError, the transaction is gone, and writing works again once there is space."""
    fill = (
        "CREATE TABLE filler AS WITH RECURSIVE n(i) AS "
        "(SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 99999) SELECT i FROM n"
    )
    with pytest.raises(StoreError, match="disk is full") as caught, db.write() as session:  # noqa: PT012 - one connection
        run = session.connection().exec_driver_sql
        run(f"PRAGMA max_page_count = {run('PRAGMA page_count').scalar_one()}")
        run(fill)
    assert str(db.path) in str(caught.value)
    assert [] == db.check()
    with db.write() as session:
        session.connection().exec_driver_sql("PRAGMA max_page_count = 1073741823")
        session.connection().exec_driver_sql("CREATE TABLE filler (i INTEGER)")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("SQLITE_IOERR_WRITE", "quota"),
        ("SQLITE_BUSY_SNAPSHOT", "locked"),
        ("SQLITE_PROTOCOL", "locked"),
        ("SQLITE_READONLY_DBMOVED", "cannot be written"),
        ("SQLITE_CORRUPT_INDEX", "damaged"),
    ],
)
def test_every_trouble_of_the_disk_names_the_path(tmp_path: Path, name: str, word: str) -> None:
    """The extended result codes of one family get one explanation."""
    error = sqlite3.OperationalError("said")
    error.sqlite_errorname = name
    with pytest.raises(StoreError, match=word) as caught, explained(tmp_path / "tracker.db"):
        raise error
    assert (str(tmp_path / "tracker.db") in str(caught.value), bool(caught.value.hint)) == (True, True)


def test_an_error_of_the_program_stays_as_it_is(tmp_path: Path) -> None:
    """A wrong statement is a bug and not a disk that a person could mend."""
    with pytest.raises(sqlite3.OperationalError, match="no such table"), explained(tmp_path / "x.db"):
        sqlite3.connect(":memory:").execute("SELECT * FROM absent")


def test_a_folder_in_place_of_the_file_is_explained(tmp_path: Path) -> None:
    """It is somebody else's, and neither reading nor writing touches it."""
    (tmp_path / "tracker.db").mkdir()
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"tracker\.db: not a database of this program"):
            open_db(tmp_path, read_only=read_only)


def test_a_file_that_cannot_be_opened_says_what_stands_in_the_way(tmp_path: Path) -> None:
    """SQLite's own words stay in the message, for they are what people search for."""
    path, words = tmp_path / "missing" / "x.db", r"x\.db: cannot be opened .*unable to open.*is not a folder"
    with pytest.raises(StoreError, match=words), explained(path):
        sqlite3.connect(path)


def test_a_file_in_place_of_the_workspace_is_explained(tmp_path: Path) -> None:
    """So is a workspace that is no folder."""
    (tmp_path / "workspace").write_text("")
    with pytest.raises(StoreError, match="cannot be created"):
        open_db(tmp_path / "workspace")
