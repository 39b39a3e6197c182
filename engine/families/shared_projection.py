"""How the projection loss compares the weights of student and teacher, layer by layer. It computes no loss.

Shared projection, Zhao et al. 2019, arXiv 1909.11687 (first version): one pair of matrices, U (p, d) and V (d, p) for
hidden sizes d of the teacher and p of the student, brings every variable of the layers to the same shape. Standard
library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.layer_pairs import even_pairs

if TYPE_CHECKING:
    from bertdistill.engine.families.encoder_plan import Plan, Shape

SAME, KEPT, PROJECTED = "same", "kept", "projected"
"""How an axis of a variable is compared: as it is; with those units of the teacher that the student kept; by the shared
matrices, in blocks as wide as the hidden states."""
DIRECTIONS = {"down": ("down",), "up": ("up",), "both": ("down", "up")}
"""By the value of `settings.projection`: down compares in the student's width, up in the teacher's."""


@dataclass(frozen=True)
class Compared:
    """One layer of the student with one of the teacher, both from 0, and how two of the axes are compared.

    The third axis, the hidden states, is always projected.
    """

    student: int
    teacher: int
    attention: str
    """Of the axis of queries, keys and values: heads times head size."""
    neurons: str
    """Of the axis of feed-forward neurons."""


def compared(plan: Plan, teacher: Shape, *, own: bool) -> tuple[Compared, ...]:
    """The layers that are compared, g(m) = m · teacher / student as in `layer_pairs.even_pairs`.

    `own` says whether the student is cut from the teacher. ConfigError if an axis fits in no way.
    """
    found = []
    for layer, (_, other) in enumerate(even_pairs(len(plan.kept_layers), teacher.layers)[1:]):
        cut = own and plan.kept_layers[layer] == other - 1
        attention, neurons = (
            _how(mine, theirs, (plan.shape.hidden_size, teacher.hidden_size), cut=cut)
            for mine, theirs in _sizes(plan, teacher, layer)
        )
        if not attention or not neurons:
            raise ConfigError(_misfit(plan, teacher, layer), hint=_remedy(plan, teacher, own=own))
        found.append(Compared(layer, other - 1, attention, neurons))
    return tuple(found)


def _sizes(plan: Plan, teacher: Shape, layer: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(student, teacher) of both axes."""
    attention = plan.heads_left[layer] * plan.shape.head_size, teacher.heads * teacher.head_size
    return attention, (plan.ffn_left[layer], teacher.ffn_size)


def _how(mine: int, theirs: int, widths: tuple[int, int], *, cut: bool) -> str:
    """How axes of these sizes are compared; empty if they cannot be. `widths` are those of the hidden states."""
    if mine == theirs:
        return SAME
    if cut:
        return KEPT
    own, other = widths
    return PROJECTED if not theirs % other and theirs // other * own == mine else ""


def _misfit(plan: Plan, teacher: Shape, layer: int) -> str:
    (attention, others), (neurons, more) = _sizes(plan, teacher, layer)
    return (
        f"layer {layer} of the student has attention of size {attention} and {neurons} feed-forward neurons, where "
        f"layer {even_pairs(len(plan.kept_layers), teacher.layers)[layer + 1][1] - 1} of the teacher has {others} and "
        f"{more}: they can be compared where they are equal, the same multiples of the hidden sizes "
        f"{plan.shape.hidden_size} and {teacher.hidden_size}, or left of this very layer"
    )


def _remedy(plan: Plan, teacher: Shape, *, own: bool) -> str:
    listed = [layer - 1 for _, layer in even_pairs(len(plan.kept_layers), teacher.layers)[1:]]
    if own and list(plan.kept_layers) != listed:
        return f'set layer_choice = "list" and layer_list = {listed}, the layers that it is compared with'
    return "omit heads and ffn_size, or set projection_weight = 0"


def check_projection(plan: Plan, teacher: Shape, settings: Settings, *, own: bool) -> None:
    """ConfigError if the weights of this student cannot be compared with the teacher's."""
    key, width = f"settings.projection_weight = {settings.projection_weight:g}", plan.shape.hidden_size
    if width >= teacher.hidden_size:
        raise ConfigError(
            f"{key}: it projects onto a smaller hidden size, and the student's is {width}, the teacher's "
            f"{teacher.hidden_size}",
            hint=f"set hidden_size below {teacher.hidden_size}, or projection_weight = 0",
        )
    try:
        compared(plan, teacher, own=own)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}", hint=error.hint) from error


# ---------------------------------------------------------------------------------------------------------------- cost


def projection_params(student: int, teacher: int) -> int:
    """Numbers of the two matrices for these hidden sizes. They belong to the training, not to the student."""
    return 2 * student * teacher


def projection_flops(student: int, teacher: Shape, layers: int, how: str) -> float:
    """Of the projections in one step, two per multiply-add, with gradients: three times those forward.

    An estimate for a student of this hidden size that keeps all heads and neurons, whatever the batch.
    """
    wide, inner, neurons = teacher.hidden_size, teacher.heads * teacher.head_size, teacher.ffn_size
    layer = 2 * wide * student * (4 * inner + 2 * neurons)
    return 3.0 * layers * layer * len(DIRECTIONS[how])
