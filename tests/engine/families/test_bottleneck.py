"""MobileBERTs as arithmetic: sizes and cost of what transformers builds, and what cannot be built."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import MobileBertConfig, MobileBertForQuestionAnswering, MobileBertForSequenceClassification

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import INIT_UNITS, Prepared, Units
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.compression.masks import matrices_of
from bertdistill.engine.distill.families.first_position import first_position
from bertdistill.engine.families import bottleneck_sizes
from bertdistill.engine.families.bottleneck import BOTTLENECK
from bertdistill.engine.families.encoder_plan import Plan, Shape, bert_shape
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING as QA
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION as CLASSIFY

SIZES: dict[str, Any] = {
    "vocab_size": 90,
    "max_position_embeddings": 32,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 20,
    "intra_bottleneck_size": 8,
    "embedding_size": 6,
}
CONFIGS = {
    "small": MobileBertConfig(**SIZES),
    "one network": MobileBertConfig(**SIZES, num_feedforward_networks=1, normalization_type="layer_norm"),
    "no trigram": MobileBertConfig(**SIZES, trigram_input=False, classifier_activation=False),
    "tiny": MobileBertConfig(**SIZES, use_bottleneck_attention=True, key_query_shared_bottleneck=False),
    "both": MobileBertConfig(**SIZES, use_bottleneck_attention=True),
}
TEACHER = bert_shape(vocab_size=60, positions=32, hidden_size=48, ffn_size=32, layers=6, head_size=12)
FACTS = Prepared(labels=("a", "b"), mean_length=9.0, teacher_shape=TEACHER.to_dict(), init_shape=TEACHER.to_dict())
OWN = Shape.from_config(CONFIGS["small"].to_dict())


def new(**settings: Any) -> Plan:
    return BOTTLENECK.plan(FACTS, Settings(family="bottleneck", **settings), scratch=True)


def cut(**settings: Any) -> Plan:
    facts = replace(FACTS, init_shape=OWN.to_dict())
    return BOTTLENECK.plan(facts, Settings(family="bottleneck", **settings), scratch=False)


def build(config: MobileBertConfig, task: str, labels: int) -> Any:
    kind = MobileBertForQuestionAnswering if TASKS[task].spans else MobileBertForSequenceClassification
    config.num_labels = 2 if TASKS[task].spans else labels
    with torch.device("meta"):
        model = kind(config)
    model.set_attn_implementation("eager")
    return model.eval()


def plan_of(config: MobileBertConfig) -> Plan:
    shape = Shape.from_config(config.to_dict())
    layers = shape.layers
    return Plan(shape, tuple(range(layers)), (shape.heads,) * layers, (shape.ffn_size,) * layers)


def numbers(model: Any) -> Iterator[tuple[int, ...]]:
    return (tuple(one.shape) for one in model.parameters())


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("task", [QA, CLASSIFY])
def test_sizes_and_flops_are_those_of_transformers_own_model(name: str, task: str) -> None:
    """To the last tensor, and torch's own counter agrees; a classifier computes its last layer once."""
    plan, model = plan_of(CONFIGS[name]), build(CONFIGS[name], task, 3)
    held = bottleneck_sizes.contents(plan, TASKS[task], 3)
    assert sorted(one for one in numbers(model) if len(one) == 2) == sorted((*held.matrices, *held.embeddings))
    assert sum(one[0] for one in numbers(model) if len(one) == 1) == held.vectors
    known = bottleneck_sizes.metrics(plan, TASKS[task], 3, 24)
    assert held.weights == known["params"] == known["nonzero_params"]
    layers = model.mobilebert.encoder
    assert sum(one.numel() for one in layers.parameters()) == known["encoder_params"]
    inside = bottleneck_sizes.embedding_params(plan.shape)
    assert sum(one.numel() for one in model.mobilebert.embeddings.parameters()) == inside
    with FlopCounterMode(display=False) as counter, first_position(model):
        model(input_ids=torch.ones(1, 24, dtype=torch.long, device="meta"))
    assert counter.get_total_flops() == pytest.approx(known["gflops"] * 1e9)


def test_the_released_model_has_its_published_size() -> None:
    """24.6 million without a head; the paper counts the head of masked words as well: 25.3."""
    plan = plan_of(MobileBertConfig(classifier_activation=False))
    body = bottleneck_sizes.contents(plan, TASKS[QA], 0).weights - (512 * 2 + 2)
    assert 24_581_888 == body


