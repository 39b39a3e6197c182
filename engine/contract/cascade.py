"""A cascade as it is verified and exported: its members, and the rule that says which of them answers.

Standard library only. It reads no files. It is part of a `Promotion`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError


@dataclass(frozen=True)
class Part:
    """One member."""

    name: str
    """`#7` or `teacher`."""
    checkpoint: Path | None = None
    """Of a trial, absolute; None for the teacher of the study."""
    sha256: str = ""
    """Of its weights; empty for the teacher."""
    precision: str = ""
    """In which the recorded outputs were computed; empty if not recorded."""
    device: str = ""


@dataclass(frozen=True)
class Router:
    """The small model is always asked; the large one answers if its calibrated confidence is below the threshold."""

    small: Part
    large: Part
    temperature: float
    """The logits of the small model are divided by it."""
    threshold: float
    share: float
    """Of the validation examples that the large model answered when the threshold was chosen."""

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        parts = {name: _plain(getattr(self, name)) for name in ("small", "large")}
        return parts | {"temperature": self.temperature, "threshold": self.threshold, "share": self.share}

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Router:
        """From its JSON form. Raises ConfigError if something is missing or has the wrong type."""
        try:
            small, large = (_part(raw[name]) for name in ("small", "large"))
            numbers = {name: float(raw[name]) for name in ("temperature", "threshold", "share")}
            return Router(small, large, **numbers)
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"the rule of a cascade has no valid {error}", hint="promote it again") from error


def _plain(part: Part) -> dict[str, Any]:
    return dataclasses.asdict(part) | {"checkpoint": str(part.checkpoint) if part.checkpoint else None}


def _part(raw: Mapping[str, Any]) -> Part:
    words = {name: str(raw.get(name, "")) for name in ("sha256", "precision", "device")}
    return Part(str(raw["name"]), Path(raw["checkpoint"]) if raw.get("checkpoint") else None, **words)
