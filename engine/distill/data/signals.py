"""Where what a teacher said about the training inputs is cached: an array a signal, aligned with the features."""

from __future__ import annotations

from pathlib import Path

from bertdistill.engine.contract.terms import LOGITS

FILES = {LOGITS: "outputs.npy"}
"""Names that are not simply those of their signals."""


def signal_file(folder: Path, name: str) -> Path:
    """The file of a signal in the folder of a teacher's outputs."""
    return folder / FILES.get(name, f"{name}.npy")
