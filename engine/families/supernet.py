"""Sub-networks of a supernet as arithmetic: what each has of the shared weights, and which are trained together.

Heads and feed-forward neurons of a layer are ordered by their importance in the model that the supernet starts from, so
the first ones of a layer are those that a student with as many keeps. Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import NEW_LAYER, Plan
from bertdistill.engine.families.transformer import TRANSFORMER

DEPTH = "layers"
ARCHITECTURE = (
    *(DEPTH, "layer_choice", "layer_list", "heads", "ffn_size", "ffn_choice", "ffn_list"),
    *("vocab_size", "vocabulary"),
)
"""The settings that make one sub-network another than the next."""
RESULT_COPIES, TRAINING_COPIES = 1, 9
"""Of the weights: what is kept, and at most while it is trained, as in `phases`."""
WEIGHT_BYTES = 4
MARGIN = 0.1
"""A set of layers is ruined if its best score is further below what it should have than this share of the way from
chance to the best score, and than two standard errors of a difference, but no further than half of that way."""


@dataclass(frozen=True)
class Cell:
    """A layer of the shared weights with so many of its first heads and neurons."""

    layer: int
    heads: int
    neurons: int


@dataclass(frozen=True)
class Net:
    """A sub-network."""

    settings: Mapping[str, Any]
    """Those of ARCHITECTURE."""
    plan: Plan
    units: str = ""
    """The tokens that it reads, as in `Prepared.units`."""

    @property
    def layers(self) -> tuple[int, ...]:
        return self.plan.kept_layers

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(map(Cell, self.layers, self.plan.heads_left, self.plan.ffn_left))


def architecture(settings: Settings) -> dict[str, Any]:
    """The part of the settings that decides which sub-network a student is."""
    return {name: getattr(settings, name) for name in ARCHITECTURE}


def nets_of(facts: Prepared, architectures: Iterable[Mapping[str, Any]]) -> list[Net]:
    """The sub-networks with these settings, each once; ConfigError if one has a layer that the shared weights lack.

    Settings from which no student can be built are left out, as the search leaves them out.
    """
    found: dict[tuple[Any, ...], Net] = {}
    reason: ConfigError | None = None
    for one in architectures:
        settings = Settings(**one)
        try:
            plan = TRANSFORMER.plan(facts, settings, scratch=False)
            net = Net(dict(one), plan, TRANSFORMER.units(facts, settings))
        except ConfigError as error:
            reason = error
            continue
        if NEW_LAYER in plan.kept_layers:
            have = sum(layer != NEW_LAYER for layer in plan.kept_layers)
            raise ConfigError(
                f'settings.layers is {len(plan.kept_layers)}, but with student.init = "supernet" students have only '
                f"the {have} layers of the teacher",
                hint=f"search 1 to {have} layers",
            )
        found.setdefault((net.cells, net.units), net)
    if not found and reason is not None:
        raise reason
    return list(found.values())


def groups(nets: Sequence[Net], *, every_depth: bool) -> list[list[int]]:
    """Indices of the sub-networks that one draw trains: one, or all that differ in their depth alone."""
    if not every_depth:
        return [[index] for index in range(len(nets))]
    found: dict[tuple[Any, ...], list[int]] = {}
    for index, net in enumerate(nets):
        found.setdefault(_width(net), []).append(index)
    return list(found.values())


def _width(net: Net) -> tuple[Any, ...]:
    """Equal for sub-networks that differ in their depth alone; 0 heads or neurons are all of them."""
    mine = Settings(**net.settings)
    listed = (tuple(mine.layer_list), tuple(mine.ffn_list))
    size = mine.ffn_size or net.plan.shape.ffn_size
    return mine.layer_choice, *listed, mine.ffn_choice, size, net.plan.heads_left[0], net.units


def layers_computed(nets: Sequence[Net]) -> int:
    """Layers of one forward pass of all of them, in which what they begin with is computed once."""
    return len({net.cells[: end + 1] for net in nets for end in range(len(net.cells))})


def shared_work(nets: Sequence[Net]) -> float:
    """The work of a forward pass of all of them, in whole layers of the encoder: what they begin with counts once."""
    if not nets:
        return 0.0
    shape, prefixes = nets[0].plan.shape, {net.cells[: end + 1] for net in nets for end in range(len(net.cells))}

    def weights(heads: int, neurons: int) -> int:
        return 2 * heads * shape.head_size + neurons

    each = weights(shape.heads, shape.ffn_size)
    return sum(weights(cells[-1].heads, cells[-1].neurons) for cells in prefixes) / each


def ruined(
    scores: Iterable[tuple[tuple[int, ...], float]], *, chance: float, top: float, error: float
) -> frozenset[tuple[int, ...]]:
    """The sets of layers that sharing ruins, from (layers, score) of evaluated sub-networks; higher scores are better.

    A set should be better than chance, and not much worse than another one that has no more layers. `top` is the score
    of the teacher, and `error` the standard error of one score.
    """
    best: dict[tuple[int, ...], float] = {}
    for layers, score in scores:
        best[layers] = max(score, best.get(layers, score))
    gap = max([top, *best.values()]) - chance
    margin = min(max(MARGIN * gap, 2**1.5 * error), gap / 2)

    def should(layers: tuple[int, ...]) -> float:
        return max([chance + margin, *(score - margin for other, score in best.items() if len(other) <= len(layers))])

    return frozenset(layers for layers, score in best.items() if score < should(layers))


def starts_alone(facts: Prepared, settings: Settings) -> bool:
    """Whether a student of the study starts from the teacher itself, because the shared weights are not for its layers.

    Either no sub-network with these layers was trained, or the screening found that sharing ruins them.
    """
    if not facts.supernet.folder or settings.family != TRANSFORMER.name:
        return False
    return TRANSFORMER.plan(facts, settings, scratch=False).kept_layers not in facts.supernet.layers


def start_of(facts: Prepared, settings: Settings) -> str:
    """The folder of the model that a student is cut from."""
    return facts.supernet.alone_folder if starts_alone(facts, settings) else facts.init_folder


def supernet_bytes(params: int) -> dict[str, int]:
    """What a supernet of so many weights takes on disk, and at most while it is trained."""
    return {"bytes": WEIGHT_BYTES * RESULT_COPIES * params, "running_bytes": WEIGHT_BYTES * TRAINING_COPIES * params}
