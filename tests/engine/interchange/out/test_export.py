"""The whole of an export: what is written where, what is refused, and that the workspace stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import InvalidRequest
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.interchange.out import csv_files, export, forms
from bertdistill.engine.interchange.out.export import Exported, export_study
from bertdistill.engine.interchange.out.outgoing import Losses, Outgoing
from bertdistill.store.errors import NotFound

Export = Callable[..., Exported]


@pytest.fixture
def to_csv(workspace: Workspace) -> Export:
    """Exports the study `toy` as CSV."""
    return lambda path, **more: export_study(workspace, "toy", "csv", path, **more)


def test_it_is_complete_and_nothing_else_is_left(to_csv: Export, workspace: Workspace, tmp_path: Path) -> None:
    """The workspace is only read; folders on the way are made."""
    before = workspace.database.read_bytes()
    done = to_csv(tmp_path / "a" / "b")
    assert {"trials.csv", "points.csv", "study.json"} == {one.name for one in (tmp_path / "a" / "b").iterdir()}
    assert [tmp_path / "a" / "b"] == list((tmp_path / "a").iterdir())
    assert (9, [], before) == (done.trials, done.losses, workspace.database.read_bytes())
    assert 66 == done.points == len((tmp_path / "a/b/points.csv").read_text().splitlines()) - 1


def test_what_exists_is_replaced_only_by_force(to_csv: Export, tmp_path: Path) -> None:
    """And a folder only if it is such an export."""
    target = tmp_path / "out"
    to_csv(target)
    (target / "trials.csv").write_text("old")
    with pytest.raises(InvalidRequest, match="out exists"):
        to_csv(target)
    to_csv(target, force=True)
    assert (target / "trials.csv").read_text() != "old"
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.tex").write_text("")
    with pytest.raises(InvalidRequest, match="not such an export"):
        to_csv(own, force=True)
    assert ["out", "own"] == sorted(one.name for one in tmp_path.iterdir())


def test_paths_that_cannot_be_meant(to_csv: Export, workspace: Workspace, tmp_path: Path) -> None:
    """In the workspace, also through a link, and a file name for a folder."""
    (tmp_path / "link").symlink_to(workspace.path)
    for path in (workspace.path / "out", workspace.path, tmp_path / "link" / "out"):
        with pytest.raises(InvalidRequest, match="inside of the workspace"):
            to_csv(path, force=True)
    with pytest.raises(InvalidRequest, match="looks like a file"):
        to_csv(tmp_path / "trials.csv")


def test_an_error_leaves_what_was_there(to_csv: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half an export is removed."""
    to_csv(tmp_path / "out")

    def fail(out: Outgoing, folder: Path, losses: Losses) -> None:
        csv_files.write(out, folder, losses)
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setitem(forms.FORMS, "csv", forms.Form(fail, "", folder=True, opens=""))
    with pytest.raises(OSError, match="No space"):
        to_csv(tmp_path / "out", force=True)
    assert [tmp_path / "out"] == list(tmp_path.iterdir())
    assert (tmp_path / "out" / "trials.csv").is_file()


def test_a_missing_package_or_study_says_what_to_do(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written."""
    monkeypatch.setattr(forms, "find_spec", lambda name: None)
    with pytest.raises(InvalidRequest, match="needs the package mlflow") as missing:
        export_study(workspace, "toy", "mlflow", tmp_path / "x.db")
    assert "pip install 'bertdistill-tui[mlflow]'" in missing.value.hint
    with pytest.raises(NotFound, match="toi"):
        export_study(workspace, "toi", "csv", tmp_path / "x")
    assert [] == list(tmp_path.iterdir())


def test_progress_is_said_now_and_then(to_csv: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock, not by points; without a total where a form leaves points out."""
    said: list[str] = []
    ticks = iter(range(0, 10_000, 1))
    to_csv(tmp_path / "out", say=said.append, clock=lambda: float(next(ticks)))
    assert all(line.startswith("exporting: ") and line.endswith(" of 66 points") for line in said)
    assert said
    said.clear()
    monkeypatch.setitem(forms.FORMS, "csv", replace(forms.FORMS["csv"], whole=False))
    to_csv(tmp_path / "some", say=said.append, clock=lambda: float(next(ticks)))
    assert said
    assert not any(" of " in line for line in said)
    assert export.EVERY_SECONDS > 1
