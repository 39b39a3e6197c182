"""What travels to a machine with an attempt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.engine.launch.conformance import attempt

from bertdistill.engine.contract.attempt import AttemptSpec
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
