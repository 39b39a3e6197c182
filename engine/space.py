"""The search space as a value: kinds of parameters, their ranges and the conditions between them.

Pure and standard library only. It samples nothing; proposals are made in `search`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Value = int | float | str | bool


@dataclass(frozen=True)
class Parameter:
    """One searched parameter. Numbers have `low` and `high` (inclusive), categories have `choices`."""

    name: str
    kind: Literal["float", "int", "choice"]
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    """Active only if every named parameter has one of these values; inactive parameters take the fixed setting."""


Space = tuple[Parameter, ...]
