"""`engine trials --filter` keeps what the app's filter keeps, and tells mistakes as misuse."""

from __future__ import annotations

import json

import pytest

from bertdistill.app.cli import main
from bertdistill.engine.contract.workspace import Workspace


def typed(ws: Workspace, words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of `engine trials`."""
    with pytest.raises(SystemExit) as ended:
        main(["engine", "trials", "-w", str(ws.path), *words])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out, err


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--filter", "exact>60 layers=1"], [1, 7]),
        (["--filter", "-state:complete"], [5, 6]),
        (["--filter", "-state:complete", "--state", "failed"], [5]),
        (["--filter", "  "], [0, 1, 2, 3, 4, 5, 6, 7]),
        (["--filter", "exact>99"], []),
    ],
)
def test_what_is_kept(ws: Workspace, words: list[str], numbers: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    """In ranked order, together with the other options."""
    status, out, err = typed(ws, [*words, "--json"], capsys)
    assert (0, numbers) == (status, sorted(row["trial"] for row in json.loads(out))), err


def test_a_mistake_is_misuse(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2, the key and the nearest one on stderr, nothing on stdout."""
    assert (2, "", "error: there is no 'exakt' to filter by\nhint: Did you mean exact?\n") == typed(
        ws, ["--filter", "exakt>3"], capsys
    )


def test_a_name_that_is_no_text_is_misuse(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that are not UTF-8 reach Python as half of a surrogate pair, which SQLite cannot be asked for."""
    assert (2, "", "error: a?: not UTF-8 text\nhint: Type it in UTF-8.\n") == typed(ws, ["a\udcff"], capsys)
