"""Which names a study or a model may have: each becomes a folder. Standard library only."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEVICE_NAMES = ("con", "nul", "prn", "aux", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)))
"""Folders that Windows cannot make, with or without an extension."""


def name_problem(name: str) -> str:
    """Why `name` cannot name a study or a model ('' when it can): it becomes a folder, so little is allowed."""
    if not NAME.fullmatch(name):
        return "is no name; use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first"
    if name.endswith("."):
        return "ends with a dot; remove it"
    if name.split(".")[0].lower() in DEVICE_NAMES:
        return "is the name of a device on Windows; use another"
    return ""
