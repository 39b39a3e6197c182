"""What a verification must do: which checkpoint, what was recorded of it, and where to export it.

Standard library only. It reads no files. `promote` in spec.json holds its JSON form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.cascade import Router
from bertdistill.engine.contract.errors import ConfigError


@dataclass(frozen=True)
class Promotion:
    """One promotion as it was requested. Paths are absolute."""

    checkpoint: Path
    sha256: str
    target: Path
    """Folder of the exported model."""
    name: str
    version: int
    recorded: Mapping[str, float]
    """Scores of the checkpoint, and the final metrics of its trial."""
    force: bool = False
    """Export even if weights or scores differ from the record."""
    samples: int = 1000
    """Bootstrap resamples."""
    precision: str = ""
    """Precision of the recorded score (float32, bfloat16); if empty, that of the trial's settings."""
    device: str = ""
    """Kind of device of the recorded score (cpu, cuda); if empty, that of the verification."""
    alias: str = ""
    """Set once the version is verified."""
    note: str = ""
    """For the model card."""
    cascade: Router | None = None
    """Verify this cascade; `checkpoint` and `sha256` are then those of its first member that is a trial."""

    def to_dict(self) -> dict[str, Any]:
        """Its JSON form."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {
            "checkpoint": str(self.checkpoint),
            "target": str(self.target),
            "recorded": dict(self.recorded),
            "cascade": self.cascade.to_dict() if self.cascade else None,
        }

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Promotion:
        """From its JSON form; unknown keys are ignored. Raises ConfigError if one is missing or has the wrong type."""
        try:
            return Promotion(
                checkpoint=Path(raw["checkpoint"]),
                sha256=str(raw["sha256"]),
                target=Path(raw["target"]),
                name=str(raw["name"]),
                version=int(raw["version"]),
                recorded={key: value for key, value in raw["recorded"].items() if value is not None},
                force=bool(raw.get("force", False)),
                samples=int(raw.get("samples") or Promotion.samples),
                cascade=Router.from_dict(raw["cascade"]) if raw.get("cascade") else None,
                **{name: str(raw.get(name, "")) for name in ("precision", "device", "alias", "note")},
            )
        except KeyError as error:
            raise ConfigError(f"spec.json: promote has no {error}", hint="start the promotion again") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"spec.json: promote: {error}", hint="start the promotion again") from error
