"""All passes by the names of `families.sparsity`: what the settings of a trial do to its network during training."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.compression.masks import Matrices, matrices_of
from bertdistill.engine.distill.compression.movement import Movement
from bertdistill.engine.distill.compression.passes import Pass
from bertdistill.engine.distill.compression.proximal import Proximal
from bertdistill.engine.distill.compression.ranked import Ranked, at_random, by_magnitude
from bertdistill.engine.families import sparsity
from bertdistill.engine.families.sparsity import Pruning, count, pruning_of
from bertdistill.engine.families.table import foreign

PASSES: dict[str, Callable[[Matrices, Pruning, int], Pass]] = {
    sparsity.MAGNITUDE: lambda matrices, pruning, seed: Ranked(matrices, pruning, by_magnitude(matrices, seed)),
    sparsity.RANDOM: lambda matrices, pruning, seed: Ranked(matrices, pruning, at_random(matrices, seed)),
    sparsity.MOVEMENT: lambda matrices, pruning, seed: Movement(matrices, pruning),
    sparsity.PROXIMAL: lambda matrices, pruning, seed: Proximal(matrices, pruning),
}
"""Each makes the pass over the matrices in scope, with the seed of the trial."""


def passes_of(settings: Settings, net: nn.Module) -> tuple[Pass, ...]:
    """The passes that the settings ask for, over a network on its device."""
    pruning = _pruning(settings)
    if pruning is None:
        return ()
    matrices = matrices_of(net, embeddings=pruning.embeddings)
    return (PASSES[pruning.method](matrices, pruning, settings.seed),)


def pruned_zeros(settings: Settings, net: nn.Module) -> int:
    """The zeros of the pruning that trained this network, without those that would be there anyway (of padding)."""
    pruning = _pruning(settings)
    if pruning is None:
        return 0
    matrices = matrices_of(net, embeddings=pruning.embeddings).values()
    found = [(int((weight == 0).sum()), count(weight.numel(), pruning.sparsity)) for weight in matrices]
    return sum(min(zeros, wanted) if pruning.exact else zeros for zeros, wanted in found)


def _pruning(settings: Settings) -> Pruning | None:
    """None for a family that does not use the keys."""
    return None if "pruning" in foreign(settings) else pruning_of(settings)
