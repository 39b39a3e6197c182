"""What travels to a machine with an attempt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.launch.conformance import attempt

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.launch.inputs import inputs_of
from bertdistill.engine.study.limits import PATHS


@pytest.mark.parametrize("keys", PATHS, ids=".".join)
def test_a_preparation_takes_every_file_of_the_study_along(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """Also of a table that was added to study files later than this was written."""
    paths, given = attempt(tmp_path / "runs" / "s" / "0"), tmp_path / "given"
    given.write_text("text\n")
    raw = json.loads(paths.spec.read_text())
    *sections, key = keys
    table = raw
    for section in sections:
        table = table[section]
        if isinstance(table, list):
            table.append({} if section == "ensemble" else {"kind": "file"})
            table = table[0]
    table[key] = str(given)
    paths.spec.write_text(json.dumps(raw))
    assert given in [one.path for one in inputs_of(AttemptSpec.read(paths.spec), tmp_path)]


@pytest.mark.parametrize("inside", ["data/train.csv", "models/toy/v1", "cachesheet.csv"])
def test_a_file_of_the_user_inside_the_workspace_is_sent_again_when_it_changes(tmp_path: Path, inside: str) -> None:
    """A workspace may be the folder of a whole project; a machine must not prepare a study from last week's data."""
    paths, given = attempt(tmp_path / "runs" / "s" / "0"), tmp_path / inside
    given.parent.mkdir(parents=True, exist_ok=True)
    spec = replace(AttemptSpec.read(paths.spec), kind="prepare")
    spec = replace(spec, data=replace(spec.data, train=str(given)))
    names = set()
    for text in ("old", "newer"):
        given.write_text(text)
        names |= {one.name for one in inputs_of(spec, tmp_path) if one.path == given}
    assert 2 == len(names)
    assert all(name.startswith("inputs/") and name.endswith(f"/{given.name}") for name in names)


def test_caches_and_checkpoints_keep_their_names(tmp_path: Path) -> None:
    """They are written once: what is there under that name is the same, and is not sent again."""
    paths, checkpoint = attempt(tmp_path / "runs" / "s" / "1"), tmp_path / "runs/s/0/checkpoints/last-1"
    cache = tmp_path / "caches/features/a"
    for made in (checkpoint, cache):
        made.mkdir(parents=True)
    facts = Prepared(features={"train": str(cache)})
    spec = replace(AttemptSpec.read(paths.spec), kind="trial", resume_from=str(checkpoint), prepared=facts)
    found = {one.path: one.name for one in inputs_of(spec, tmp_path)}
    assert ("runs/s/0/checkpoints/last-1", "caches/features/a") == (found[checkpoint], found[cache])
