"""Commands about studies say what they would do, and refuse what nobody asked for."""

from __future__ import annotations

import pytest

from bertdistill.app.cli import main
from bertdistill.engine.contract.workspace import Workspace


def test_the_name_of_a_trial_stops_no_study(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """`stop demo/0` is refused with the command that stops the trial alone, not with one that stops the study."""
    with pytest.raises(SystemExit) as ended:
        main(["engine", "stop", "-w", str(ws.path), "demo/0"])
    out, err = capsys.readouterr()
    assert (2, "") == (ended.value.code, out)
    assert "names a trial" in err
    assert "stop --trial demo/0" in err
