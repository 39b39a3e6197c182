"""Importance: the gradient of the loss with respect to a mask on each head and each neuron."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.closeness import assert_fp32_equal
from tests.tiny import Kind, make_checkpoint
from torch import Tensor, nn

from bertdistill.engine.distill.families.importance import (
    Importance,
    importance_of,
    load_importance,
    load_neurons,
    save_importance,
)
from bertdistill.engine.distill.families.standalone import NAMES, layers_of
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

LABELS = ("no", "yes")


def model_of(tmp_path: Path, kind: Kind) -> Any:
    folder = make_checkpoint(tmp_path / kind, kind, layers=3, head="cls")
    return load_encoder(folder, TEXT_CLASSIFICATION, LABELS)


def batches(sizes: tuple[int, ...]) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randint(5, 90, (size, 7), generator=generator), torch.randint(0, 2, (size,), generator=generator))
        for size in sizes
    ]


def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    ids, labels = batch
    return nn.functional.cross_entropy(model(input_ids=ids).logits, labels)


@torch.no_grad()
def losses(model: nn.Module, data: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The loss of every single example."""
    parts = [nn.functional.cross_entropy(model(input_ids=ids).logits, y, reduction="none") for ids, y in data]
    return torch.cat(parts)


def output_of(model: Any, layer: int) -> Any:
    names = NAMES[model.config.model_type]
    return getattr(layers_of(model)[layer].get_submodule(names.output[0]), names.output[1])


def contraction_of(model: Any, layer: int) -> Any:
    path, name = NAMES[model.config.model_type].feed_forward[1]
    return getattr(layers_of(model)[layer].get_submodule(path), name)


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
def test_neurons_equal_finite_differences(tmp_path: Path, kind: Kind) -> None:
    """As for heads, with the outgoing weights of a neuron scaled; not normalised by layer."""
    model = model_of(tmp_path, kind).eval().double()
    data, step = batches((4, 3)), 1e-5
    found = importance_of(model, data, loss, neurons=True).neurons
    assert found is not None
    assert (3, 64) == found.shape
    for layer, neuron in ((0, 0), (1, 17), (2, 63)):
        weight = contraction_of(model, layer).weight.data
        kept, moved = weight[:, neuron].clone(), []
        for factor in (1 + step, 1 - step):
            weight[:, neuron] = kept * factor
            moved.append(losses(model, data))
        weight[:, neuron] = kept
        assert found[layer, neuron] == pytest.approx(((moved[0] - moved[1]) / (2 * step)).abs().mean(), rel=1e-4)


def test_neurons_of_one_example_are_those_of_dynabert(tmp_path: Path) -> None:
    """|sum of w dL/dw| over the outgoing weights of each neuron."""
    model, data = model_of(tmp_path, "bert").eval(), batches((1,))
    found = importance_of(model, data, loss, neurons=True).neurons
    assert found is not None
    loss(model, data[0]).backward()
    for layer in range(3):
        weight = contraction_of(model, layer).weight
        assert_fp32_equal(found[layer], (weight * weight.grad).sum(0).abs().detach())


def test_neurons_are_extra(tmp_path: Path) -> None:
    """They change nothing for the heads, and are computed only if asked for."""
    model = model_of(tmp_path, "distilbert")
    heads, both = (importance_of(model, batches((5, 2)), loss, neurons=more) for more in (False, True))
    assert (None, True) == (heads.neurons, np.array_equal(heads.heads, both.heads))


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
def test_equals_finite_differences(tmp_path: Path, kind: Kind) -> None:
    """Scaling the columns of one head up and down changes each example's loss by its mask's gradient."""
    model = model_of(tmp_path, kind).eval().double()
    data, step = batches((4, 3)), 1e-5
    expected = np.zeros((3, 4))
    for layer in range(3):
        weight = output_of(model, layer).weight.data
        for head in range(4):
            columns = slice(8 * head, 8 * head + 8)
            kept = weight[:, columns].clone()
            moved = []
            for factor in (1 + step, 1 - step):
                weight[:, columns] = kept * factor
                moved.append(losses(model, data))
            weight[:, columns] = kept
            expected[layer, head] = ((moved[0] - moved[1]) / (2 * step)).abs().mean()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(expected, importance_of(model, data, loss).heads, atol=1e-4)


def test_independent_of_the_batching(tmp_path: Path) -> None:
    """The mean is over examples: cutting them into other batches changes nothing."""
    model = model_of(tmp_path, "bert")
    (ids, labels), *_ = batches((6,))
    one = importance_of(model, [(ids, labels)], loss, neurons=True)
    cut = importance_of(model, [(ids[:1], labels[:1]), (ids[1:], labels[1:])], loss, neurons=True)
    assert_fp32_equal(one.heads, cut.heads)
    assert_fp32_equal(one.neurons, cut.neurons)
    assert np.allclose(1.0, np.linalg.norm(one.heads, axis=1))


def test_a_head_that_is_never_read_has_no_importance(tmp_path: Path) -> None:
    """Zero output columns mean zero importance, the lowest of its layer."""
    model = model_of(tmp_path, "distilbert")
    output_of(model, 1).weight.data[:, 16:24] = 0
    values = importance_of(model, batches((5,)), loss).heads
    assert 0.0 == values[1, 2]
    assert (np.delete(values[1], 2) > 0).all()


def test_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    """No hook, no gradient, no frozen weight and no changed mode stays behind, even after an error."""
    model = model_of(tmp_path, "bert").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    importance_of(model, batches((2,)), loss, neurons=True)
    with pytest.raises(ValueError, match="at least one batch"):
        importance_of(model, [], loss)
    assert model.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not output_of(model, 0)._forward_pre_hooks
    assert not contraction_of(model, 0)._forward_pre_hooks


def test_saved_and_loaded(tmp_path: Path) -> None:
    """What is loaded is what was saved, and nothing else lies in the folder."""
    heads, neurons = (np.random.default_rng(0).random((3, size), np.float32) for size in (4, 9))
    save_importance(tmp_path / "key", Importance(heads))
    assert ["importance.npy"] == [file.name for file in (tmp_path / "key").iterdir()]
    save_importance(tmp_path / "key", Importance(heads, neurons))
    assert np.array_equal(heads, load_importance(tmp_path / "key"))
    assert np.array_equal(neurons, load_neurons(tmp_path / "key"))
    assert {"importance.npy", "neurons.npy"} == {file.name for file in (tmp_path / "key").iterdir()}
