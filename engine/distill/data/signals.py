"""The files of the cached teacher signals for the training inputs, one array a signal. It runs no teacher."""

from __future__ import annotations

from pathlib import Path

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.terms import CLS, LOGITS

FILES = {LOGITS: "outputs.npy"}
"""File names that differ from the signal's name."""
PER_TOKEN = frozenset({LOGITS})
"""Signals with one row a token where answers are spans; the others have one row an input."""


def signal_file(folder: Path, name: str) -> Path:
    """The file of a signal in a cache folder."""
    return folder / FILES.get(name, f"{name}.npy")


def prepared_file(facts: Prepared, name: str) -> Path:
    """The file of a signal of a preparation."""
    return signal_file(Path(facts.states if name == CLS else facts.outputs), name)
