"""Sizes by arithmetic, against the models that transformers builds."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.tiny import MODELS
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertConfig, DistilBertConfig, RobertaConfig

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.families.first_position import first_position
from bertdistill.engine.distill.families.standalone import factorise, narrow, prune_heads, prune_neurons
from bertdistill.engine.families.encoder_plan import NEW_LAYER, Plan, Shape, bert_shape, even_layers, plan_student
from bertdistill.engine.families.encoder_sizes import contents, known_metrics, plan_metrics
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.families.widths import BLOCKS
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

QA, CLASSIFY = QUESTION_ANSWERING, TEXT_CLASSIFICATION
DISTILBERT = Shape("distilbert", 30522, 512, 0, 768, 3072, 6, 12, 64)
CONFIGS: dict[str, Any] = {
    "bert": BertConfig(),
    "minilm": BertConfig(hidden_size=384, intermediate_size=1536, num_hidden_layers=6),
    "distilbert": DistilBertConfig(),
    "roberta": RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, num_hidden_layers=3
    ),
    "narrow": BertConfig(
        vocab_size=99, hidden_size=48, intermediate_size=100, num_hidden_layers=2, num_attention_heads=3
    ),
}


def build(config: Any, task: str, labels: int, attention: str | None = None) -> Any:
    """The model on the meta device: every shape, no memory."""
    config = copy.deepcopy(config)  # removing neurons changes it
    config.num_labels = 2 if task == QA else labels
    with torch.device("meta"):
        head = "qa" if task == QA else "cls"
        return MODELS[config.model_type, head]._from_config(config, attn_implementation=attention)


def count(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("layers", "heads", "params"),
    [
        (6, 12, 66_364_418),
        (6, 11, 65_183_618),
        (4, 11, 51_401_474),
        (4, 12, 52_188_674),
        (5, 11, 58_292_546),
        (5, 12, 59_276_546),
        (3, 12, 45_100_802),
        (2, 12, 38_012_930),
        (1, 12, 30_925_058),
        (1, 1, 28_760_258),
        (12, 12, 108_891_650),
        (20, 12, 165_594_626),
    ],
)
def test_published_sizes(layers: int, heads: int, params: int) -> None:
    """The sizes of the original experiment come out to the digit, layers beyond the checkpoint's included."""
    settings = Settings(layers=layers, heads=heads)
    known = known_metrics(DISTILBERT, settings, scratch=False, task=QA, labels=0, mean_length=384)
    assert params == known["params"]
    assert params * 4 / 1e6 == known["size_mb"]


def test_original_space_has_no_two_equal_sizes() -> None:
    """All 240 pairs of layers and heads differ in size and follow the closed formula."""
    sizes = {}
    for layers, heads in itertools.product(range(1, 21), range(1, 13)):
        settings = Settings(layers=layers, heads=heads)
        known = known_metrics(DISTILBERT, settings, scratch=False, task=QA, labels=0, mean_length=384)
        assert 23_837_186 + layers * (7_087_872 - (12 - heads) * 196_800) == known["params"]
        sizes[layers, heads] = known["params"]
    assert 240 == len(set(sizes.values()))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(("task", "labels"), [(QA, 0), (CLASSIFY, 2), (CLASSIFY, 5)])
def test_parameters_equal_the_built_model(name: str, task: str, labels: int) -> None:
    """For every architecture and task the formula is the parameter count of the built model, whole and pruned."""
    config = CONFIGS[name]
    shape = Shape.from_config(config.to_dict())
    for left in {shape.heads, shape.heads - 1, 1}:
        width = shape.hidden_size - left  # which no number of heads divides
        settings = Settings(heads=left, ffn_size=shape.ffn_size - left, hidden_size=width)
        plan = plan_student(shape, settings, scratch=False)
        model = build(config, task, labels)
        prune_heads(model, [range(left)] * shape.layers)
        prune_neurons(model, [range(shape.ffn_size - left)] * shape.layers)
        narrow(model, width)
        known = plan_metrics(plan, task=task, labels=labels, mean_length=100)
        assert count(model) == known["params"]
        layers = model.base_model.transformer if name == "distilbert" else model.base_model.encoder
        assert count(layers) == known["encoder_params"]
        held = contents(plan, task=task, labels=labels)
        matrices = sorted(tuple(one.shape) for one in model.parameters() if one.ndim == 2)
        assert matrices == sorted((*held.matrices, *held.embeddings))
        assert sum(one.numel() for one in model.parameters() if one.ndim == 1) == held.vectors
        assert known["params"] == held.weights


