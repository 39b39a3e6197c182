"""Heads and neurons that zeros have left without effect: removed, the outputs stay; and pruned as a whole, by hand."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engine.distill.compression.test_masks import CONFIGS
from torch import Tensor
from transformers import AutoModelForQuestionAnswering

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.distill.compression.pools import pools_of
from bertdistill.engine.distill.compression.removal import without_empty
from bertdistill.engine.distill.compression.table import passes_of, pruned_zeros, removed
from bertdistill.engine.distill.compression.weights import save_packed, tensor_bytes
from bertdistill.engine.distill.families import standalone
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.families.encoder_plan import Shape, plan_student
from bertdistill.engine.families.encoder_sizes import contents, plan_metrics
from bertdistill.engine.families.sparsity import Pruning

IDS = torch.tensor([[2, 7, 9, 11, 3], [2, 8, 3, 1, 1]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def encoder(kind: str, **changes: Any) -> Encoder:
    config = copy.deepcopy(CONFIGS[kind])
    config.update(changes)
    torch.manual_seed(3)
    net = AutoModelForQuestionAnswering.from_config(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():  # biases of a new model are 0
            parameter.normal_(std=0.3)
    return Encoder(net)


def linears(net: Any, layer: int) -> dict[str, torch.nn.Linear]:
    """Query, key, value, output, first and second of a layer."""
    names = standalone.NAMES[net.config.model_type]
    one: Any = standalone.layers_of(net)[layer]
    attention = [(names.attention, name) for name in names.projections]
    paths = [*attention, names.output, *names.feed_forward]
    keys = ("query", "key", "value", "output", "first", "second")
    return {key: one.get_submodule(path).get_submodule(name) for key, (path, name) in zip(keys, paths, strict=True)}


@torch.no_grad()
def answers(model: Any) -> Tensor:
    found = model.net(input_ids=IDS, attention_mask=MASK)
    return torch.stack((found.start_logits, found.end_logits), dim=-1)[MASK.bool()]


def size(model: Any) -> int:
    return sum(one.numel() for one in model.net.parameters())


@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_empty_goes_and_the_outputs_stay(kind: str, tmp_path: Path) -> None:
    """By rows or by columns; of 3 heads and 20 neurons; what it adds to every token moves into the bias."""
    model = encoder(kind)
    with torch.no_grad():
        first, second = linears(model.net, 0), linears(model.net, 1)
        first["value"].weight[4:8] = 0  # head 1 of size 4, whose constant is not 0
        second["output"].weight[:, 8:] = 0  # head 2
        first["first"].weight[[2, 5]] = 0
        first["second"].weight[:, [5, 9]] = 0
        second["query"].weight[:4] = 0  # attends to all tokens alike, which is an effect
    smaller = without_empty(model)
    assert isinstance(smaller, Encoder)
    assert [[0, 2], [0, 1]] == smaller.kept_heads
    head, neuron = 3 * (4 * 12 + 4) + 12 * 4, 12 + 1 + 12
    assert size(model) - 2 * head - 3 * neuron == size(smaller)
    torch.testing.assert_close(answers(smaller), answers(model), rtol=1e-6, atol=1e-6)
    smaller.save(tmp_path / "model")
    torch.testing.assert_close(answers(load_model(tmp_path / "model")), answers(model), rtol=1e-6, atol=1e-6)
    assert without_empty(smaller) is smaller


def test_one_head_and_one_neuron_stay() -> None:
    """A layer without any would be another architecture."""
    model = encoder("bert")
    with torch.no_grad():
        for one in linears(model.net, 0).values():
            one.weight.zero_()
    smaller = without_empty(model)
    assert [[0], [0, 1, 2]] == smaller.kept_heads  # type: ignore[attr-defined]  # an encoder is returned as one
    assert [1, 20] == smaller.net.config.ffn_sizes  # type: ignore[union-attr]  # of transformers
    torch.testing.assert_close(answers(smaller), answers(model), rtol=1e-6, atol=1e-6)


def test_a_cut_and_separate_encoder_can_lose_more() -> None:
    """Unequal widths become equal, heads keep the numbers that they had in the initial model, and hooks are kept."""
    model = encoder("bert")
    standalone.prune_heads(model.net, [[0, 2], [1, 2]])
    standalone.prune_neurons(model.net, [range(9), range(8)])
    standalone.separate(model.net, 1)
    model = Encoder(model.net, [[0, 2], [1, 2]])
    with torch.no_grad():
        linears(model.net, 0)["second"].weight[:, 4] = 0
        linears(model.net, 1)["output"].weight[:, :4] = 0
    smaller = without_empty(model)
    assert [[0, 2], [2]] == smaller.kept_heads  # type: ignore[attr-defined]  # an encoder is returned as one
    config: Any = smaller.net.config
    assert (None, 8, 1) == (config.ffn_sizes, config.intermediate_size, config.separate_layers)
    types = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 1, 1, 1]])
    with torch.no_grad():
        two = [one.net(input_ids=IDS, token_type_ids=types).start_logits for one in (model, smaller)]
    torch.testing.assert_close(two[1], two[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("scope", ["heads", "neurons", "heads-and-neurons"])
@pytest.mark.parametrize("method", ["magnitude", "random", "movement"])
def test_sizes_of_what_is_pruned_as_a_whole_are_known_before(
    kind: str, scope: str, method: str, tmp_path: Path
) -> None:
    """Parameters, bytes in 8 bits, and no zero left that would count apart; although 0.4 of 3 heads is not whole."""
    settings = Settings(pruning=method, sparsity=0.4, pruning_scope=scope, heads=0)
    plan = plan_student(Shape.from_config(CONFIGS[kind].to_dict()), settings, scratch=False)
    known = plan_metrics(plan, task="question-answering", labels=0, mean_length=9)
    model = encoder(kind)
    gone = removed(settings, model.net)
    (one,) = passes_of(settings, model.net)
    one.at_end()
    smaller = without_empty(model)
    assert known["params"] == known["nonzero_params"] == size(smaller) == size(model) - gone
    assert 0 == one.zeros() == pruned_zeros(settings, smaller.net)
    left = {"heads": 2 if "heads" in scope else 3, "neurons": 12 if "neurons" in scope else 20}
    assert [left["heads"]] * 2 == [len(kept) for kept in smaller.kept_heads or [range(3)] * 2]  # type: ignore[attr-defined]
    assert left["neurons"] == linears(smaller.net, 0)["first"].out_features
    torch.testing.assert_close(answers(smaller), answers(model), rtol=1e-6, atol=1e-6)
    save_packed(smaller, "int8", tmp_path)
    stored = contents(plan, task="question-answering", labels=0)
    assert stored.bytes("int8") == tensor_bytes(tmp_path / "model.safetensors")
    dense = plan_metrics(
        plan_student(plan.shape, Settings(), scratch=False), task="question-answering", labels=0, mean_length=9
    )
    assert known["gflops"] < dense["gflops"]


def test_heads_and_neurons_by_magnitude_by_hand() -> None:
    """The lowest L2 norm over rows of query, key, value and columns of the output; over a row and a column."""
    net: Any = encoder("bert").net
    norms = [[0.0] * 3, [0.0] * 20]
    parts = {key: one.weight.detach().numpy().astype(np.float64) for key, one in linears(net, 1).items()}
    for head in range(3):
        rows = slice(4 * head, 4 * head + 4)
        squares = [(parts[key][rows] ** 2).sum() for key in ("query", "key", "value")]
        norms[0][head] = np.sqrt(sum(squares) + (parts["output"][:, rows] ** 2).sum())
    for neuron in range(20):
        norms[1][neuron] = np.sqrt((parts["first"][neuron] ** 2).sum() + (parts["second"][:, neuron] ** 2).sum())
    pruning = Pruning("magnitude", 0.5, structures=("heads", "neurons"))
    found = {pool.key: pool.norms().numpy() for pool in pools_of(net, pruning)}
    assert ["layer.0.heads", "layer.1.heads", "layer.0.neurons", "layer.1.neurons"] == list(found)
    np.testing.assert_allclose(found["layer.1.heads"], norms[0], rtol=1e-5)
    np.testing.assert_allclose(found["layer.1.neurons"], norms[1], rtol=1e-5)
    (one,) = passes_of(Settings(pruning="gradual", pruning_scope="heads-and-neurons"), net)
    one.at_end()
    lost = sorted(np.argsort(norms[1])[:10].tolist())
    assert lost == (linears(net, 1)["first"].weight == 0).all(1).nonzero().flatten().tolist()
    assert [4 * int(np.argmin(norms[0]))] * 4 == [
        int(row) - offset
        for offset, row in enumerate((linears(net, 1)["value"].weight == 0).all(1).nonzero().flatten()[:4])
    ]


@pytest.mark.parametrize(("scope", "part", "number"), [("neurons", "second", 20), ("heads", "output", 3)])
def test_a_score_gets_the_gradient_of_a_mask_on_what_is_pruned(scope: str, part: str, number: int) -> None:
    """By finite differences in float64: dL/dm of the mask on the output of a head or neuron, masked or not."""
    net: Any = encoder("bert").net.double()
    matrix = linears(net, 0)[part].weight
    whole, size = matrix.detach().clone(), matrix.shape[1] // number
    settings = Settings(pruning="movement", pruning_scope=scope, pruning_end=0.2)
    (one,) = passes_of(settings, net)
    one.before_step(Moment(9, 10, lambda _: 1.0))  # all scores are 0, so the first ones are masked
    assert 0 < int((matrix == 0).all(0).sum()) == round(number / 2) * size
    net(input_ids=IDS, attention_mask=MASK).start_logits.square().sum().backward()
    one.before_update()
    scores = one.groups()[0]["params"][0].grad
    for index in range(number):
        columns, found = slice(index * size, index * size + size), []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                matrix[:, columns] += step * whole[:, columns]
                found.append(float(net(input_ids=IDS, attention_mask=MASK).start_logits.square().sum()))
                matrix[:, columns] -= step * whole[:, columns]
        assert scores[index].item() == pytest.approx((found[0] - found[1]) / 2e-6, rel=1e-5, abs=1e-6)
        assert scores[index] != 0
