"""The networks of each family, by the names of `engine.families.table.FAMILIES`; a test keeps both tables in sync."""

from __future__ import annotations

import json
from pathlib import Path

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.distill.families.encoder import ENCODERS
from bertdistill.engine.distill.families.model import FAMILY, Builder, Model
from bertdistill.engine.distill.families.tiny import TinyBuilder

BUILDERS: dict[str, Builder] = {
    "transformer": ENCODERS,
    "mlp": TinyBuilder("mlp"),
    "bilstm": TinyBuilder("bilstm"),
}


def load_model(folder: Path) -> Model:
    """The model in a folder, of any family; ConfigError if it cannot be loaded."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: config.json cannot be read: {error}") from error
    family = str(config.get(FAMILY, "transformer"))
    if family not in BUILDERS:
        raise ConfigError(f"{folder}: a model of the family {family!r}, which this version does not support")
    return BUILDERS[family].load(folder)
