"""Pruning as arithmetic: which settings count, and how many weights, heads or neurons are 0 at each step.

Standard library only. It ranks no weights and changes no network: `distill.compression` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings

NONE, MAGNITUDE, RANDOM, GRADUAL, ITERATIVE = "none", "magnitude", "random", "gradual", "iterative"
MOVEMENT, PROXIMAL = "movement", "proximal"
BEFORE, DURING, AFTER = "before", "during", "after"
EMBEDDINGS = "embeddings"
HEADS, NEURONS = "heads", "neurons"
STRUCTURES: dict[str, tuple[str, ...]] = {
    HEADS: (HEADS,),
    NEURONS: (NEURONS,),
    "heads-and-neurons": (HEADS, NEURONS),
}
"""By the value of `settings.pruning_scope`, what is pruned as a whole, and removed in the end."""

_SPAN = frozenset({"pruning_begin", "pruning_end"})
USES: dict[str, frozenset[str]] = {
    NONE: frozenset(),
    MAGNITUDE: frozenset({"sparsity", "pruning_scope", "pruning_when"}),
    RANDOM: frozenset({"sparsity", "pruning_scope", "pruning_when"}),
    GRADUAL: _SPAN | {"sparsity", "pruning_scope"},
    ITERATIVE: _SPAN | {"sparsity", "pruning_scope", "pruning_rounds"},
    MOVEMENT: _SPAN | {"sparsity", "pruning_scope", "pruning_learning_rate"},
    PROXIMAL: _SPAN | {"sparsity", "pruning_scope", "pruning_rounds", "pruning_strength"},
}
"""By the value of `settings.pruning`, the other keys that it uses. With `pruning_when` = during, the keys of the span
count as well. Movement leaves embeddings alone: most of their rows get no gradient, so they have no score."""
STATE_BYTES = {MAGNITUDE: 1, RANDOM: 1, GRADUAL: 1, ITERATIVE: 1, MOVEMENT: 17, PROXIMAL: 4}
"""What the last checkpoint keeps for each weight in scope, at most: a mask; with movement also the whole weight, its
score and the two moments of that; with proximal the weight of the norm, until there is a mask."""
KEYS = frozenset({"pruning"}).union(_SPAN, *USES.values())
"""Keys of `Settings` about pruning."""


UNWEIGHED = "and the norm of pruning = proximal is one of single weights"
UNWEIGHED_HINT = "use pruning = gradual, iterative or movement, or pruning_scope = linears"


@dataclass(frozen=True)
class Pruning:
    """What the settings prune. Equal for settings of equal effect: what a method does not use has its default."""

    method: str
    """How weights are chosen: magnitude, random, movement or proximal."""
    sparsity: float
    """Share of zeros in every matrix in scope, or of heads and neurons in every layer; 0 if the strength decides it."""
    when: str = DURING
    embeddings: bool = False
    """Whether the word embeddings are in scope besides the linear layers of the encoder."""
    structures: tuple[str, ...] = ()
    """What is pruned as a whole, and then removed, instead of single weights: heads, neurons, or both."""
    begin: float = 0.0
    end: float = 1.0
    """Share of the training at which pruning begins and has reached its sparsity."""
    rounds: int = 0
    """Number of times at which weights are chosen (proximal: alpha is renewed); 0 is every step."""
    strength: float = 0.0
    learning_rate: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether the number of zeros follows from the settings."""
        return self.method != PROXIMAL

    def span(self, steps: int) -> tuple[int, int]:
        """The first step of the schedule, and the first one after it."""
        first = min(round(self.begin * steps), steps - 1)
        return first, max(first + 1, round(self.end * steps))

    def round_at(self, step: int, steps: int) -> int:
        """How many rounds have passed before step `step` within the span."""
        first, last = self.span(steps)
        return (step - first) * self.rounds // (last - first)

    def level(self, step: int, steps: int) -> float:
        """Share of zeros during step `step` (from 0) of `steps`, and after the last one with `step` = `steps`.

        Zhu and Gupta 2017, equation 1, with initial sparsity 0: s_f (1 - (1 - t)^3) for t from 0 to 1.
        """
        if step >= steps or self.when == BEFORE:
            return self.sparsity
        if self.when == AFTER:
            return 0.0
        first, last = self.span(steps)
        done = min(max(step - first, 0), last - first) / (last - first)
        if self.rounds and 0 < done < 1:
            done = self.round_at(step, steps) / self.rounds
        return float(self.sparsity * (1 - (1 - done) ** 3))

    def settled(self, step: int, steps: int) -> bool:
        """Whether the network has all its zeros after `step` steps: the last one had them, or all are done."""
        if step >= steps or self.when == BEFORE:
            return True
        return self.when == DURING and step > self.span(steps)[1]

    def zeros(self, sizes: Iterable[int]) -> int | None:
        """Zeros in matrices of these sizes in the end; None if the training decides."""
        return sum(count(size, self.sparsity) for size in sizes) if self.exact else None


