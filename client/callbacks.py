"""Callbacks for transformers' `Trainer`, optuna, Lightning and Keras.

See `engine.interchange.callbacks` and `engine.interchange.framework_callbacks`.
"""

from __future__ import annotations

from bertdistill.engine.interchange.callbacks import OptunaCallback, TrainerCallback
from bertdistill.engine.interchange.framework_callbacks import KerasCallback, LightningCallback

__all__ = ["KerasCallback", "LightningCallback", "OptunaCallback", "TrainerCallback"]
