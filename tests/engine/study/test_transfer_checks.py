"""`[[transfer]]` in a study file: keys of other kinds, what a kind cannot do without, paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import TransferSpec
from bertdistill.engine.study.config import dump, load_study, study_from_dict
from bertdistill.engine.study.student import wanted_families, wanted_transfer
from bertdistill.engine.study.study_text import write_toml


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"kind": "words", "share": 0.5}, "share of words has no effect there; it belongs to mask, replace or eda"),
        ({"kind": "file"}, "[transfer.0] path of file is missing"),
        ({"kind": "hub"}, "[transfer.0] hub of hub is missing"),
        ({"kind": "generate", "rows": 5}, "[transfer.0] model of generate is missing"),
        ({"kind": "eda"}, "[transfer.0] rows of eda is missing: the number of rows to draw"),
        ({"kind": "ngrams", "rows": 5, "shortest": 4, "longest": 3}, "shortest of ngrams = 4 is above longest = 3"),
        ({"kind": "mask", "rows": 5, "share": 0.0}, "share of mask = 0 is below 0.01"),
        ({"rows": 5}, "[transfer.0] kind is missing"),
    ],
)
def test_refusals(tmp_path: Path, table: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        study_from_dict(study_dict(tmp_path, transfer=[table]), where="here")
    assert expected in str(refused.value)


def test_the_report_file_is_refused(tmp_path: Path) -> None:
    raw = study_dict(tmp_path, transfer=[{"kind": "file", "path": str(tmp_path / "report.txt")}])
    with pytest.raises(ConfigError, match="path of file is the report file"):
        study_from_dict(raw, where="here")


def test_without_a_soft_loss_a_share_has_no_effect(tmp_path: Path) -> None:
    raw = study_dict(
        tmp_path,
        transfer=[{"kind": "words"}],
        settings={"alpha": 0.0},
        search={"transfer_share": {"low": 0.1, "high": 0.5}},
        baseline={},
    )
    with pytest.raises(ConfigError, match=r"search\.transfer_share\] has no effect with alpha = 0"):
        study_from_dict(raw, where="here")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "[transfer] has no effect: no trial draws from it; set or search transfer_share, or remove it"),
        (
            {"settings": {"transfer_share": 0.5, "alpha": 0.0}, "baseline": {}},
            "[settings] transfer_share = 0.5 has no effect with alpha = 0: nothing else labels these texts",
        ),
    ],
)
def test_a_set_that_no_trial_can_use_is_refused(tmp_path: Path, more: dict[str, Any], expected: str) -> None:
    """Rather than forgotten in silence; a share of 0 that is written down is a decision."""
    with pytest.raises(ConfigError) as refused:
        study_from_dict(study_dict(tmp_path, transfer=[{"kind": "words"}], **more), where="here")
    assert expected in str(refused.value)


def test_a_table_that_cannot_be_read_is_the_only_problem(tmp_path: Path) -> None:
    """Not also that there is none."""
    raw = study_dict(tmp_path, transfer=[{"kind": "wrds"}], settings={"transfer_share": 0.5})
    with pytest.raises(ConfigError) as refused:
        study_from_dict(raw, where="here")
    assert "wrds" in str(refused.value)
    assert "there is no" not in str(refused.value)


def test_paths_are_those_beside_the_study_file(tmp_path: Path) -> None:
    """And the tables come back from the stored form as they were."""
    tables = [{"kind": "words", "rows": 9}, {"kind": "file", "path": "more.txt"}]
    raw = study_dict(tmp_path, transfer=tables, settings={"transfer_share": 0.5})
    (tmp_path / "more.txt").write_text("a text\n")
    (tmp_path / "study.toml").write_text(write_toml(raw))
    spec = load_study(tmp_path / "study.toml")
    assert (TransferSpec("words", 9), TransferSpec("file", path=str(tmp_path / "more.txt"))) == spec.transfer
    assert spec == study_from_dict(dump(spec), where="here")


def test_the_families_are_those_of_trials(tmp_path: Path) -> None:
    """The default of a searched setting is no trial's."""
    raw = study_dict(tmp_path, search={"family": {"choices": ["mlp", "bilstm"]}})
    for baseline in (None, {"family": "mlp"}):
        assert ["bilstm", "mlp"] == wanted_families(study_from_dict(raw | {"baseline": baseline}, where="here"))
    assert ["transformer"] == wanted_families(study_from_dict(study_dict(tmp_path), where="here"))


@pytest.mark.parametrize(
    ("more", "wanted"),
    [
        ({"settings": {"transfer_share": 0.0}}, False),
        ({"settings": {"transfer_share": 0.3}}, True),
        ({"baseline": {"transfer_share": 0.3}}, True),
        ({"search": {"transfer_share": {"choices": [0.0, 0.5]}}, "baseline": {}}, True),
    ],
)
def test_no_set_is_made_that_no_trial_may_use(tmp_path: Path, more: dict[str, Any], wanted: bool) -> None:
    spec = study_from_dict(study_dict(tmp_path, transfer=[{"kind": "words"}], **more), where="here")
    assert wanted == bool(wanted_transfer(spec))
