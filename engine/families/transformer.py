"""The family `transformer` as seen outside the worker: what its students are, and will cost, before training.

Standard library only, because the runner sizes thousands of proposals: it builds no models and reads no files.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from dataclasses import dataclass

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import INIT_UNITS, Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LAYER_KEYS
from bertdistill.engine.families import phases, sparsity
from bertdistill.engine.families.encoder_plan import Plan, Shape, plan_student
from bertdistill.engine.families.encoder_sizes import contents, plan_metrics
from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.families.layer_pairs import check_layers
from bertdistill.engine.families.separate import check_segments
from bertdistill.engine.families.shared_projection import check_projection
from bertdistill.engine.families.stored import Contents
from bertdistill.engine.families.vocabulary import PLANNED, check_dual, entries, mean_length, units_name
from bertdistill.engine.tasks.task import Task

NEED_SCRATCH = frozenset({"head_size"})
NEED_PRETRAINED = frozenset({"layer_choice", "layer_list", "head_choice", "head_seed", "ffn_choice", "ffn_list"})
"""Layers, heads and neurons with random weights are interchangeable, so choosing among them has no effect."""


@dataclass(frozen=True)
class Transformer:
    """BERT-like encoders, cut from a checkpoint or new. See `engine.families.family.Family`."""

    name: str = "transformer"
    settings: frozenset[str] = TRAINING | frozenset(
        {
            *("layers", "layer_choice", "layer_list", "heads", "head_choice", "head_seed"),
            *("hidden_size", "ffn_size", "ffn_choice", "ffn_list", "embedding_rank", "separate_layers", "head_size"),
            "initializer_range",
            *("vocab_size", "vocabulary"),
            *("dropout", "attention_dropout", "classifier_dropout"),
            *LAYER_KEYS,
            *("projection_weight", "projection", "dual_share"),
            *sparsity.KEYS,
            *phases.PRETRAINING,
        }
    )

    def fits(self, task: Task) -> bool:
        return True

    def start_idle(self, *, scratch: bool) -> frozenset[str]:
        return NEED_PRETRAINED if scratch else NEED_SCRATCH

    def units(self, facts: Prepared, settings: Settings) -> str:
        size = entries(facts, settings)
        return units_name(settings.vocabulary, size) if size else _units(facts)

    def plan(self, facts: Prepared, settings: Settings, *, scratch: bool) -> Plan:
        shape = (facts.init_shape or facts.teacher_shape) if scratch else facts.init_shape
        if not shape:
            raise ConfigError(
                "the preparation of this study did not report the shapes of its models",
                hint="Start the study again under another name; its caches are reused.",
            )
        whole, size = Shape.from_dict(shape), entries(facts, settings)
        plan = plan_student(whole, settings, scratch=scratch, ffn_importance=facts.ffn_importance)
        if plan.narrowed and facts.features and not facts.ffn_importance:
            raise ConfigError(
                f"{_ffn(settings)}, but the preparation of this study did not compute the importance of neurons",
                hint="Start a new study that fixes or searches ffn_size from the beginning.",
            )
        if plan.projected and facts.features and not facts.projection:
            raise ConfigError(
                f"settings.hidden_size is {settings.hidden_size}, but the preparation of this study did not compute a "
                "projection of the initial model's hidden states",
                hint="Start a new study that fixes or searches hidden_size from the beginning.",
            )
        if size:
            smaller = dataclasses.replace(plan.shape, vocab_size=min(size, whole.vocab_size))
            plan = dataclasses.replace(plan, shape=smaller, vocabulary=settings.vocabulary)
        if facts.teacher_shape:
            teacher, units = Shape.from_dict(facts.teacher_shape), self.units(facts, settings)
            check_layers(plan, teacher, settings, units=units)
            check_dual(settings, units, teachers=INIT_UNITS not in facts.units)
            if settings.projection_weight:
                own = not scratch and facts.init_folder == facts.teacher_folder
                check_projection(plan, teacher, settings, own=own)
        phases.check_length(settings, plan.shape.longest_input)
        if plan.separate and facts.features:
            check_segments(facts)
        return plan

    def known(self, student: Hashable, task: Task, facts: Prepared) -> dict[str, float]:
        assert isinstance(student, Plan)
        whole = facts.units_of(_units(facts)).mean_length
        length = mean_length(facts, student.vocabulary, student.shape.vocab_size, _units(facts))
        return plan_metrics(
            student,
            task=task.name,
            labels=len(facts.labels),
            mean_length=length,
            first_position=facts.first_position or not facts.features,
            first_length=facts.first_length * length / whole if whole else 0.0,  # both in the same proportion
        )

    def contents(self, student: Hashable, task: Task, facts: Prepared) -> Contents:
        assert isinstance(student, Plan)
        return contents(student, task=task.name, labels=len(facts.labels))

    def idle(self, settings: Settings, student: Hashable) -> frozenset[str]:
        assert isinstance(student, Plan)
        planned = PLANNED | {
            "layers",
            "layer_choice",
            "layer_list",
            "heads",
            "hidden_size",
            "ffn_size",
            "ffn_choice",
            "ffn_list",
            "embedding_rank",
            "separate_layers",
            "head_size",
            *sparsity.KEYS,
        }
        if not student.pruned:
            return frozenset({*planned, "head_choice", "head_seed"})
        return frozenset(planned if settings.head_choice == "random" else {*planned, "head_seed"})


def _ffn(settings: Settings) -> str:
    if settings.ffn_choice == "list":
        return f"settings.ffn_list is {list(settings.ffn_list)}"
    return f"settings.ffn_size is {settings.ffn_size}"


def _units(facts: Prepared) -> str:
    """The tokens of the model that students are cut from, if they are not the teacher's."""
    return INIT_UNITS if INIT_UNITS in facts.units else ""


TRANSFORMER = Transformer()
