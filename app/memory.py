"""What the app remembers of a workspace, or of its user: what was shown and how, in a small file of its own.

Nothing depends on it: a file that is missing, damaged or cannot be written is as good as an empty one.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

NAME = "app.json"
THEME = "theme"
"""The name of the theme that was chosen."""
LARGEST = 1_000_000
"""Bytes beyond which the file is not ours."""
Value = TypeVar("Value")


class Memory:
    """Values by name, of the types that JSON has."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._values: dict[str, Any] | None = None

    def recall(self, name: str, otherwise: Value) -> Value:
        """What was kept under this name, if it is of the type of `otherwise`."""
        value = self._read().get(name)
        return value if isinstance(value, type(otherwise)) else otherwise

    def keep(self, name: str, value: Any) -> None:
        """Remember it, now and for the next start; another app on this workspace may overwrite it."""
        values = self._read()
        if values.get(name) == value:
            return
        values[name] = value
        part = self._path.with_name(f".{NAME}.{os.getpid()}")
        with suppress(OSError):
            part.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            part.replace(self._path)

    def _read(self) -> dict[str, Any]:
        if self._values is None:
            self._values = {}
            with suppress(OSError, ValueError, RecursionError):
                if self._path.stat().st_size <= LARGEST and self._path.is_file():
                    read = json.loads(self._path.read_text(encoding="utf-8"))
                    self._values = read if isinstance(read, dict) else {}
        return self._values
