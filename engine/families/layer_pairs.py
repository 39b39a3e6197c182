"""Which layers of teacher and student the loss compares, and whether it can. Standard library only; it builds nothing.

Layers are counted from 1, so that 0 are the embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from bertdistill.engine.contract import terms
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings

if TYPE_CHECKING:
    from bertdistill.engine.families.encoder_plan import Shape

Pairs = tuple[tuple[int, int], ...]
"""(layer of the student, layer of the teacher)."""


class Layered(Protocol):
    """The plan of a student, as far as its layers are compared."""

    @property
    def kept_layers(self) -> tuple[int, ...]:
        """One entry for each layer."""
        ...

    @property
    def heads_left(self) -> tuple[int, ...]:
        """Heads in each layer."""
        ...

    @property
    def head_size(self) -> int:
        """Width of one of them."""
        ...


def hidden_pairs(student: int, teacher: int, how: str) -> Pairs:
    """The pairs of PKD for so many layers: all of the student's but its last, which the soft loss already teaches.

    skip: every teacher/student-th layer, rounded down; last: those right below the teacher's last (Sun et al. 2019,
    arXiv 1908.09355, PKD-Skip and PKD-Last).
    """
    if how == "last":
        return tuple((layer, teacher - student + layer) for layer in range(1, student))
    return even_pairs(student, teacher)[1:-1]


def even_pairs(student: int, teacher: int) -> Pairs:
    """The pairs of TinyBERT, from the embeddings to the last layer: g(m) = m · teacher / student, rounded down.

    Jiao et al. 2020, arXiv 1909.10351, where the number of layers divides.
    """
    return tuple((layer, layer * teacher // student) for layer in range(student + 1))


def compared(pairs: Pairs, settings: Settings) -> Pairs:
    """Those of them that the settings compare: all, or joint: of layers that see both segments.

    Lower layers of a student with `separate_layers` read each segment alone, as no layer of the teacher does. The
    authors compare the upper ones (Cao et al. 2020, DeFormer, section 3.3: layer-wise representation similarity).
    """
    if settings.compared_layers == "all" or not settings.separate_layers or settings.family != terms.SEPARATED:
        return pairs
    return tuple(pair for pair in pairs if pair[0] > settings.separate_layers)


def compared_layers(settings: Settings, student: int, teacher: int) -> tuple[int, ...]:
    """The student's layers that the terms of the loss compare, without the embeddings."""
    names = {term.name for term in terms.active(settings) if term.layered}
    found = {student} if terms.RELATION in names else set[int]()
    if terms.HIDDEN in names:
        found |= {layer for layer, _ in compared(hidden_pairs(student, teacher, settings.hidden_map), settings)}
    if names - {terms.RELATION, terms.HIDDEN}:
        found |= {layer for layer, _ in compared(even_pairs(student, teacher)[1:], settings)}
    return tuple(sorted(found))


def states_bytes(features: int, layers: int, hidden_size: int) -> int:
    """Size of the cached states of a teacher with so many layers: one vector a layer but the last, in fp16."""
    return features * (layers - 1) * hidden_size * 2


def relation_heads(settings: Settings, teacher_heads: int) -> int:
    """The heads of the relation loss."""
    return settings.relation_heads or teacher_heads


def relation_layer(settings: Settings, teacher_layers: int) -> int:
    """The teacher's layer of the relation loss."""
    return settings.relation_layer or teacher_layers


def check_layers(plan: Layered, teacher: Shape, settings: Settings, *, units: str = "") -> None:
    """ConfigError if a term of the loss compares what this student or the teacher does not have.

    `units` is what the student reads, "" for the teacher's tokens.
    """
    for term in terms.active(settings):
        if not term.families:
            continue
        for reason, remedy in _obstacles(term, plan, teacher, settings, units):
            raise ConfigError(f"settings.{term.key} = {getattr(settings, term.key):g}: {reason}", hint=remedy)


def _obstacles(
    term: terms.Term, plan: Layered, teacher: Shape, settings: Settings, units: str
) -> Iterator[tuple[str, str]]:
    """(reason, remedy) of everything that makes the term impossible."""
    off, layers = f"{term.key} = 0", len(plan.kept_layers)
    if not (teacher.comparable if term.layered else teacher.divisible):
        yield (
            f"the layers of a teacher of the architecture {teacher.architecture} are not known",
            f"use another teacher, or {off}",
        )
    if term.online and units:
        yield (
            "the student reads other tokens than the teacher, so there is nothing to compare token by token",
            f"use a student with the teacher's tokenizer, hidden_weight, or {off}",
        )
    if term.name not in (terms.RELATION, terms.DUAL) and layers > teacher.layers:
        yield (
            f"the student has {layers} layers, and the teacher only {teacher.layers} to compare them with",
            f"use at most {teacher.layers} layers, or {off}",
        )
    if term.name == terms.HIDDEN and layers == 1:
        yield "it compares all layers but the last, and this student has one layer", f"use 2 or more layers, or {off}"
    elif term.name == terms.HIDDEN and not compared(hidden_pairs(layers, teacher.layers, "skip"), settings):
        yield (
            f"compared_layers is joint, and only the last of the {layers} layers is above the "
            f"{settings.separate_layers} separate ones, which this loss does not compare",
            f"use fewer separate_layers, states_weight, or {off}",
        )
    if term.name in (terms.ATTENTION, terms.ATTENTION_MAP) and set(plan.heads_left) != {teacher.heads}:
        yield (
            f"it compares heads one by one, and the student has {max(plan.heads_left)} where the teacher has "
            f"{teacher.heads}",
            f"use relation_weight, which needs no equal heads, or {off}",
        )
    if term.name == terms.RELATION:
        yield from _of_relations(plan, teacher, settings)


def _of_relations(plan: Layered, teacher: Shape, settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.relation_layer > teacher.layers:
        yield (
            f"relation_layer is {settings.relation_layer}, and the teacher has {teacher.layers} layers",
            f"use 1 to {teacher.layers}, or 0 for the last",
        )
    heads = relation_heads(settings, teacher.heads)
    widths = {"student": plan.heads_left[-1] * plan.head_size, "teacher": teacher.heads * teacher.head_size}
    for who, width in widths.items():
        if width % heads:
            yield (
                f"the attention of the {who} is {width} wide, which {heads} relation heads do not divide",
                "set relation_heads to a divisor of both widths",
            )
