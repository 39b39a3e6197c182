"""Valid names for studies and models: each becomes a folder name. Standard library only."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEVICE_NAMES = ("con", "nul", "prn", "aux", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10)))
"""Folder names that Windows reserves, with or without an extension."""


def name_problem(name: str) -> str:
    """Why `name` is not valid for a study or model ('' if it is): it becomes a folder, so little is allowed."""
    if not NAME.fullmatch(name):
        return "is not a valid name; use up to 64 letters, digits, dots, dashes or underscores, first a letter or digit"
    if name.endswith("."):
        return "ends with a dot; remove it"
    if name.split(".")[0].lower() in DEVICE_NAMES:
        return "is a reserved device name on Windows; use another name"
    return ""