@pytest.mark.parametrize("embeddings", [False, True])
def test_the_weights_in_scope_of_pruning_are_those_of_the_network(embeddings: bool) -> None:
    found = matrices_of(build(CONFIGS["small"], CLASSIFY, 3), embeddings=embeddings)
    scope = "embeddings" if embeddings else "linears"
    plan = new(pruning="magnitude", pruning_scope=scope)
    known = list(bottleneck_sizes.prunable(replace(plan_of(CONFIGS["small"]), pruning=plan.pruning)))
    assert sorted(known) == sorted(one.numel() for one in found.values())


def test_a_new_student_takes_after_its_teacher() -> None:
    """Width, depth and heads are the teacher's; the proportions inside are those of the paper."""
    shape = new().shape
    assert (48, 6, 4, 3) == (shape.hidden_size, shape.layers, shape.heads, shape.head_size)
    narrow = bottleneck_sizes.inner(shape)
    assert (12, 12, 4, 48, "no_norm") == (
        *(narrow.size, narrow.embedding_size, narrow.ffn_count),
        *(shape.ffn_size, narrow.normalization),
    )
    assert shape == Shape.from_dict(shape.to_dict())
    other = new(layers=2, heads=2, hidden_size=16, ffn_size=7, embedding_rank=5, bottleneck_size=6, ffn_count=1)
    found = other.shape
    assert (2, 2, 16, 7, 3) == (found.layers, found.heads, found.hidden_size, found.ffn_size, found.head_size)
    assert (6, 5, 1) == (found.bottleneck.size, found.bottleneck.embedding_size, found.bottleneck.ffn_count)  # type: ignore[union-attr]


def test_layers_of_a_checkpoint_are_chosen() -> None:
    """Everything else is its own, and may be said."""
    assert (0, 2) == cut(layers=2, layer_choice="even").kept_layers
    assert (2,) == cut(layer_choice="list", layer_list=[2]).kept_layers
    assert cut() == cut(heads=2, hidden_size=24, bottleneck_size=8, ffn_count=4, normalization="no_norm")
    assert 2 == cut(layers=2).shape.layers


@pytest.mark.parametrize(
    ("plan", "settings", "message"),
    [
        (new, {"bottleneck_size": 10}, "bottleneck_size is 10, which 4 heads do not divide"),
        (new, {"heads": 5}, r"bottleneck_size is 12 \(a quarter of 48\), which 5 heads do not divide"),
        (cut, {"bottleneck_size": 4}, "bottleneck_size is 4, but the initial MobileBERT has 8"),
        (cut, {"normalization": "layer_norm"}, "normalization is layer_norm, but the initial MobileBERT has no_norm"),
        (cut, {"layers": 4}, "layers is 4, but the initial MobileBERT has 3 layers"),
        (new, {"pruning": "gradual", "pruning_scope": "heads"}, "pruning_scope is heads, and nothing is removed"),
        (new, {"layers": 7, "map_weight": 1.0}, "7 layers, and the teacher only 6"),
        (new, {"heads": 2, "attention_map_weight": 1.0}, "compares heads one by one, and the student has 2"),
    ],
)
def test_what_cannot_be_built_is_refused(plan: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plan(**settings)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"use_bottleneck": False}, "no bottleneck"),
        ({"key_query_shared_bottleneck": False}, "transformers cannot compute"),
        ({"normalization_type": "rms"}, "'rms' is not known"),
        ({"intra_bottleneck_size": 130}, "not a multiple of 4 heads"),
        ({"num_feedforward_networks": 1 << 20}, "num_feedforward_networks"),
        ({"embedding_size": None}, "embedding_size"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(more: dict[str, Any], message: str) -> None:
    """Before anything is built from it."""
    with pytest.raises(ConfigError, match=message):
        Shape.from_config({"model_type": "mobilebert", **more})


def test_its_own_tokens_are_read_only_by_what_is_cut_from_it() -> None:
    """A new student reads the teacher's tokens, whatever the study's initial model reads."""
    facts = replace(FACTS, units={INIT_UNITS: Units(mean_length=20.0)})
    settings = Settings(family="bottleneck")
    assert "" == BOTTLENECK.units(facts, settings)
    assert INIT_UNITS == BOTTLENECK.units(replace(facts, init_shape=OWN.to_dict()), settings)


def test_what_shapes_it_is_idle_beyond_the_plan() -> None:
    """Two parameter sets with the same plan are one student."""
    idle = BOTTLENECK.idle(Settings(), new())
    assert {"layers", "bottleneck_size", "ffn_count", "normalization", "layer_choice"} <= idle
    assert not {"map_weight", "layerwise", "seed", "dropout"} & idle
    assert {"layer_choice", "layer_list"} == BOTTLENECK.start_idle(scratch=True)
