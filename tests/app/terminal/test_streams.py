"""What goes to stdout and stderr."""

from __future__ import annotations

import pytest

from bertdistill.app.errors import UsageError
from bertdistill.app.terminal import streams


def test_speech_is_made_safe(capsys: pytest.CaptureFixture[str]) -> None:
    """A message with a hostile name in it cannot drive the terminal, and goes to stderr."""
    streams.say("no study \x1b]52;c;AAAA\x07x")
    assert ("", "no study x\n") == capsys.readouterr()


def test_json_and_csv_exclude_each_other() -> None:
    """Two forms at once is misuse."""
    with pytest.raises(UsageError):
        streams.show_rows([], "", json=True, csv=True)
