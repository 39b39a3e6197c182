"""What a loss that compares layers needs besides the student: the teacher in the step, and learned projections.

The projections are trained with the student and belong to no model: neither counted, nor saved with it, nor exported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from bertdistill.engine.contract import terms
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.families.model import TOKEN_TYPES, Model, Outputs, Servable
from bertdistill.engine.distill.families.seeded import seeded
from bertdistill.engine.distill.families.standalone import layers_of
from bertdistill.engine.distill.families.taps import tapped
from bertdistill.engine.distill.training.forward import forward
from bertdistill.engine.distill.training.shared_projection import PLAIN, SharedProjection, Start
from bertdistill.engine.families import layer_pairs
from bertdistill.engine.families.encoder_plan import KEPT_WIDTH
from bertdistill.engine.families.layer_pairs import compared_layers, even_pairs, relation_layer
from bertdistill.engine.families.stages import Stage

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.batches import Batch
    from bertdistill.engine.distill.data.mixed import Mixer
    from bertdistill.engine.distill.training.dual import Dual

PROJECTED = frozenset({terms.HIDDEN, terms.STATES, terms.MAP, terms.MAP_MEAN, terms.MAP_VARIANCE})
"""Terms that compare vectors of the student's width with those of the teacher's."""
WITHOUT_STATES = frozenset({terms.PROJECTION, terms.DUAL})
"""Terms that read no hidden states of the student."""


@dataclass(frozen=True)
class Layerwise:
    """Of one training."""

    helpers: nn.ModuleDict
    """The learned projection of each term that needs one, by name; empty if student and teacher are equally wide."""
    teacher: Servable | None = None
    """In evaluation mode and without gradients; None if what is compared is cached."""
    taps: tuple[tuple[int, int], ...] = ()
    """Pairs of layers (student, teacher) whose queries, keys and values are compared."""
    states: bool = True
    """Whether any term reads hidden states."""
    dual: Dual | None = None
    compared: tuple[int, ...] = ()
    """The student's layers that any term compares."""

    def student(self, model: Servable, batch: Batch, precision: torch.dtype) -> Outputs:
        """The student's outputs with everything that the terms read."""
        if not self.states:
            return forward(model, batch, precision=precision)
        return _outputs(model, batch, precision, {layer for layer, _ in self.taps})

    @torch.no_grad()
    def taught(self, batch: Batch, precision: torch.dtype) -> Outputs | None:
        """The same of the teacher."""
        if self.teacher is None:
            return None
        return _outputs(self.teacher, batch, precision, {layer for _, layer in self.taps})

    def mixed(self, batch: Batch, precision: torch.dtype) -> Tensor | None:
        """The teacher's logits for texts in pieces of both vocabularies."""
        return None if self.dual is None else self.dual.logits(batch, precision)


def _outputs(model: Servable, batch: Batch, precision: torch.dtype, layers: set[int]) -> Outputs:
    seen = readable(model, batch)
    if not layers:
        return forward(model, seen, precision=precision, hidden=True)
    with tapped(model.net, layers) as projections:
        return replace(forward(model, seen, precision=precision, hidden=True), projections=projections)


def readable(model: Servable, batch: Batch) -> Batch:
    """The batch without segment ids if the model refuses them: of student and teacher only one may read them."""
    if batch.token_types is None or TOKEN_TYPES in model.inputs:
        return batch
    return replace(batch, token_types=None)


def layerwise(
    model: Model,
    settings: Settings,
    teacher_shape: Mapping[str, Any],
    load_teacher: Callable[[], Servable],
    *,
    start: Start = PLAIN,
    mixer: Mixer | None = None,
) -> Layerwise | None:
    """What the terms of these settings need, on the device of the model; None if none of them compares layers.

    `start` says how the student was made, and `mixer` has the texts of its dual training.
    """
    compared = [term.name for term in terms.active(settings) if term.families]
    if not compared:
        return None
    config: Any = model.net.config
    width = getattr(config, KEPT_WIDTH, None) or config.hidden_size  # a narrower student keeps the other in its config
    wanted = teacher_shape["hidden_size"]
    with seeded(settings.seed):
        linears = {name: nn.Linear(width, wanted) for name in compared if name in PROJECTED and width != wanted}
    device = next(model.net.parameters()).device
    helpers, teacher, dual = nn.ModuleDict(linears), None, None
    if terms.with_network(settings):
        teacher = load_teacher()
        teacher.net.eval().requires_grad_(False)
        nn.Module.to(teacher.net, device)
        shared = _shared(compared, settings, model.net, teacher.net, (width, wanted), start)
        if shared is not None:
            helpers[terms.PROJECTION] = shared
        if mixer is not None and terms.DUAL in compared:
            from bertdistill.engine.distill.training.dual import Dual  # it loads transformers

            dual = Dual(model.net, teacher.net, mixer, settings.dual_share, shared)
    layers = config.num_hidden_layers, teacher_shape["layers"]
    return Layerwise(
        helpers.to(device),
        teacher if terms.online(settings) else None,
        _taps(compared, settings, *layers),
        states=bool(set(compared) - WITHOUT_STATES),
        dual=dual,
        compared=compared_layers(settings, *layers),
    )


def enter(net: nn.Module, stage: Stage) -> None:
    """Let gradients reach what this stage trains: everything but the layers below its lowest, and the embeddings.

    AdamW leaves weights without a gradient alone.
    """
    net.requires_grad_(True)
    if stage.lowest > 0:
        base: Any = net.base_model
        for below in (base.embeddings, *layers_of(net)[: stage.lowest - 1]):
            below.requires_grad_(False)


def _shared(
    compared: list[str], settings: Settings, net: nn.Module, teacher: nn.Module, widths: tuple[int, int], start: Start
) -> SharedProjection | None:
    """The matrices of the shared projection and of dual training, which are the same; None if neither needs them."""
    if not WITHOUT_STATES & set(compared) or widths[0] == widths[1]:
        return None
    with seeded(settings.seed):
        found = SharedProjection(*widths, start.basis, down=terms.PROJECTION in compared)
    if terms.PROJECTION in compared:
        found.compare(net, teacher, start, settings.projection)
    return found


def _taps(compared: list[str], settings: Settings, student: int, teacher: int) -> tuple[tuple[int, int], ...]:
    by_head = {terms.ATTENTION, terms.ATTENTION_MAP} & {*compared}
    found = layer_pairs.compared(even_pairs(student, teacher)[1:], settings) if by_head else ()
    return (*found, (student, relation_layer(settings, teacher))) if terms.RELATION in compared else found