def count(size: int, level: float) -> int:
    """Zeros in a matrix of so many weights at this level."""
    return round(size * level)


def gone(number: int, level: float) -> int:
    """Heads or neurons of a layer that are 0 at this level; one of them stays."""
    return min(number - 1, count(number, level))


def pruning_of(settings: Settings) -> Pruning | None:
    """What the settings prune, None for nothing; ConfigError if the schedule ends before it begins, or for RPP of heads
    or neurons.
    """
    keys = used(settings)
    if "sparsity" in keys and not settings.sparsity:
        return None
    if settings.pruning == NONE:
        return None
    begin, key = _begin(settings)
    if keys >= _SPAN and begin >= settings.pruning_end:
        raise ConfigError(
            f"settings.{key} is {begin:g}, which is not before pruning_end = {settings.pruning_end:g}",
            hint="Let pruning begin earlier or end later.",
        )
    structures = STRUCTURES.get(settings.pruning_scope, ()) if "pruning_scope" in keys else ()
    if structures and settings.pruning == PROXIMAL:
        raise ConfigError(f"settings.pruning_scope is {settings.pruning_scope}, {UNWEIGHED}", hint=UNWEIGHED_HINT)
    during = keys >= _SPAN
    return Pruning(
        method=MAGNITUDE if settings.pruning in (GRADUAL, ITERATIVE) else settings.pruning,
        sparsity=settings.sparsity if "sparsity" in keys else 0.0,
        when=DURING if during else settings.pruning_when,
        embeddings="pruning_scope" in keys and settings.pruning_scope == EMBEDDINGS,
        structures=structures,
        begin=begin if during else 0.0,
        end=settings.pruning_end if during else 1.0,
        rounds=settings.pruning_rounds if "pruning_rounds" in keys else 0,
        strength=settings.pruning_strength if "pruning_strength" in keys else 0.0,
        learning_rate=settings.pruning_learning_rate if "pruning_learning_rate" in keys else 0.0,
    )


def _begin(settings: Settings) -> tuple[float, str]:
    """When pruning begins, and the key that says so. Movement waits for the warm-up, as in the authors' schedule.

    Until then its scores have hardly moved from 0, and of equal scores the first would be pruned.
    """
    if settings.pruning == MOVEMENT and settings.warmup_fraction > settings.pruning_begin:
        return settings.warmup_fraction, "warmup_fraction"
    return settings.pruning_begin, "pruning_begin"


def used(settings: Settings) -> frozenset[str]:
    """The keys about pruning, besides `pruning` itself, that have an effect with these settings."""
    keys = USES[settings.pruning]
    if "pruning_when" in keys and settings.pruning_when == DURING:
        keys |= _SPAN
    if "pruning_strength" in keys and settings.pruning_strength:
        keys -= {"sparsity"}
    if settings.pruning == MOVEMENT and settings.pruning_scope not in STRUCTURES:
        keys -= {"pruning_scope"}
    return keys


def idle(settings: Settings) -> frozenset[str]:
    """The keys about pruning that have no effect with these settings."""
    return KEYS - {"pruning"} - used(settings)
