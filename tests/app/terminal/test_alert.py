"""What is written to a terminal; no name of a study can add to it."""

from __future__ import annotations

import pytest

from bertdistill.app.terminal.alert import alert_sequence

HOSTILE = "study \x1b]52;c;AAAA\x07x; is complete"


@pytest.mark.parametrize(
    ("environ", "start", "end"),
    [
        ({"TERM": "xterm-kitty"}, "\x1b]9;bertdistill-tui: ", "\x07"),
        ({"TERM": "foot"}, "\x1b]777;notify;bertdistill-tui;", "\x07"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, "\x1b]777;notify;bertdistill-tui;", "\x07"),
        ({"TERM": "tmux-256color", "TMUX": "x"}, "\x1bPtmux;\x1b\x1b]9;bertdistill-tui: ", "\x07\x1b\\"),
        ({"TERM": "screen", "STY": "x"}, "\x1bP\x1b]9;bertdistill-tui: ", "\x07\x1b\\"),
    ],
)
def test_a_desktop_notification(environ: dict[str, str], start: str, end: str) -> None:
    """In the form that the terminal knows."""
    found = alert_sequence("desktop", HOSTILE, environ)
    assert found.startswith(start)
    assert found.endswith(end)
    inner = found[len(start) : -len(end)]
    assert inner.isprintable()
    assert ";" not in inner


def test_the_bell_is_one_byte() -> None:
    """Whatever happened."""
    assert "\x07" == alert_sequence("bell", HOSTILE, {})
