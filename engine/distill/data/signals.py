"""File names of the cached teacher signals for the training inputs: one array per signal, aligned with the features."""

from __future__ import annotations

from pathlib import Path

from bertdistill.engine.contract.terms import LOGITS

FILES = {LOGITS: "outputs.npy"}
"""File names that differ from the signal's name."""


def signal_file(folder: Path, name: str) -> Path:
    """The file of a signal in the folder of a teacher's outputs."""
    return folder / FILES.get(name, f"{name}.npy")
