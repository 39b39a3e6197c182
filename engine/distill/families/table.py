"""The networks of each family, by the names of `engine.families.table.FAMILIES`; a test keeps both tables in sync."""

from __future__ import annotations

import json
from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.distill.families.bottleneck import BOTTLENECKS
from bertdistill.engine.distill.families.encoder import ENCODERS
from bertdistill.engine.distill.families.linear import LINEARS
from bertdistill.engine.distill.families.model import FAMILY, Builder, Model
from bertdistill.engine.distill.families.tiny import TinyBuilder

BUILDERS: dict[str, Builder] = {
    "transformer": ENCODERS,
    "bottleneck": BOTTLENECKS,
    "mlp": TinyBuilder("mlp"),
    "bilstm": TinyBuilder("bilstm"),
    "linear": LINEARS,
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