def test_a_model_file_holds_both_factors_of_the_embeddings() -> None:
    """And unequal layers as they are."""
    config = CONFIGS["narrow"]
    shape = Shape.from_config(config.to_dict())
    settings = Settings(ffn_size=50, ffn_choice="global", embedding_rank=7)
    plan = plan_student(shape, settings, scratch=False, ffn_importance=[[1.0 + n] * BLOCKS for n in range(2)])
    model = build(config, CLASSIFY, 3)
    prune_neurons(model, [range(width) for width in plan.ffn_left])
    factorise(model, 7)
    held = contents(plan, task=CLASSIFY, labels=3)
    sizes = sorted(tuple(one.shape) for one in model.parameters() if one.ndim == 2)
    assert (sizes, count(model)) == (sorted((*held.matrices, *held.embeddings)), held.weights)
    assert {(99, 7), (512, 48), (2, 48)} == set(held.embeddings)


@pytest.mark.parametrize("name", ["distilbert", "minilm", "roberta", "narrow"])
@pytest.mark.parametrize(("task", "labels"), [(QA, 0), (CLASSIFY, 3)])
def test_flops_equal_the_counted_matrix_products(name: str, task: str, labels: int) -> None:
    """torch's own counter over one forward pass agrees with the formula."""
    config = CONFIGS[name]
    shape, length = Shape.from_config(config.to_dict()), 24
    model = build(config, task, labels, attention="eager")
    prune_heads(model, [range(2)] * shape.layers)
    # Unequal layers: the first ones lose what the last one keeps.
    blocks = [[1.0 + layer] * BLOCKS for layer in range(shape.layers)]
    settings = Settings(heads=2, ffn_size=shape.ffn_size // 2, ffn_choice="global", hidden_size=40, embedding_rank=7)
    plan = plan_student(shape, settings, scratch=False, ffn_importance=blocks)
    assert plan.ffn_left[0] < plan.ffn_left[-1]
    prune_neurons(model, [range(width) for width in plan.ffn_left])
    narrow(model, 40)
    factorise(model, 7)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.ones(1, length, dtype=torch.long, device="meta"))
    whole = plan_metrics(plan, task=task, labels=labels, mean_length=length, first_position=False)
    assert counter.get_total_flops() == pytest.approx(whole["gflops"] * 1e9)
    with FlopCounterMode(display=False) as counter, first_position(model):
        model(input_ids=torch.ones(1, length, dtype=torch.long, device="meta"))
    known = plan_metrics(plan, task=task, labels=labels, mean_length=length)
    assert counter.get_total_flops() == pytest.approx(known["gflops"] * 1e9)
    assert (task == CLASSIFY) == (known["gflops"] < whole["gflops"])


def test_gflops_keep_their_meaning_within_a_study() -> None:
    """A study that was prepared when the last layer was computed whole counts it so in all of its trials."""
    facts = Prepared(init_shape=DISTILBERT.to_dict(), labels=("a", "b"), mean_length=24)
    plan = TRANSFORMER.plan(facts, Settings(), scratch=False)
    older = replace(facts, features={"train": "/somewhere"})
    now = replace(older, first_position=True)
    first, old, new = (TRANSFORMER.known(plan, TASKS[CLASSIFY], one)["gflops"] for one in (facts, older, now))
    assert first == new < old
    spans = {TRANSFORMER.known(plan, TASKS[QA], one)["gflops"] for one in (facts, older, now)}
    assert 1 == len(spans)


def test_config_without_defaults() -> None:
    """Transformers leaves default values out of a config.json; they are filled in."""
    assert Shape("bert", 30522, 512, 2, 768, 3072, 12, 12, 64) == Shape.from_config({"model_type": "bert"})
    assert DISTILBERT == Shape.from_config({"model_type": "distilbert"})


def test_shape_survives_json() -> None:
    """A shape is stored with the study's facts."""
    assert DISTILBERT == Shape.from_dict(DISTILBERT.to_dict())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "t5"}, "bert, distilbert, roberta"),
        ({}, "bert, distilbert, roberta"),
        ({"model_type": "bert", "is_decoder": True}, "encoder"),
        ({"model_type": "bert", "position_embedding_type": "relative_key"}, "absolute"),
        ({"model_type": "bert", "num_attention_heads": 7}, "7 heads"),
        ({"model_type": "bert", "num_attention_heads": 0}, "0 heads"),
        ({"model_type": "bert", "pruned_heads": {"0": [1]}}, "with all heads"),
        ({"model_type": "bert", "kept_heads": [[0, 1]] * 12}, "with all heads"),
        ({"model_type": "bert", "ffn_sizes": [3072, 1]}, "different sizes"),
        ({"model_type": "bert", "kept_width": 500}, "already projected"),
        ({"model_type": "bert", "embedding_rank": 64}, "factorised"),
    ],
)
def test_unsupported_checkpoints_are_refused(config: dict[str, Any], words: str) -> None:
    """The error says what is supported."""
    with pytest.raises(ConfigError) as caught:
        Shape.from_config(config)
    assert words in f"{caught.value} {caught.value.hint}"


def test_kept_heads_of_a_whole_student_are_no_pruning() -> None:
    """A saved student with all its heads may be a teacher or an initial model."""
    config = {"model_type": "distilbert", "kept_heads": [list(range(12))] * 6}
    assert DISTILBERT == Shape.from_config(config)


