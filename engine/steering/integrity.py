"""Whether a promoted folder is still what was verified: the SHA-256 of its files against the recorded digests.

A file is read once for each change of its size, times or inode (0.3 to 1 s for 440 MB); later checks cost one `stat`
per file, across processes too. It protects against accidents and against users without write access; anyone who can
write to the workspace can also change the record. It changes no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.folder import file_sha256, write_json
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.store.rows import ModelVersion

WEIGHTS = "model.safetensors"
FILES = "file_sha256"
"""Key in a version's report: the digest of each file in its folder."""
_KEPT = "digests.json"


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of an exported folder, by its path in it; links are skipped."""
    files = [one for one in sorted(folder.rglob("*")) if one.is_file() and not one.is_symlink()]
    return {one.relative_to(folder).as_posix(): file_sha256(one) for one in files}


def changed(workspace: Workspace, version: ModelVersion) -> str:
    """What differs from the verified state, as a sentence; empty if nothing differs or nothing was exported."""
    if version.state != "verified" or not version.folder:
        return ""
    folder = workspace.absolute(version.folder)
    if not folder.is_dir():
        return f"{version.folder} is missing"
    wanted: Mapping[str, str] = version.report.get(FILES) or {WEIGHTS: version.sha256}
    digests = _Digests(workspace)
    wrong = [name for name, sha256 in wanted.items() if sha256 and digests.of(folder / name) != sha256]
    digests.save()
    code = [one.relative_to(folder).as_posix() for one in folder.rglob("*.py")] if FILES in version.report else []
    added = [name for name in code if name not in wanted]
    words = [f"{', '.join(wrong)} changed or missing"] if wrong else []
    return "; ".join([*words, *(f"{', '.join(added)} added" for _ in added[:1])])


class _Digests:
    """Digests of files as last read, cached in a file of the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._path = workspace.caches / _KEPT
        self._kept = _read(self._path)
        self._fresh = False

    def of(self, path: Path) -> str:
        """The digest of a regular file; empty if it is missing or a link."""
        try:
            status = path.lstat()
        except OSError:
            return ""
        if not path.is_file() or path.is_symlink():
            return ""
        mark = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        kept = self._kept.get(str(path))
        if isinstance(kept, list) and kept[:-1] == mark:
            return str(kept[-1])
        sha256 = file_sha256(path)
        self._kept[str(path)], self._fresh = [*mark, sha256], True
        return sha256

    def save(self) -> None:
        """Save the digests; without write access to the workspace the files are read again next time."""
        if not self._fresh:
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_json(self._path, self._kept)
        except OSError:
            return


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
