"""Students: which layers and heads they keep, what is new in them, and that they come back from disk as they were."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.closeness import assert_fp32_equal
from tests.tiny import TEXTS, Kind, make_checkpoint, make_tokenizer
from torch import Tensor, nn
from transformers import AutoTokenizer

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.distill.families.standalone import NAMES, layers_of
from bertdistill.engine.distill.families.transformer import (
    accepts_token_types,
    build_student,
    label_order,
    load_encoder,
    load_student,
    new_encoder,
    read_shape,
    same_vocabulary,
    save_student,
)
from bertdistill.engine.families.encoder_plan import plan_student
from bertdistill.engine.families.encoder_sizes import known_metrics, plan_metrics
from bertdistill.engine.families.widths import importance_blocks
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.table import TASKS
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

QA, CLASSIFY = QUESTION_ANSWERING, TEXT_CLASSIFICATION
KINDS: tuple[Kind, ...] = ("bert", "distilbert", "roberta")
LABELS = ("bad", "fair", "good")
IDS = torch.tensor([[2, 9, 8, 7, 40, 41, 3], [2, 30, 31, 32, 3, 60, 61]])


def student(folder: Path, settings: Settings, *, task: str = QA, **more: Any) -> tuple[Any, list[list[int]]]:
    labels = () if task == QA else LABELS
    return build_student(folder, settings, task=task, labels=labels, shape=read_shape(folder), **more)


def outputs(model: Any, ids: Tensor = IDS, **inputs: Tensor) -> Tensor:
    """Logits in evaluation mode."""
    with torch.no_grad():
        found = model.eval()(input_ids=ids, **inputs)
    return found.logits if hasattr(found, "logits") else torch.stack((found.start_logits, found.end_logits))


def attention_output(model: Any, layer: int) -> nn.Linear:
    names = NAMES[model.config.model_type]
    linear: nn.Linear = getattr(layers_of(model)[layer].get_submodule(names.output[0]), names.output[1])
    return linear


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_pruned_student_equals_silenced_heads(tmp_path: Path, kind: Kind, task: str) -> None:
    """Heads that are physically gone give the outputs of a whole model in which those heads say nothing (SDPA)."""
    folder = make_checkpoint(tmp_path / "init", kind, layers=3)
    settings = Settings(heads=2, head_choice="random", head_seed=5)
    pruned, kept = student(folder, settings, task=task)
    whole, _ = student(folder, replace(settings, heads=0), task=task)
    for layer, heads in enumerate(kept):
        for gone in set(range(4)) - set(heads):
            attention_output(whole, layer).weight.data[:, 8 * gone : 8 * gone + 8] = 0
    mask = torch.ones_like(IDS)
    mask[0, -2:] = 0
    assert "sdpa" == pruned.config._attn_implementation
    assert_fp32_equal(outputs(whole), outputs(pruned))
    assert_fp32_equal(outputs(whole, attention_mask=mask), outputs(pruned, attention_mask=mask))
    assert (8 * 2, 32) == (attention_output(pruned, 0).in_features, attention_output(pruned, 0).out_features)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("choice", ["even", "global"])
def test_narrowed_student_equals_silenced_neurons(tmp_path: Path, kind: Kind, task: str, choice: str) -> None:
    """Neurons that are gone give the outputs of a whole model in which they say nothing, with heads and layers gone.

    It comes back from disk: as a plain transformers folder if its layers are equal.
    """
    folder = make_checkpoint(tmp_path / "init", kind, layers=3)
    settings = Settings(layers=2, layer_choice="even", heads=3, head_choice="random", ffn_size=24, ffn_choice=choice)
    neurons = np.random.default_rng(1).random((3, 64), np.float32) * [[1], [9], [2]]
    small, kept = student(folder, settings, task=task, neurons=neurons)
    whole, _ = student(folder, replace(settings, ffn_size=0), task=task)
    widths = [contraction(small, layer).in_features for layer in range(2)]
    assert (48, choice == "even") == (sum(widths), widths[0] == widths[1])
    for layer, origin in enumerate([0, 2]):
        gone = np.argsort(-neurons[origin])[widths[layer] :]
        contraction(whole, layer).weight.data[:, gone.tolist()] = 0
    assert_fp32_equal(outputs(whole), outputs(small))
    save_student(small, kept, tmp_path / "saved")
    assert torch.equal(outputs(small), outputs(load_student(tmp_path / "saved")[0]))
    shape, labels = read_shape(folder), () if task == QA else LABELS
    plan = plan_student(shape, settings, scratch=False, ffn_importance=[*map(importance_blocks, neurons.tolist())])
    known = plan_metrics(plan, task=task, labels=len(labels), mean_length=9)
    assert (tuple(widths), known["params"]) == (plan.ffn_left, sum(p.numel() for p in small.parameters()))


def contraction(model: Any, layer: int) -> nn.Linear:
    path, name = NAMES[model.config.model_type].feed_forward[1]
    linear: nn.Linear = getattr(layers_of(model)[layer].get_submodule(path), name)
    return linear


def test_neurons_are_needed_where_some_go(tmp_path: Path) -> None:
    """Without their importance, or with that of another model, nothing is guessed; a new layer keeps the first."""
    folder = make_checkpoint(tmp_path / "init", "bert")
    with pytest.raises(ConfigError, match="importance is not known"):
        student(folder, Settings(ffn_size=8))
    with pytest.raises(ConfigError, match="does not fit"):
        student(folder, Settings(ffn_size=8), neurons=np.ones((2, 65), np.float32))
    model, _ = student(folder, Settings(layers=3, ffn_size=8), neurons=np.ones((2, 64), np.float32))
    assert [8, 8, 8] == [contraction(model, layer).in_features for layer in range(3)]
    assert 8 == model.config.intermediate_size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("init", "settings"),
    [
        (True, Settings(layers=2, heads=3, head_choice="random")),
        (True, Settings(layers=5, heads=1, head_choice="random")),
        (True, Settings(layer_choice="list", layer_list=[2, 2, 0])),
        (False, Settings(layers=1, hidden_size=24, head_size=8, heads=2, ffn_size=40)),
    ],
)
def test_parameters_are_those_promised(tmp_path: Path, kind: Kind, task: str, init: bool, settings: Settings) -> None:
    """The runner's arithmetic and the worker's model agree, and every weight is trained."""
    folder = make_checkpoint(tmp_path / "init", kind, layers=3)
    shape, labels = read_shape(folder), () if task == QA else LABELS
    model, kept = build_student(folder if init else None, settings, task=task, labels=labels, shape=shape)
    known = known_metrics(shape, settings, scratch=not init, task=task, labels=len(labels), mean_length=9)
    assert known["params"] == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert [len(heads) for heads in kept] == [settings.heads or 4] * len(layers_of(model))
    assert outputs(model).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_kept_layers_carry_the_weights_of_the_checkpoint(tmp_path: Path, kind: Kind) -> None:
    """Listed layers come in the listed order, a repeated one as a copy of its own; embeddings come along."""
    folder = make_checkpoint(tmp_path / "init", kind, layers=3)
    whole = load_encoder(folder, QA, ())
    model, _ = student(folder, Settings(layer_choice="list", layer_list=[2, 0, 2]))
    origin, made = layers_of(whole), layers_of(model)
    for index, source in enumerate([2, 0, 2]):
        for name, value in origin[source].state_dict().items():
            assert torch.equal(value, made[index].state_dict()[name])
    assert 3 == model.config.num_hidden_layers
    first, third = (next(made[index].parameters()) for index in (0, 2))
    assert first.data_ptr() != third.data_ptr()
    assert torch.equal(whole.get_input_embeddings().weight, model.get_input_embeddings().weight)


@pytest.mark.parametrize("kind", KINDS)
def test_new_layers_follow_initializer_range_and_seed(tmp_path: Path, kind: Kind) -> None:
    """A layer beyond the checkpoint's has random weights of the wished spread, the same for the same seed."""
    folder = make_checkpoint(tmp_path / "init", kind, layers=1)
    settings = Settings(layers=2, initializer_range=0.5, seed=3)
    one, again, other = (student(folder, replace(settings, seed=seed))[0] for seed in (3, 3, 4))
    new = attention_output(one, 1)
    assert 0.5 == pytest.approx(new.weight.std().item(), rel=0.1)
    assert not new.bias.any()
    assert 0.5 == pytest.approx(one.qa_outputs.weight.std().item(), rel=0.3)
    same = tensors(again)
    assert all(torch.equal(value, same[name]) for name, value in tensors(one).items())
    assert not torch.equal(new.weight, attention_output(other, 1).weight)
    assert torch.equal(attention_output(one, 0).weight, attention_output(other, 0).weight)


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    """Building a student does not disturb the order of examples or dropout."""
    folder = make_checkpoint(tmp_path / "init", "bert")
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    student(folder, Settings(layers=3, heads=1, head_choice="random"))
    assert torch.equal(expected, torch.rand(3))


