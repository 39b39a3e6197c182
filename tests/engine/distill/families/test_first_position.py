"""The last layer of a classifier for its first position: the same logits and gradients as the whole layer."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.closeness import assert_fp32_equal
from tests.tiny import Kind, make_checkpoint
from torch import Tensor, nn

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.first_position import first_position
from bertdistill.engine.distill.families.standalone import layers_of
from bertdistill.engine.distill.families.transformer import build_student, read_shape
from bertdistill.engine.distill.training.dropout import cheap_dropout
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

KINDS: tuple[Kind, ...] = ("bert", "distilbert", "roberta")
IDS = torch.tensor([[2, 9, 8, 7, 40, 41, 3], [2, 30, 31, 32, 3, 0, 0]])
MASKS = {"whole": torch.ones_like(IDS), "padded": (torch.arange(7) < torch.tensor([[7], [5]])).long()}
SILENT = {"dropout": 0.0, "attention_dropout": 0.0, "classifier_dropout": 0.0}
ROUNDINGS = 8
"""Of the largest logit: 1e-6."""


def student(tmp_path: Path, kind: Kind, task: str = TEXT_CLASSIFICATION, **changes: Any) -> Any:
    """One with pruned heads, and silent dropout unless `changes` says otherwise."""
    folder = make_checkpoint(tmp_path / kind, kind, layers=2)
    settings = Settings(**{"heads": 3, "head_choice": "random", **SILENT, **changes})
    labels = () if task == QUESTION_ANSWERING else ("a", "b", "c")
    return build_student(folder, settings, task=task, labels=labels, shape=read_shape(folder))[0]


def batch(mask: Tensor) -> Batch:
    return Batch(np.arange(2), bool((mask == 0).any()), IDS, mask, None, torch.zeros(2, dtype=torch.long))


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("way", ["sdpa", "eager", "cpu"])
@pytest.mark.parametrize("kind", KINDS)
def test_same_logits_and_gradients(tmp_path: Path, kind: Kind, way: str, mask: str) -> None:
    """With every attention that training uses, in training and evaluation, with and without padding."""
    model = student(tmp_path, kind)
    model.set_attn_implementation("eager" if way == "eager" else "sdpa")
    for training in (False, True):
        model.train(training)
        found = []
        for only_first in (False, True):
            model.zero_grad()
            quick = cheap_dropout(model, torch.device("cpu")) if way == "cpu" else nullcontext()
            with quick, first_position(model) if only_first else nullcontext():
                logits = model(input_ids=IDS, attention_mask=MASKS[mask]).logits
            nn.functional.cross_entropy(logits, torch.tensor([1, 2])).backward()
            found.append((logits.detach(), {name: value.clone() for name, value in gradients(model).items()}))
        (whole, expected), (first, slopes) = found
        assert_fp32_equal(first, whole, ROUNDINGS)
        assert expected.keys() == slopes.keys()
        largest = max(float(value.abs().max()) for value in expected.values())
        for name, value in expected.items():
            assert float((slopes[name] - value).abs().max()) <= 1e-6 * largest, name


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoder_computes_only_what_is_read(tmp_path: Path, kind: Kind) -> None:
    """Unless hidden states or attentions are asked for, which are those of all positions."""
    model, shapes = student(tmp_path, kind), list[tuple[int, ...]]()
    layers_of(model)[-1].register_forward_hook(lambda *given: shapes.append(tuple(given[-1].shape)))
    encoder = Encoder(model.eval())
    for mask in MASKS.values():
        first = encoder(batch(mask)).logits
        states = encoder(batch(mask), hidden=True)
        assert_fp32_equal(first, states.logits, ROUNDINGS)
        assert [(2, 7, 32)] * 3 == [tuple(one.shape) for one in states.hidden]
    model.set_attn_implementation("eager")
    assert [(2, 3, 7, 7)] * 2 == [
        tuple(one.shape) for one in encoder(batch(MASKS["whole"]), attentions=True).attentions
    ]
    assert [(2, 1, 32), (2, 7, 32), (2, 1, 32), (2, 7, 32), (2, 7, 32)] == shapes


@pytest.mark.parametrize("kind", KINDS)
def test_spans_read_every_position(tmp_path: Path, kind: Kind) -> None:
    """And so does a model of an architecture that students are not cut from."""
    model = student(tmp_path, kind, QUESTION_ANSWERING).eval()
    whole = Encoder(model)(batch(MASKS["padded"])).logits
    assert (2, 7, 2) == tuple(whole.shape)
    plain = model(input_ids=IDS, attention_mask=MASKS["padded"])
    assert torch.equal(whole[..., 0], plain.start_logits)


def test_nothing_remains(tmp_path: Path) -> None:
    """Not even after an error: the net is saved, copied and traced as it is."""
    model = student(tmp_path, "bert")
    with pytest.raises(IndexError), first_position(model):
        model(input_ids=IDS + 10_000)
    assert "forward" not in layers_of(model)[-1].__dict__


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_still_drops(tmp_path: Path, kind: Kind) -> None:
    """Each kind of it, in the last layer as elsewhere."""
    for key in SILENT:
        model = student(tmp_path, kind, **{key: 0.5}).train()
        with first_position(model):
            one, other = (model(input_ids=IDS).logits for _ in range(2))
        assert not torch.equal(one, other), key
