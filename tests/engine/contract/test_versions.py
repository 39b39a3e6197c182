"""Versions for the record."""

from __future__ import annotations

import platform
import sys

from bertdistill.engine.contract.versions import OWN, installed, versions


def test_it_names_what_is_here_and_imports_nothing() -> None:
    """A package that is not here has no entry."""
    loaded = set(sys.modules)
    found = versions((OWN, "no-such-package-here"))
    assert found == {"python": platform.python_version(), OWN: installed(OWN)}
    assert set(sys.modules) == loaded