def test_longest_input() -> None:
    """RoBERTa counts positions from after its padding id."""
    assert 512 == DISTILBERT.longest_input
    assert 512 == Shape.from_config(CONFIGS["roberta"].to_dict()).longest_input


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (Settings(), (0, 1, 2, 3, 4, 5)),
        (Settings(layers=4), (0, 1, 2, 3)),
        (Settings(layers=8), (0, 1, 2, 3, 4, 5, NEW_LAYER, NEW_LAYER)),
        (Settings(layers=3, layer_choice="even"), (0, 3, 5)),
        (Settings(layers=2, layer_choice="even"), (0, 5)),
        (Settings(layers=1, layer_choice="even"), (0,)),
        (Settings(layer_choice="list", layer_list=[5, 0, 0]), (5, 0, 0)),
        (Settings(layers=2, layer_choice="list", layer_list=[1, 4]), (1, 4)),
    ],
)
def test_layer_choice(settings: Settings, kept: tuple[int, ...]) -> None:
    """Each rule keeps the layers that its help promises."""
    plan = plan_student(DISTILBERT, settings, scratch=False)
    assert kept == plan.kept_layers
    assert len(kept) == plan.shape.layers


def test_even_layers_of_twelve() -> None:
    """The spacing is the published one, first and last included, for every count."""
    assert (0, 2, 4, 7, 9, 11) == even_layers(12, 6)
    for wanted in range(2, 13):
        chosen = even_layers(12, wanted)
        assert (0, 11, wanted) == (chosen[0], chosen[-1], len(set(chosen)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (Settings(heads=13), "settings.heads is 13"),
        (Settings(hidden_size=769), "settings.hidden_size is 769, but the initial model has 768"),
        (
            Settings(ffn_size=3073),
            "settings.ffn_size is 3073, but the feed-forward layers of the initial model have 3072",
        ),
        (Settings(layers=7, layer_choice="even"), "settings.layers is 7"),
        (Settings(layer_choice="list"), "settings.layer_list is []"),
        (Settings(layer_choice="list", layer_list=[6]), "layers 0 to 5"),
        (Settings(layers=3, layer_choice="list", layer_list=[1, 2]), "names 2 layers"),
    ],
)
def test_settings_that_do_not_fit_the_initial_model(settings: Settings, words: str) -> None:
    """The error names the key and what the model has."""
    with pytest.raises(ConfigError, match=words.replace("[", r"\[").replace("]", r"\]")):
        plan_student(DISTILBERT, settings, scratch=False)


def test_sizes_of_the_initial_model_may_be_repeated() -> None:
    """A width that is what the model has anyway is no contradiction; head_size concerns students from scratch only."""
    plan = plan_student(DISTILBERT, Settings(hidden_size=768, ffn_size=3072, head_size=7), scratch=False)
    assert Plan(DISTILBERT, (0, 1, 2, 3, 4, 5), (12,) * 6, (3072,) * 6) == plan
    assert (False, False, False) == (plan.pruned, plan.narrowed, plan.projected)


def test_scratch_student() -> None:
    """From scratch: a BERT with the teacher's vocabulary, padding and longest input, and the widths of the settings."""
    teacher = Shape.from_config(CONFIGS["roberta"].to_dict())
    settings = Settings(layers=4, hidden_size=256, head_size=32, heads=5)
    plan = plan_student(teacher, settings, scratch=True)
    assert Shape("bert", 50265, 512, 2, 256, 1024, 4, 8, 32, pad_id=1) == plan.shape
    assert ((NEW_LAYER,) * 4, (5,) * 4) == (plan.kept_layers, plan.heads_left)


def test_scratch_student_takes_the_teachers_width_and_depth() -> None:
    """0 keeps what the teacher has."""
    plan = plan_student(DISTILBERT, Settings(), scratch=True)
    assert (768, 3072, 6, 12) == (plan.shape.hidden_size, plan.shape.ffn_size, plan.shape.layers, plan.shape.heads)


@pytest.mark.parametrize(
    "settings", [Settings(hidden_size=100), Settings(layer_choice="list", layer_list=[0]), Settings(heads=13)]
)
def test_impossible_scratch_students(settings: Settings) -> None:
    """Heads must fit the width, and there are no layers to list."""
    with pytest.raises(ConfigError):
        plan_student(DISTILBERT, settings, scratch=True)


def test_well_read_sizes() -> None:
    """The published table of small BERTs (arXiv 1908.08962), body and pooler, in millions."""
    expected = {(2, 128): 4.4, (4, 256): 11.2, (8, 512): 41.4, (12, 768): 109.5}
    for (layers, hidden), millions in expected.items():
        shape = bert_shape(vocab_size=30522, positions=512, hidden_size=hidden, ffn_size=0, layers=layers, head_size=64)
        plan = plan_student(shape, Settings(), scratch=False)
        known = plan_metrics(plan, task=CLASSIFY, labels=0, mean_length=1)
        assert millions == round(known["params"] / 1e6, 1)
