"""Recorded queries and keys give the very attention of each architecture, with and without pruned heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import Kind, make_checkpoint
from torch import nn

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.families.taps import tapped
from bertdistill.engine.distill.families.transformer import build_student, read_shape
from bertdistill.engine.distill.training.terms.attention_loss import scores
from bertdistill.engine.distill.training.terms.step import by_head


def hooks(net: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in net.modules())


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert"])
@pytest.mark.parametrize("heads", [0, 3])
def test_scores_are_those_of_the_model(kind: Kind, heads: int, tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "model", kind, head="cls")
    settings = Settings(heads=heads, head_choice="random")
    net, _ = build_student(folder, settings, task="text-classification", labels=["a", "b"], shape=read_shape(folder))
    net.eval()
    ids = torch.arange(6, 13)[None].repeat(2, 1)
    plain, own = net(input_ids=ids).logits, hooks(net)
    with torch.no_grad(), tapped(net, {2}) as found:
        assert torch.equal(plain, net(input_ids=ids).logits)
    assert own == hooks(net)
    assert {2} == set(found)
    query, key, value, used = found[2]
    assert (heads or 4, (2, 7, 8 * (heads or 4))) == (used, tuple(value.shape))
    eager: Any = net
    eager.set_attn_implementation("eager")
    attention = eager(input_ids=ids, output_attentions=True).attentions[1]
    probabilities = scores(by_head(query, used), by_head(key, used)).softmax(-1)
    assert torch.allclose(attention, probabilities, atol=1e-5)
