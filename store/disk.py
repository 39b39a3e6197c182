"""Problems with a database's location: network file systems, full disks, permissions; clear texts for SQLite errors.

It opens no database and changes nothing.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bertdistill.store.errors import StoreError, StoreUnavailable

_UNSAFE = re.compile(r"nfs\d*|lustre|gpfs|beegfs|ceph|cifs|smb\d*|smbfs|9p|afs|ocfs2|gfs2|glusterfs|fuse\..+")
_LOCAL_FUSE = {"fuse.fuse-overlayfs"}  # root of rootless containers; memory maps use the underlying disk
PUT_BACK = (
    "Stop the runner and restore the newest backup (of `bertdistill-tui engine backup FILE`), as docs/guide.md says."
)
"""The remedy for a damaged database."""
_LOW_BYTES = 64 * 1024
"""Less free space than the shared-memory file of a WAL database needs."""


def network_filesystem(path: Path, *, mountinfo: Path = Path("/proc/self/mountinfo")) -> str | None:
    """Type of the file system of `path` if SQLite's WAL is unsafe there, else None (also if unknown)."""
    kind = _filesystem_type(os.path.realpath(path), mountinfo)
    return kind if kind and _UNSAFE.fullmatch(kind) and kind not in _LOCAL_FUSE else None


def _filesystem_type(path: str, mountinfo: Path) -> str | None:
    try:
        lines = mountinfo.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    longest, kind = "", None
    for line in lines:
        mount, _, rest = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount.split()[4])
        # A later line for the same mount point hides the earlier one, hence >=.
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(longest):
            longest, kind = point, rest.split()[0]
    return kind


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite errors about disk, locks and permissions into a StoreError that names `path` and the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise explanation(path, error) or error from error


def explanation(path: Path, error: sqlite3.Error) -> StoreError | None:
    """None for errors of the program itself, such as a violated constraint: those must stay visible as they are."""
    name = str(getattr(error, "sqlite_errorname", ""))
    reported = f"SQLite reports: {error}"
    if name.startswith("SQLITE_FULL") or (name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _full(path)):
        return StoreUnavailable(
            f"{path}: the disk is full ({reported}); nothing from this step was stored",
            hint=f"Free space on the disk of {path.parent} and try again; stored data is intact.",
        )
    if name.startswith("SQLITE_IOERR"):
        return StoreError(
            f"{path}: the disk failed or a quota was reached ({reported}); nothing from this step was stored",
            hint=f"Check the quota and the health of the disk of {path.parent}.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return StoreUnavailable(
            f"{path}: locked by another process for too long ({reported})",
            hint="Try again; if it stays locked, look for a program that has the file open.",
        )
    if name.startswith("SQLITE_READONLY"):
        return StoreError(
            f"{path}: cannot be written ({reported})",
            hint=f"Make the file and {path.parent} writable, or choose another workspace.",
        )
    if name.startswith("SQLITE_CANTOPEN"):
        hint = "Check the path and its permissions."
        return StoreError(f"{path}: cannot be opened ({reported}){_rights(path)}", hint=hint)
    if name.startswith("SQLITE_NOTADB"):
        return not_ours(path)
    if name.startswith("SQLITE_CORRUPT"):
        return StoreError(f"{path}: damaged ({reported})", hint=PUT_BACK)
    return None


APPLICATION_ID = 0x42445455
"""Written to the header of our databases to distinguish them from other SQLite files."""


def is_ours(path: Path) -> bool:
    """Whether a file is a database of this program, by its header; SQLite does not open it."""
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head[:16] == b"SQLite format 3\0" and int.from_bytes(head[68:72], "big") == APPLICATION_ID


def not_ours(path: Path) -> StoreError:
    """The error for a file that was not created by this program."""
    return StoreError(
        f"{path}: not a database of this program; it was left untouched",
        hint="Choose another workspace, or move that file away.",
    )


def _full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _LOW_BYTES


def _rights(path: Path) -> str:
    """What prevents opening `path`, as far as the system shows."""
    if not path.parent.is_dir():
        return f"; {path.parent} is not a folder"
    if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        return "; it is on a read-only medium, but a WAL database needs two more files next to it"
    if not os.access(path.parent, os.W_OK):
        return f"; {path.parent} is not writable, and a WAL database needs two more files next to it"
    return ""


def sqlite_version() -> tuple[int, int, int]:
    """Version of the SQLite library in use; before 3.51.3 two connections can, very rarely, corrupt a WAL database."""
    return sqlite3.sqlite_version_info[0], sqlite3.sqlite_version_info[1], sqlite3.sqlite_version_info[2]
