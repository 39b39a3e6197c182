"""The sequences that ring the bell of a terminal or have it show a desktop notification. It writes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bertdistill.app.text.safe import safe_line

BELL = "\x07"
TITLE = "bertdistill-tui"
LONGEST = 200
_ASKS_777 = ("foot", "rxvt", "urxvt", "xterm-ghostty")
"""Starts of TERM of terminals that know OSC 777 and not, or not only, OSC 9."""


def alert_sequence(kind: str, text: str, environ: Mapping[str, str] = os.environ) -> str:
    """`bell`, or for `desktop` OSC 777 (foot, rxvt, VTE) or OSC 9 (iTerm2, kitty, WezTerm, Windows Terminal).

    Terminals that know neither ignore both. Through tmux it goes with `allow-passthrough on`.
    """
    if kind != "desktop":
        return BELL
    words = safe_line(text, LONGEST).replace(";", ",")
    asks = environ.get("TERM", "").startswith(_ASKS_777) or "VTE_VERSION" in environ
    sequence = f"\x1b]777;notify;{TITLE};{words}\x07" if asks else f"\x1b]9;{TITLE}: {words}\x07"
    if environ.get("TMUX"):
        doubled = sequence.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{doubled}\x1b\\"
    return f"\x1bP{sequence}\x1b\\" if environ.get("STY") else sequence
