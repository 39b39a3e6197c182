"""`[notify]` is read, checked and written back; it costs nothing where it is not used."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes import study_dict, study_spec

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.study.config import dump, study_from_dict, to_toml
from bertdistill.engine.study.notify_section import NotifySection, read_workspace_notify


def test_it_comes_back(tmp_path: Path) -> None:
    """Only what differs from the defaults is written."""
    spec = study_spec(tmp_path, notify={"command": ["notify-send", "-"], "on": ["trial-failed"]})
    assert {"command": ["notify-send", "-"], "on": ["trial-failed"]} == dump(spec)["notify"]
    assert spec == study_from_dict(dump(spec), where="test")
    assert "notify" not in dump(study_spec(tmp_path))
    assert "[notify]" not in to_toml(study_spec(tmp_path))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (
            {"on": ["study-completed"]},
            "[notify] on has 'study-completed', which is not an event; did you mean study-complete?",
        ),
        ({"webhook": "ftp://x"}, "[notify] webhook must be an address that starts with http:// or https://"),
        ({"webhook": "https://"}, "[notify] webhook must be an address"),
        ({"command": "tell"}, '[notify] command = "tell" must be a list'),
        ({"command": [""]}, "[notify] command must begin with the name of a program"),
        ({"timeout": 0}, "[notify] timeout = 0 is below 1"),
        ({"url": "x"}, "[notify] url is not a known key"),
    ],
)
def test_what_is_wrong_is_said(table: dict[str, object], problem: str, tmp_path: Path) -> None:
    """With the key."""
    with pytest.raises(ConfigError) as error:
        study_from_dict(study_dict(tmp_path, notify=table), where="test")
    assert problem in str(error.value)


def test_a_workspace_may_have_its_own(tmp_path: Path) -> None:
    """In `workspace.toml`."""
    assert NotifySection() == read_workspace_notify(tmp_path)
    (tmp_path / "workspace.toml").write_text('[notify]\nwebhook = "http://x"\n')
    assert "http://x" == read_workspace_notify(tmp_path).webhook
    (tmp_path / "workspace.toml").write_text("[notfy]\n")
    with pytest.raises(ConfigError, match="did you mean notify"):
        read_workspace_notify(tmp_path)
