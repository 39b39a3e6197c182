"""Whether a promoted folder is still what was verified, over real files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bertdistill.engine.contract.folder import file_sha256
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.steering import integrity
from bertdistill.engine.steering.integrity import FILES, WEIGHTS, changed, fingerprints
from bertdistill.store.rows import ModelVersion

Make = Callable[[], tuple[Workspace, Path, ModelVersion]]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Workspace, Path, ModelVersion]:
    """An exported folder and its row."""
    workspace = Workspace(tmp_path.resolve())
    folder = workspace.models_folder("m", 1)
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    report = {FILES: fingerprints(folder)}
    given = {"name": "m", "version": 1, "trial_id": 1, "checkpoint_id": 1, "created_at": 1.0, "state": "verified"}
    return workspace, folder, ModelVersion(folder="models/m/v1", report=report, sha256="", **given)  # type: ignore[arg-type]  # a mixed table of keywords


def test_each_tampering_is_named(made: tuple[Workspace, Path, ModelVersion]) -> None:
    """Changed weights of the same size and time, a changed config, a file of code that was added, a missing folder."""
    workspace, folder, version = made
    assert "" == changed(workspace, version)
    status = (folder / WEIGHTS).stat()
    (folder / WEIGHTS).write_bytes(b"WEIGHTS")
    os.utime(folder / WEIGHTS, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "model.safetensors changed or missing" == changed(workspace, version)
    (folder / "config.json").unlink()
    (folder / "modeling.py").write_text("import os")
    assert "config.json, model.safetensors changed or missing; modeling.py added" == changed(workspace, version)
    folder.rename(folder.with_name("gone"))
    assert "models/m/v1 is missing" == changed(workspace, version)


def test_a_file_is_read_once_for_each_change(
    made: tuple[Workspace, Path, ModelVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the next process: what was read is kept in the workspace. A broken memory is made anew."""
    workspace, _, version = made
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(integrity, "file_sha256", counted)
    for _ in range(3):
        assert "" == changed(workspace, version)
    assert ["config.json", WEIGHTS] == read
    (workspace.caches / "digests.json").write_text("[")
    assert ("", 4) == (changed(workspace, version), len(read))


def test_an_older_version_is_known_by_its_weights(made: tuple[Workspace, Path, ModelVersion]) -> None:
    """Its row holds their digest alone."""
    workspace, folder, version = made
    older = ModelVersion(**{**vars(version), "report": {}, "sha256": file_sha256(folder / WEIGHTS)})
    assert "" == changed(workspace, older)
    (folder / WEIGHTS).write_bytes(b"other")
    assert "model.safetensors changed or missing" == changed(workspace, older)
