"""All model families by name. To add a family, add a module and a row here.

The worker has its own table, `distill.families.table.BUILDERS`, with the same names.
"""

from __future__ import annotations

from bertdistill.engine.contract import terms
from bertdistill.engine.contract.spec import FP32, Settings
from bertdistill.engine.families import phases, sparsity
from bertdistill.engine.families.bilstm import BILSTM
from bertdistill.engine.families.bottleneck import BOTTLENECK
from bertdistill.engine.families.family import Family
from bertdistill.engine.families.linear import LINEAR
from bertdistill.engine.families.mlp import MLP
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.families.vocabulary import PLANNED

FAMILIES: dict[str, Family] = {family.name: family for family in (TRANSFORMER, BOTTLENECK, MLP, BILSTM, LINEAR)}


def foreign(settings: Settings) -> frozenset[str]:
    """Keys that this family does not use, and so have no effect with these settings."""
    return frozenset(vars(settings)) - FAMILIES[settings.family].settings


def pretrained(settings: Settings) -> bool:
    """Whether a student with these settings is pre-trained on texts before the task."""
    return bool(settings.pretrain_epochs) and phases.PRETRAIN_EPOCHS not in foreign(settings)


def cuts_vocabulary(family: str) -> bool:
    """Whether students of the family can have fewer pieces than the model that they start from."""
    return family in FAMILIES and FAMILIES[family].settings >= PLANNED


def weights_of(settings: Settings) -> str:
    """The number format that the student is stored in; a family without that setting has fp32."""
    return settings.weights if "weights" in FAMILIES[settings.family].settings else FP32


def unused(settings: Settings) -> frozenset[str]:
    """These, and the keys of terms of the loss with weight 0, of other ways to prune and of phases that are left out.

    No student depends on them.
    """
    return foreign(settings) | terms.idle(settings) | sparsity.idle(settings) | phases.idle(settings)
