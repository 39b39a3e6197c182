"""Callbacks for transformers' `Trainer` and for optuna; see `engine.interchange.callbacks`."""

from __future__ import annotations

from bertdistill.engine.interchange.callbacks import OptunaCallback, TrainerCallback

__all__ = ["OptunaCallback", "TrainerCallback"]
