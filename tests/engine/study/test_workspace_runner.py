"""`[runner]` of workspace.toml."""

from pathlib import Path

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.workspace_runner import read_workspace_runner


def test_it_is_warm_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    assert read_workspace_runner(tmp_path).warm
    (tmp_path / "workspace.toml").write_text("[runner]\nwarm = false\n")
    assert not read_workspace_runner(tmp_path).warm


def test_a_wrong_value_names_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "workspace.toml").write_text('[runner]\nwarm = "no"\n')
    with pytest.raises(ConfigError, match=r"workspace\.toml.*\[runner\] warm = .no. must be true or false"):
        read_workspace_runner(tmp_path)
