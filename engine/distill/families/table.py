"""The networks of each family, by the names of `engine.families.table.FAMILIES`; a test keeps both tables in sync."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import cast

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.distill.families.model import FAMILY, Builder, Model


@dataclass(frozen=True)
class Deferred:
    """The builder `name` of a module that is imported with its first model: transformers takes 2 s, SciPy a third."""

    module: str
    name: str

    @property
    def builder(self) -> Builder:
        return cast(Builder, getattr(import_module(f"bertdistill.engine.distill.families.{self.module}"), self.name))

    def build(self, spec: AttemptSpec) -> Model:
        return self.builder.build(spec)

    def load(self, folder: Path) -> Model:
        return self.builder.load(folder)


BUILDERS: dict[str, Builder] = {
    "transformer": Deferred("encoder", "ENCODERS"),
    "bottleneck": Deferred("bottleneck", "BOTTLENECKS"),
    "mlp": Deferred("tiny", "MLPS"),
    "bilstm": Deferred("tiny", "BILSTMS"),
    "linear": Deferred("linear", "LINEARS"),
}


def family_of(folder: Path) -> str:
    """The family of the model in a folder; ConfigError if it cannot be read or is of another version."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: config.json cannot be read: {error}") from error
    family = str(config.get(FAMILY, "transformer"))
    if family not in BUILDERS:
        raise ConfigError(f"{folder}: a model of the family {family!r}, which this version does not support")
    return family


def load_model(folder: Path) -> Model:
    """The model in a folder, of any family; ConfigError if it cannot be loaded."""
    return BUILDERS[family_of(folder)].load(folder)
