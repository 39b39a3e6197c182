"""MobileBERTs in the worker: cut from a checkpoint, or new with what a teacher can give them."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.closeness import assert_fp32_equal
from tests.engine.distill.families.test_first_position import IDS, MASKS, ROUNDINGS, SILENT, batch, gradients
from tests.tiny import Kind, make_checkpoint
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, MobileBertConfig

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import DataSpec, Device, Settings, StudentSpec, TeacherSpec
from bertdistill.engine.distill.families.bottleneck import BOTTLENECKS
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.first_position import first_position
from bertdistill.engine.distill.families.standalone import layers_of
from bertdistill.engine.distill.families.taps import tapped
from bertdistill.engine.distill.families.transformer import load_encoder, read_any_shape
from bertdistill.engine.distill.training.dropout import cheap_dropout
from bertdistill.engine.distill.training.terms.attention_loss import scores
from bertdistill.engine.distill.training.terms.step import by_head

LABELS = ("a", "b")


def spec_of(folder: Path, task: str = "text-classification", init: str = "teacher", **settings: Any) -> AttemptSpec:
    """A trial whose teacher and initial model are the checkpoint in the folder."""
    shape = read_any_shape(folder).to_dict()
    facts = Prepared(labels=LABELS, teacher_shape=shape, init_shape=shape, mean_length=9.0)
    facts = replace(facts, teacher_folder=str(folder), init_folder=str(folder) if init != "scratch" else "")
    return AttemptSpec(
        kind="trial",
        study="s",
        task=task,
        data=DataSpec(),
        teacher=TeacherSpec(model=str(folder)),
        student=StudentSpec(init=init),
        settings=Settings(family="bottleneck", **{**SILENT, **settings}),
        device=Device(),
        caches="",
        prepared=facts,
    )


def built(*given: Any, **more: Any) -> Any:
    return BOTTLENECKS.build(spec_of(*given, **more)).net.eval()


@pytest.fixture(name="bert", scope="module")
def _bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("bert"), "bert", head="cls")


@pytest.fixture(name="mobile", scope="module")
def _mobile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("mobile"), "mobilebert", head="cls", layers=3)


def states(model: Any) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = model(input_ids=IDS, output_hidden_states=True).hidden_states
    return found


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("way", ["sdpa", "cpu"])
@pytest.mark.parametrize("options", [{}, {"use_bottleneck_attention": True}, {"num_feedforward_networks": 1}])
def test_its_last_layer_is_computed_for_the_first_position(way: str, mask: str, options: dict[str, Any]) -> None:
    """With the logits and gradients of the whole layer, for every kind of bottleneck."""
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "intra_bottleneck_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    config = MobileBertConfig(vocab_size=50, hidden_size=32, intermediate_size=24, initializer_range=0.2, **sizes)
    config.update({**options, "attention_probs_dropout_prob": 0.0})
    model: Any = AutoModelForSequenceClassification.from_config(config)
    found = []
    for only_first in (False, True):
        model.zero_grad()
        quick = cheap_dropout(model, torch.device("cpu")) if way == "cpu" else nullcontext()
        with quick, first_position(model) if only_first else nullcontext():
            logits = model(input_ids=IDS, attention_mask=MASKS[mask]).logits
        nn.functional.cross_entropy(logits, torch.tensor([1, 0])).backward()
        found.append((logits.detach(), {name: value.clone() for name, value in gradients(model).items()}))
    (whole, expected), (first, slopes) = found
    assert_fp32_equal(first, whole, ROUNDINGS)
    largest = max(float(value.abs().max()) for value in expected.values())
    assert all(float((slopes[name] - value).abs().max()) <= 1e-6 * largest for name, value in expected.items())


def test_a_text_has_the_same_logits_however_far_it_is_padded(mobile: Path) -> None:
    """The last token is embedded with the one behind it: padding, which is therefore 0 and stays so."""
    checkpoint: Any = AutoModelForSequenceClassification.from_pretrained(mobile)
    with torch.no_grad():
        checkpoint.get_input_embeddings().weight[0] = 3.0  # as a pre-training may have left it
    checkpoint.save_pretrained(mobile.parent / "padded")
    net = BOTTLENECKS.build(spec_of(mobile.parent / "padded")).net.train()
    model, alone = Encoder(net), replace(batch(MASKS["whole"][:, :5]), input_ids=IDS[:, :5])
    assert_fp32_equal(model(alone).logits[1], model(batch(MASKS["padded"])).logits[1], ROUNDINGS)
    nn.functional.cross_entropy(model(batch(MASKS["padded"])).logits, torch.tensor([1, 0])).backward()
    table: Any = net.get_input_embeddings()
    assert not table.weight[0].any()
    assert not table.weight.grad[0].any()
    assert table.weight.grad[9].any()


def test_layers_of_a_checkpoint_are_kept_with_its_head(mobile: Path) -> None:
    """Hidden states up to the chosen layer are those of the checkpoint."""
    whole, whole_states = load_encoder(mobile, "text-classification", LABELS), None
    whole_states = states(whole.eval())
    first = built(mobile, layers=2)
    assert all(torch.equal(one, other) for one, other in zip(states(first), whole_states, strict=False))
    other = built(mobile, layers=2, layer_choice="even")
    kept = layers_of(other)[1].state_dict()
    assert all(torch.equal(one, kept[name]) for name, one in layers_of(whole)[2].state_dict().items())
    head: Any = whole
    assert torch.equal(other.classifier.weight, head.classifier.weight)


@pytest.mark.parametrize("task", ["text-classification", "question-answering"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
def test_a_new_student_starts_with_its_teachers_embeddings_and_head(kind: Kind, task: str, tmp_path: Path) -> None:
    """With embeddings as wide as the teacher's and a LayerNorm exactly; layers are new in any case."""
    folder = make_checkpoint(tmp_path / kind, kind, head="qa" if "question" in task else "cls")
    teacher: Any = load_encoder(folder, task, LABELS)
    exact = built(folder, task, embedding_rank=32, normalization="layer_norm", heads=2)
    # MobileBERT's LayerNorm adds another epsilon to the variance.
    assert torch.allclose(states(teacher.eval())[0], states(exact)[0], atol=1e-3)
    ours, theirs = exact.state_dict(), teacher.state_dict()
    same = {"qa_outputs.weight"} if "question" in task else {"classifier.weight", "mobilebert.pooler.dense.weight"}
    copied = {name for name in same if any(torch.equal(ours[name], one) for one in theirs.values())}
    assert (same if "question" in task or kind != "distilbert" else set()) == copied
    scratch = built(folder, task, "scratch", embedding_rank=32, normalization="layer_norm", heads=2)
    assert not torch.allclose(states(teacher)[0], states(scratch)[0], atol=0.5)


def test_a_smaller_table_is_the_nearest_one(bert: Path) -> None:
    """Without a LayerNorm the scale is right on average; another width takes nothing over."""
    teacher: Any = load_encoder(bert, "text-classification", LABELS)
    expected = states(teacher.eval())[0]
    with torch.no_grad():
        found = [states(built(bert, embedding_rank=rank, heads=2))[0] for rank in (4, 16, 32)]
        errors = [float((one - expected).square().mean()) for one in found]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.2 * float(expected.square().mean())
    narrow = built(bert, hidden_size=16, heads=2)
    assert not torch.equal(narrow.classifier.weight, teacher.classifier.weight[:, :16])


def test_recorded_queries_and_keys_give_its_attention(mobile: Path) -> None:
    """So that it can be compared with the teacher's, head by head."""
    net = built(mobile)
    with torch.no_grad(), tapped(net, {2}) as found:
        net(input_ids=IDS)
    query, key, _, heads = found[2]
    net.set_attn_implementation("eager")
    attention = net(input_ids=IDS, output_attentions=True).attentions[1]
    assert torch.allclose(attention, scores(by_head(query, heads), by_head(key, heads)).softmax(-1), atol=1e-5)
    assert 4 == len(states(net))
