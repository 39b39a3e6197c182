"""All passes by the names of `families.sparsity`: what the settings of a trial do to its network during training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.compression.masks import matrices_of
from bertdistill.engine.distill.compression.movement import Movement
from bertdistill.engine.distill.compression.passes import Pass
from bertdistill.engine.distill.compression.pools import Pool, parameters_each, pools_of
from bertdistill.engine.distill.compression.proximal import Proximal
from bertdistill.engine.distill.compression.ranked import Ranked, at_random, by_magnitude
from bertdistill.engine.families import sparsity
from bertdistill.engine.families.sparsity import Pruning, count, pruning_of
from bertdistill.engine.families.table import foreign

PASSES: dict[str, Callable[[Sequence[Pool], Pruning, int], Pass]] = {
    sparsity.MAGNITUDE: lambda pools, pruning, seed: Ranked(pools, pruning, by_magnitude(pools, seed)),
    sparsity.RANDOM: lambda pools, pruning, seed: Ranked(pools, pruning, at_random(pools, seed)),
    sparsity.MOVEMENT: lambda pools, pruning, seed: Movement(pools, pruning),
    sparsity.PROXIMAL: lambda pools, pruning, seed: Proximal(
        {name: weight for pool in pools for name, weight in pool.matrices.items()}, pruning
    ),
}
"""Each makes the pass over what is in scope, with the seed of the trial."""


def passes_of(settings: Settings, net: nn.Module) -> tuple[Pass, ...]:
    """The passes that the settings ask for, over a network on its device."""
    pruning = _pruning(settings)
    if pruning is None:
        return ()
    return (PASSES[pruning.method](pools_of(net, pruning), pruning, settings.seed),)


def removed(settings: Settings, net: nn.Module) -> int:
    """Parameters of the whole network that its best checkpoint does not have: heads and neurons that are pruned."""
    pruning = _pruning(settings)
    if pruning is None:
        return 0
    pools = pools_of(net, pruning)
    return sum(pool.wanted(pruning.sparsity) * parameters_each(pool, net) for pool in pools)


def pruned_zeros(settings: Settings, net: nn.Module) -> int:
    """The zeros of the pruning that trained this network, without those that would be there anyway (of padding)."""
    pruning = _pruning(settings)
    if pruning is None or pruning.structures:
        return 0
    matrices = matrices_of(net, embeddings=pruning.embeddings).values()
    found = [(int((weight == 0).sum()), count(weight.numel(), pruning.sparsity)) for weight in matrices]
    return sum(min(zeros, wanted) if pruning.exact else zeros for zeros, wanted in found)


def linear_zeros(net: nn.Module) -> int:
    """Zeros in the linear layers of an encoder, whatever made them."""
    return sum(int((weight == 0).sum()) for weight in matrices_of(net, embeddings=False).values())


def _pruning(settings: Settings) -> Pruning | None:
    """None for a family that does not use the keys."""
    return None if "pruning" in foreign(settings) else pruning_of(settings)
