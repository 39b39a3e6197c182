"""The phases of a training as settings: pre-training before the task, fine-tuning after distillation.

Standard library only. What each phase does is in `distill.pretraining` and `distill.training`.
"""

from __future__ import annotations

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings

PRETRAIN_EPOCHS, FINETUNE_EPOCHS = "pretrain_epochs", "finetune_epochs"
PRETRAINING = frozenset(
    {PRETRAIN_EPOCHS, "pretrain_learning_rate", "pretrain_batch_size", "pretrain_max_length", "mask_probability"}
)
"""Keys of `Settings` about the pre-training."""
FINETUNING = frozenset({FINETUNE_EPOCHS, "finetune_learning_rate"})
"""Those about the fine-tuning."""
NEEDS = {
    **dict.fromkeys(PRETRAINING - {PRETRAIN_EPOCHS}, PRETRAIN_EPOCHS),
    **dict.fromkeys(FINETUNING - {FINETUNE_EPOCHS}, FINETUNE_EPOCHS),
}
"""The number of passes without which a key has no effect."""

WEIGHT_BYTES = 4
TRAINING_COPIES = 9
"""Of the weights on disk at most: the last checkpoint with both moments of AdamW and the best one, each twice while it
is replaced, and the result."""


def pretraining_bytes(params: int) -> int:
    """What the pre-training of so many weights takes on disk while it runs."""
    return WEIGHT_BYTES * TRAINING_COPIES * params


def check_length(settings: Settings, longest: int) -> None:
    """ConfigError if a student that reads `longest` tokens at most would be pre-trained on longer inputs."""
    if settings.pretrain_epochs and settings.pretrain_max_length > longest:
        raise ConfigError(
            f"settings.pretrain_max_length is {settings.pretrain_max_length}, but the student reads at most {longest} "
            "tokens",
            hint=f"Use {longest} at most.",
        )


def idle(settings: Settings) -> frozenset[str]:
    """Keys of phases that these settings leave out."""
    skipped = frozenset[str]() if settings.pretrain_epochs else PRETRAINING - {PRETRAIN_EPOCHS}
    return skipped | (frozenset() if settings.finetune_epochs else FINETUNING - {FINETUNE_EPOCHS})
