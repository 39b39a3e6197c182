"""The export format of each family, by the names of `distill.families.table.BUILDERS`; a test keeps them in sync."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bertdistill.engine.distill.export.bottleneck_format import BottleneckFormat
from bertdistill.engine.distill.export.encoder_format import EncoderFormat
from bertdistill.engine.distill.export.format import Format
from bertdistill.engine.distill.export.linear_format import LinearFormat
from bertdistill.engine.distill.export.tiny_format import TinyFormat
from bertdistill.engine.distill.families.table import family_of

FORMATS: dict[str, Callable[[Path], Format]] = {
    "transformer": EncoderFormat,
    "bottleneck": BottleneckFormat,
    "mlp": TinyFormat,
    "bilstm": TinyFormat,
    "linear": LinearFormat,
}


def open_format(folder: Path) -> Format:
    """The model of a checkpoint, of any family; ConfigError if it cannot be loaded."""
    return FORMATS[family_of(folder)](folder)
