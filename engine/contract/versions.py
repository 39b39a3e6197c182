"""Which versions a process runs with, for its record. Standard library only; it imports no package to ask."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

OWN = "bertdistill-tui"
OF_TRAINING = (OWN, "torch", "transformers", "tokenizers")
"""Packages that decide what a training of a student computes."""


def installed(package: str) -> str:
    """The version of a package; empty if it is not here."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def versions(packages: Iterable[str] = OF_TRAINING) -> dict[str, str]:
    """Of Python and of those packages that are here."""
    found = {package: installed(package) for package in packages}
    return {"python": platform.python_version(), **{name: one for name, one in found.items() if one}}
