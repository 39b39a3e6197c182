"""Which weights are in scope, and the choice of the lowest."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, DistilBertConfig, RobertaConfig

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.compression.masks import lowest, matrices_of
from bertdistill.engine.distill.compression.passes import Moment
from bertdistill.engine.distill.compression.table import passes_of, pruned_zeros
from bertdistill.engine.distill.families.standalone import factorise, prune_heads
from bertdistill.engine.families.encoder_plan import Shape, plan_student
from bertdistill.engine.families.encoder_sizes import plan_metrics, prunable
from bertdistill.engine.families.sparsity import STATE_BYTES, USES


@pytest.mark.parametrize("kth", [False, True])
def test_exactly_as_many_as_asked_the_first_of_equal_ones(kth: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU and as on a GPU, the order of a stable sort."""
    if kth:
        way = "bertdistill.engine.distill.compression.masks._edge"
        monkeypatch.setattr(way, lambda flat, count: float(flat.kthvalue(count).values))
    values = torch.tensor([[3.0, 0.0, 1.0, 0.0], [1.0, 2.0, 1.0, 0.0]])
    order = np.argsort(values.numpy().ravel(), kind="stable")
    for count in range(9):
        expected = np.zeros(8, bool)
        expected[order[:count]] = True
        assert (expected.reshape(2, 4) == lowest(values, count).numpy()).all()


CONFIGS = {
    "bert": BertConfig(vocab_size=50, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20),
    "roberta": RobertaConfig(
        vocab_size=50, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=20, pad_token_id=1
    ),
    "distilbert": DistilBertConfig(vocab_size=50, dim=12, n_layers=2, n_heads=3, hidden_dim=20),
}


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize(("scope", "rank"), [("linears", 0), ("embeddings", 0), ("embeddings", 5)])
def test_nonzero_parameters_are_known_before_and_equal_those_of_the_network(kind: str, scope: str, rank: int) -> None:
    """To the last weight, with pruned heads and factorised embeddings, although 0.37 of these sizes is not whole."""
    from transformers import AutoModelForSequenceClassification

    settings = Settings(pruning="magnitude", sparsity=0.37, pruning_scope=scope, heads=2, embedding_rank=rank)
    net = AutoModelForSequenceClassification.from_config(copy.deepcopy(CONFIGS[kind]))
    prune_heads(net, [[0, 2], [0, 1]])
    if rank:
        factorise(net, rank)
    plan = plan_student(Shape.from_config(CONFIGS[kind].to_dict()), settings, scratch=False)
    matrices = matrices_of(net, embeddings=scope == "embeddings")
    assert sorted(prunable(plan)) == sorted(weight.numel() for weight in matrices.values())
    known = plan_metrics(plan, task="text-classification", labels=2, mean_length=9)
    (one,) = passes_of(settings, net)
    one.at_end()
    assert known["nonzero_params"] == known["params"] - one.zeros()
    assert one.zeros() == sum(int((weight == 0).sum()) for weight in matrices.values())
    assert known["params"] == sum(weight.numel() for weight in net.parameters())


def test_what_training_decides_is_not_known_before() -> None:
    """The zeros of the proximal method; the dense size is."""
    shape = Shape.from_config(CONFIGS["bert"].to_dict())
    plan = plan_student(shape, Settings(pruning="proximal"), scratch=False)
    known = plan_metrics(plan, task="text-classification", labels=2, mean_length=9)
    assert "nonzero_params" not in known
    assert known["params"] > 0
    dense = plan_metrics(
        plan_student(shape, Settings(), scratch=False), task="text-classification", labels=2, mean_length=9
    )
    assert dense["nonzero_params"] == dense["params"] == known["params"]


@pytest.mark.parametrize("method", [name for name in USES if name != "none"])
@pytest.mark.parametrize("scope", ["linears", "neurons"])
def test_what_a_checkpoint_keeps_of_a_pruning_is_within_what_is_planned(method: str, scope: str) -> None:
    """Bytes for each weight in scope, with the moments of what the pass trains; exactly so for single weights."""
    if (method, scope) == ("proximal", "neurons"):
        return
    net = BertForSequenceClassification(CONFIGS["bert"])
    settings = Settings(pruning=method, pruning_scope=scope, pruning_when="before", pruning_begin=0.0)
    (one,) = passes_of(settings, net)
    one.before_step(Moment(1, 10, lambda _: 1e-3))
    weights = sum(weight.numel() for weight in matrices_of(net, embeddings=False).values())
    kept = sum(tensor.numel() * tensor.element_size() for tensor in one.state().values())
    kept += sum(2 * 4 * trained.numel() for group in one.groups() for trained in group["params"])
    if method == "proximal":
        kept -= 8  # the strength, one number
    assert kept == STATE_BYTES[method] * weights if scope == "linears" else 0 < kept <= STATE_BYTES[method] * weights


def test_a_student_that_is_not_pruned_has_no_pass() -> None:
    """Nor one of a family that does not use the keys."""
    net = BertForSequenceClassification(CONFIGS["bert"])
    assert () == passes_of(Settings(), net)
    assert () == passes_of(Settings(pruning="magnitude", family="mlp"), net)


@pytest.mark.parametrize("method", ["random", "magnitude"])
def test_zeros_of_padding_are_not_those_of_the_pruning(method: str) -> None:
    """A new BERT has a row of zeros for padding; a random draw leaves most of it alone, and the count without it."""
    net = BertForSequenceClassification(CONFIGS["bert"])
    settings = Settings(pruning=method, sparsity=0.1, pruning_scope="embeddings", pruning_when="after")
    (one,) = passes_of(settings, net)
    assert 0 == pruned_zeros(Settings(), net)
    one.at_end()
    assert one.zeros() == pruned_zeros(settings, net)