def test_random_heads_are_those_of_the_original(tmp_path: Path) -> None:
    """As in the original experiment one seeded generator draws, layer after layer, the heads that go."""
    folder = make_checkpoint(tmp_path / "init", "distilbert", layers=3)
    _, kept = student(folder, Settings(heads=3, head_choice="random", head_seed=17))
    random.seed(17)
    gone = [random.sample(range(4), 1) for _ in range(3)]
    assert [[head for head in range(4) if head not in lost] for lost in gone] == kept


def test_important_heads_stay(tmp_path: Path) -> None:
    """The highest of each kept layer stay, by the layer's own row; ties and new layers keep the first."""
    folder = make_checkpoint(tmp_path / "init", "bert", layers=3)
    importance = np.array([[0.1, 0.9, 0.2, 0.3], [9, 9, 9, 9], [0.4, 0.1, 0.2, 0.8]])
    settings = Settings(heads=2, layer_choice="list", layer_list=[2, 0, 1])
    assert [[0, 3], [1, 3], [0, 1]] == student(folder, settings, importance=importance)[1]
    more = Settings(heads=1, layers=4)
    assert [[1], [0], [3], [0]] == student(folder, more, importance=importance)[1]


def test_importance_is_needed_where_it_is_used(tmp_path: Path) -> None:
    """Without it the default choice is refused; with all heads kept, or from scratch, nothing needs it."""
    folder = make_checkpoint(tmp_path / "init", "bert")
    with pytest.raises(ConfigError, match="no importance was computed"):
        student(folder, Settings(heads=2))
    with pytest.raises(ConfigError, match="does not fit"):
        student(folder, Settings(heads=2), importance=np.ones((1, 4)))
    assert [[0, 1, 2, 3]] * 2 == student(folder, Settings(heads=4))[1]
    settings = Settings(heads=2, head_size=8)
    assert [[0, 1]] * 2 == build_student(SCRATCH, settings, task=QA, labels=(), shape=read_shape(folder))[1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("key", ["dropout", "attention_dropout", "classifier_dropout"])
def test_every_dropout_is_used(tmp_path: Path, kind: Kind, task: str, key: str) -> None:
    """Each dropout alone makes training outputs random and survives saving; evaluation is exact."""
    folder = make_checkpoint(tmp_path / "init", kind, layers=1)
    none = {"dropout": 0.0, "attention_dropout": 0.0, "classifier_dropout": 0.0}
    still, _ = student(folder, Settings(layers=2, **none), task=task)
    model, kept = student(folder, Settings(layers=2, **(none | {key: 0.5})), task=task)
    assert torch.equal(outputs(still), outputs(model))
    save_student(model, kept, tmp_path / "saved")
    for one in (model, load_student(tmp_path / "saved")[0]):
        one.train()
        first, second = (one(input_ids=IDS) for _ in range(2))
        assert not torch.equal(first[0], second[0])
    still.train()
    assert torch.equal(still(input_ids=IDS)[0], still(input_ids=IDS)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS)
def test_saved_student_comes_back(tmp_path: Path, kind: Kind, task: str) -> None:
    """Weights, heads, labels and outputs are the same after a round trip; the tokenizer comes along when given."""
    folder = make_checkpoint(tmp_path / "init", kind)
    model, kept = student(folder, Settings(layers=3, heads=3, head_choice="random"), task=task)
    save_student(model, kept, tmp_path / "saved", AutoTokenizer.from_pretrained(folder))
    again, heads = load_student(tmp_path / "saved")
    assert kept == heads
    assert torch.equal(outputs(model), outputs(again))
    if task == CLASSIFY:
        assert dict(enumerate(LABELS)) == again.config.id2label
    text = "The quick brown fox."
    expected = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    assert expected == AutoTokenizer.from_pretrained(tmp_path / "saved")(text)["input_ids"]
    config = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert kept == config["kept_heads"]
    assert str(tmp_path) not in json.dumps(config)


def test_incomplete_students_are_refused(tmp_path: Path) -> None:
    """A missing or superfluous weight, or no folder at all, is an error and never a silently random weight."""
    model, kept = student(make_checkpoint(tmp_path / "init", "bert"), Settings())
    save_student(model, kept, tmp_path / "saved")
    whole = load_file(tmp_path / "saved" / "model.safetensors")
    lacking = {name: value for name, value in whole.items() if name != "qa_outputs.bias"}
    for wrong in (lacking, whole | {"more": torch.zeros(1)}):
        save_file(wrong, tmp_path / "saved" / "model.safetensors")
        with pytest.raises(ConfigError, match="not a complete student"):
            load_student(tmp_path / "saved")
    with pytest.raises(ConfigError, match="nowhere"):
        load_student(tmp_path / "nowhere")


def test_teacher_with_a_fitting_head_keeps_it(tmp_path: Path) -> None:
    """A checkpoint trained for the task is loaded whole; asking for the head is no error."""
    folder = make_checkpoint(tmp_path / "qa", "bert", head="qa")
    model: Any = load_encoder(folder, QA, (), need_head=True)
    stored = load_file(folder / "model.safetensors")
    assert torch.equal(stored["qa_outputs.weight"], model.qa_outputs.weight)


@pytest.mark.parametrize("kind", KINDS)
def test_teacher_without_head_is_refused_or_gets_a_seeded_one(tmp_path: Path, kind: Kind) -> None:
    """A bare encoder, or one for other classes, cannot teach; to be fine-tuned it gets a head that its seed decides."""
    bare = make_checkpoint(tmp_path / "bare", kind)
    two = make_checkpoint(tmp_path / "two", kind, head="cls", labels=2)
    for folder, task, labels in ((bare, QA, ()), (bare, CLASSIFY, LABELS), (two, CLASSIFY, LABELS)):
        with pytest.raises(ConfigError, match="no matching head"):
            load_encoder(folder, task, labels, need_head=True)
        one, same, other = (tensors(load_encoder(folder, task, labels, seed=seed)) for seed in (1, 1, 2))
        assert all(torch.equal(value, same[name]) for name, value in one.items())
        assert any(not torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_put_into_the_order_of_the_data(tmp_path: Path, kind: Kind) -> None:
    """A teacher that calls the same classes in another order is turned round, whatever their case."""
    folder = make_checkpoint(tmp_path / "cls", kind, head="cls", labels=3)
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {"0": "GOOD", "1": "Bad", "2": "fair"}, "label2id": {"GOOD": 0, "Bad": 1, "fair": 2}}
    plain = outputs(load_encoder(folder, CLASSIFY, ("0", "1", "2"), need_head=True))
    (folder / "config.json").write_text(json.dumps(config))
    turned = load_encoder(folder, CLASSIFY, LABELS, need_head=True)
    assert torch.equal(plain[:, [1, 2, 0]], outputs(turned))
    assert list(LABELS) == list(turned.config.id2label.values())


@pytest.mark.parametrize(
    ("stored", "wanted", "order"),
    [
        (["NEGATIVE", "POSITIVE"], ["positive", "negative"], [1, 0]),
        (["LABEL_0", "LABEL_1"], ["ham", "spam"], [0, 1]),
        (["NEGATIVE", "POSITIVE"], ["0", "1"], [0, 1]),
        ([], ["ham", "spam"], [0, 1]),
        (["NEGATIVE", "POSITIVE"], ["ham", "spam"], None),
        (["LABEL_0", "LABEL_1", "LABEL_2"], ["ham", "spam"], None),
    ],
)
def test_label_order(stored: list[str], wanted: list[str], order: list[int] | None) -> None:
    """Same names are matched, mere numbers are taken in order, other names are not guessed."""
    assert order == label_order(stored, wanted)


def test_teacher_of_other_classes_is_refused(tmp_path: Path) -> None:
    """As many classes with other names cannot teach these ones."""
    folder = make_checkpoint(tmp_path / "cls", "bert", head="cls", labels=2)
    config = json.loads((folder / "config.json").read_text())
    config |= {"id2label": {"0": "joy", "1": "fear"}, "label2id": {"joy": 0, "fear": 1}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="joy, fear, not ham, spam"):
        load_encoder(folder, CLASSIFY, ("ham", "spam"), need_head=True)


def test_broken_checkpoints_are_refused(tmp_path: Path) -> None:
    """Missing layers are never filled with random weights; missing folders and other families say what is wrong."""
    folder = make_checkpoint(tmp_path / "init", "bert")
    stored = load_file(folder / "model.safetensors")
    hollow = {name: value for name, value in stored.items() if "layer.1.attention.self.query" not in name}
    save_file(hollow, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="encoder are missing"):
        load_encoder(folder, QA, ())
    with pytest.raises(ConfigError, match="nowhere"):
        read_shape(tmp_path / "nowhere")
    (folder / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(ConfigError, match="'t5' is not supported"):
        read_shape(folder)


def test_new_encoder_is_seeded_and_spread(tmp_path: Path) -> None:
    """A teacher from scratch has the wished shape, spread and seed."""
    shape = replace(read_shape(make_checkpoint(tmp_path / "init", "bert")), layers=3)
    one = new_encoder(shape, task=CLASSIFY, labels=LABELS, seed=1, initializer_range=0.1, dropout=0.0)
    two = new_encoder(shape, task=CLASSIFY, labels=LABELS, seed=2, initializer_range=0.1, dropout=0.0)
    weight = layers_of(one)[2].intermediate.dense.weight
    assert 0.1 == pytest.approx(weight.std().item(), rel=0.1)
    assert not torch.equal(weight, layers_of(two)[2].intermediate.dense.weight)
    assert [0.0] == sorted({module.p for module in one.modules() if isinstance(module, nn.Dropout)})


@pytest.mark.parametrize(("kind", "accepts"), [("bert", True), ("distilbert", False), ("roberta", False)])
def test_token_types_reach_only_models_that_have_them(tmp_path: Path, kind: Kind, accepts: bool) -> None:
    """BERT has two segments, RoBERTa one, DistilBERT none."""
    assert accepts == accepts_token_types(load_encoder(make_checkpoint(tmp_path / "m", kind), QA, ()))


def test_same_vocabulary(tmp_path: Path) -> None:
    """A tokenizer read from disk is the same; other texts, another family or another case are not."""
    bert = make_tokenizer("bert")
    bert.save_pretrained(tmp_path)
    assert "" == same_vocabulary(bert, AutoTokenizer.from_pretrained(tmp_path))
    assert "entries" in same_vocabulary(bert, make_tokenizer("roberta"))
    assert "entries" in same_vocabulary(bert, make_tokenizer("bert", ["entirely other words", *TEXTS]))
    cased = type(bert)(vocab=bert.get_vocab(), do_lower_case=False)
    assert "split" in same_vocabulary(bert, cased)


def test_same_vocabulary_names_a_differing_entry() -> None:
    """Two ids that changed places are found."""
    bert = make_tokenizer("bert")
    vocab = bert.get_vocab()
    vocab["fox"], vocab["dog"] = vocab["dog"], vocab["fox"]
    assert f"2 of {len(vocab)} entries differ, for example 'dog'" == same_vocabulary(bert, type(bert)(vocab=vocab))
