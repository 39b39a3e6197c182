"""The family `bottleneck` as seen outside the worker: MobileBERTs, cut from a checkpoint or new, as arithmetic.

Their residual stream is as wide as the teacher's, so that hidden states are compared as they are; attention and
feed-forward networks work in a narrower space (Sun et al. 2020, arXiv 2004.02984). It builds no models and reads no
files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from dataclasses import dataclass

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import INIT_UNITS, Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LAYER_KEYS
from bertdistill.engine.families import bottleneck_sizes, phases, sparsity
from bertdistill.engine.families.bottleneck_shape import NO_NORM, QUARTER, STACKED, Bottleneck
from bertdistill.engine.families.encoder_plan import MOBILE, NEW_LAYER, Plan, Shape, kept_layers
from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.families.layer_pairs import check_layers
from bertdistill.engine.families.sparsity import pruning_of
from bertdistill.engine.families.stored import Contents
from bertdistill.engine.families.vocabulary import PLANNED, entries, mean_length, units_name
from bertdistill.engine.tasks.task import Task

AUTO = "auto"
CHOOSE = frozenset({"layer_choice", "layer_list"})
SIZES = frozenset(
    {
        *("layers", "heads", "hidden_size", "ffn_size", "embedding_rank"),
        *("bottleneck_size", "ffn_count", "normalization"),
    }
)
"""Keys of `Settings` that have no effect beyond the plan, besides `CHOOSE`."""


@dataclass(frozen=True)
class BottleneckFamily:
    """See `engine.families.family.Family`."""

    name: str = "bottleneck"
    settings: frozenset[str] = (
        TRAINING
        | SIZES
        | CHOOSE
        | PLANNED
        | sparsity.KEYS
        | phases.PRETRAINING
        | LAYER_KEYS
        | {"initializer_range", "dropout", "attention_dropout", "classifier_dropout"}
    )

    def fits(self, task: Task) -> bool:
        return True

    def start_idle(self, *, scratch: bool) -> frozenset[str]:
        return CHOOSE if scratch else frozenset()

    def units(self, facts: Prepared, settings: Settings) -> str:
        size = entries(facts, settings)
        return units_name(settings.vocabulary, size) if size else _units(facts)

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> Plan:
        initial = None if scratch else _initial(facts)
        plan = _cut(initial, settings) if initial else _new(facts, settings)
        if size := entries(facts, settings):
            smaller = dataclasses.replace(plan.shape, vocab_size=min(size, plan.shape.vocab_size))
            plan = dataclasses.replace(plan, shape=smaller, vocabulary=settings.vocabulary)
        if facts.teacher_shape:
            check_layers(plan, Shape.from_dict(facts.teacher_shape), settings, units=self.units(facts, settings))
        phases.check_length(settings, plan.shape.longest_input)
        return plan

    def known(self, student: Hashable, task: Task, facts: Prepared) -> dict[str, float]:
        assert isinstance(student, Plan)
        length = mean_length(facts, student.vocabulary, student.shape.vocab_size, _units(facts))
        return bottleneck_sizes.metrics(student, task, len(facts.labels), length)

    def contents(self, student: Hashable, task: Task, facts: Prepared) -> Contents:
        assert isinstance(student, Plan)
        return bottleneck_sizes.contents(student, task, len(facts.labels))

    def idle(self, settings: Settings, student: Hashable) -> frozenset[str]:
        return SIZES | CHOOSE | PLANNED | sparsity.KEYS


def _units(facts: Prepared) -> str:
    """The tokens of the whole vocabulary: those of the checkpoint that students are cut from, or the teacher's."""
    return INIT_UNITS if INIT_UNITS in facts.units and _initial(facts) else ""


def _initial(facts: Prepared) -> Shape | None:
    """The MobileBERT that students are cut from; None if `student.init` is another model, so that they are new."""
    shape = Shape.from_dict(facts.init_shape) if facts.init_shape else None
    return shape if shape and shape.bottleneck else None


def _cut(initial: Shape, settings: Settings) -> Plan:
    """Some layers of a checkpoint; ConfigError if the settings ask for another size than it has."""
    narrow = bottleneck_sizes.inner(initial)
    fixed = {
        "heads": initial.heads,
        "hidden_size": initial.hidden_size,
        "ffn_size": initial.ffn_size,
        "embedding_rank": narrow.embedding_size,
        "bottleneck_size": narrow.size,
        "ffn_count": narrow.ffn_count,
        "normalization": narrow.normalization,
    }
    for key, own in fixed.items():
        if getattr(settings, key) not in (0, AUTO, own):
            raise ConfigError(
                f"settings.{key} is {getattr(settings, key)}, but the initial MobileBERT has {own}, and only its "
                "layers can be chosen",
                hint=f'omit {key}, or set student.init = "teacher" with another teacher, or "scratch"',
            )
    kept = kept_layers(initial, settings, scratch=False)
    if NEW_LAYER in kept:
        raise ConfigError(
            f"settings.layers is {settings.layers}, but the initial MobileBERT has {initial.layers} layers",
            hint=f"use 1 to {initial.layers}, or 0 for all",
        )
    return _plan(initial, kept, settings)


def _new(facts: Prepared, settings: Settings) -> Plan:
    """For the teacher's tokens and, unless the settings say otherwise, with its width, depth and heads."""
    raw = facts.teacher_shape or facts.init_shape
    if not raw:
        raise ConfigError(
            "the preparation of this study did not report the shapes of its models",
            hint="Start the study again under another name; its caches are reused.",
        )
    teacher = Shape.from_dict(raw)
    hidden, heads = settings.hidden_size or teacher.hidden_size, settings.heads or teacher.heads
    size = settings.bottleneck_size or max(1, hidden // QUARTER)
    if size % heads:
        raise ConfigError(
            f"settings.bottleneck_size is {size}{'' if settings.bottleneck_size else f' (a quarter of {hidden})'}, "
            f"which {heads} heads do not divide",
            hint=f"use a multiple of {heads}, or other heads",
        )
    shape = Shape(
        MOBILE,
        teacher.vocab_size,
        teacher.longest_input,
        2,
        hidden,
        settings.ffn_size or QUARTER * size,
        settings.layers or teacher.layers,
        heads,
        size // heads,
        teacher.pad_id,
        Bottleneck(
            size=size,
            embedding_size=settings.embedding_rank or max(1, hidden // QUARTER),
            ffn_count=settings.ffn_count or STACKED,
            normalization=NO_NORM if settings.normalization == AUTO else settings.normalization,
        ),
    )
    return _plan(shape, kept_layers(shape, settings, scratch=True), settings)


def _plan(shape: Shape, kept: tuple[int, ...], settings: Settings) -> Plan:
    layers, pruning = len(kept), pruning_of(settings)
    if pruning and pruning.structures:
        raise ConfigError(
            f"settings.pruning_scope is {settings.pruning_scope}, and nothing is removed from the layers of a "
            "MobileBERT",
            hint='use pruning_scope = "linears" or "embeddings", or family = "transformer"',
        )
    return Plan(
        dataclasses.replace(shape, layers=layers),
        kept,
        (shape.heads,) * layers,
        (shape.ffn_size,) * layers,
        pruning=pruning,
    )


BOTTLENECK = BottleneckFamily()
