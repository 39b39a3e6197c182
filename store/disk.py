"""What the place of a database can do to it: network disks, full disks, missing rights; SQLite's words made plain.

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
_LOCAL_FUSE = {"fuse.fuse-overlayfs"}  # root of rootless containers; its memory maps are those of the disk below
PUT_BACK = (
    "Stop the runner and put back the newest backup (of `bertdistill-tui engine backup FILE`), as docs/guide.md says."
)
"""What to do about a database that is damaged."""
_LOW_BYTES = 64 * 1024
"""Less free space than the shared-memory file of a WAL database needs."""


def network_filesystem(path: Path, *, mountinfo: Path = Path("/proc/self/mountinfo")) -> str | None:
    """Type of the file system that holds `path` when SQLite's WAL is unsafe there, else None (also where unknown)."""
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
        # A later line for the same point hides the earlier one, hence >=.
        if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(longest):
            longest, kind = point, rest.split()[0]
    return kind


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the disk, locks and rights into a StoreError that names `path` and the remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise explanation(path, error) or error from error


def explanation(path: Path, error: sqlite3.Error) -> StoreError | None:
    """None for errors that are the program's own, such as a broken constraint: those must stay visible as they are."""
    name = str(getattr(error, "sqlite_errorname", ""))
    said = f"SQLite says: {error}"
    if name.startswith("SQLITE_FULL") or (name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and _full(path)):
        return StoreUnavailable(
            f"{path}: the disk is full ({said}); nothing of this step was stored",
            hint=f"Free space on the disk of {path.parent} and try again; what is stored is intact.",
        )
    if name.startswith("SQLITE_IOERR"):
        return StoreError(
            f"{path}: the disk failed or a quota was reached ({said}); nothing of this step was stored",
            hint=f"Check quota and health of the disk of {path.parent}.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return StoreUnavailable(
            f"{path}: locked by another process for too long ({said})",
            hint="Try again; if it stays locked, look for a program that holds the file open.",
        )
    if name.startswith("SQLITE_READONLY"):
        return StoreError(
            f"{path}: cannot be written ({said})",
            hint=f"Make the file and {path.parent} writable, or choose another workspace.",
        )
    if name.startswith("SQLITE_CANTOPEN"):
        return StoreError(f"{path}: cannot be opened ({said}){_rights(path)}", hint="Check the path and its rights.")
    if name.startswith("SQLITE_NOTADB"):
        return not_ours(path)
    if name.startswith("SQLITE_CORRUPT"):
        return StoreError(f"{path}: damaged ({said})", hint=PUT_BACK)
    return None


APPLICATION_ID = 0x42445455
"""Written into the header of every database of ours, to tell it from anybody else's SQLite file."""


def is_ours(path: Path) -> bool:
    """Whether a file is a database of this program, by its header; nothing is opened by SQLite."""
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head[:16] == b"SQLite format 3\0" and int.from_bytes(head[68:72], "big") == APPLICATION_ID


def not_ours(path: Path) -> StoreError:
    """The error for a file that this program did not make."""
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
    """What stands in the way of opening `path`, as far as the system tells."""
    if not path.parent.is_dir():
        return f"; {path.parent} is not a folder"
    if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
        return "; it is on a read-only medium, where a WAL database needs two more files beside it"
    if not os.access(path.parent, os.W_OK):
        return f"; {path.parent} is not writable, and a WAL database needs two more files beside it"
    return ""


def sqlite_version() -> tuple[int, int, int]:
    """Version of the SQLite library in use; below 3.51.3 two connections can, very rarely, corrupt a WAL database."""
    return sqlite3.sqlite_version_info[0], sqlite3.sqlite_version_info[1], sqlite3.sqlite_version_info[2]
