"""A model to score on the report split, as the worker of kind `report` receives it. Standard library only."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract.errors import ConfigError


@dataclass(frozen=True)
class ReportOrder:
    """One model and where its result goes."""

    key: str
    """Name of its folder in `caches/reports/`: it covers the weights and the report split."""
    name: str
    """For messages: `trial 7`, `teacher`."""
    folder: str
    """Absolute path of the weights."""
    sha256: str = ""
    """Of model.safetensors, which must not have changed; empty for the teacher."""
    threshold: float | None = None
    """Of abstention, as tuned on the validation split; None: never abstain."""
    precision: str = "auto"
    """As in the settings of a trial."""

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> ReportOrder:
        """From its JSON form; unknown keys are ignored. Raises ConfigError if one is missing."""
        known = {field.name for field in dataclasses.fields(ReportOrder)}
        try:
            return ReportOrder(**{key: value for key, value in raw.items() if key in known})
        except TypeError as error:
            raise ConfigError(f"spec.json: report: {error}", hint="run the command again") from error
