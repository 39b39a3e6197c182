"""Dropout for CPUs: rates, scales, repeatability, gradients, and that nothing of it is left behind."""

from typing import Any

import pytest
import torch
from tests.closeness import assert_fp32_equal
from torch import Tensor, nn
from transformers import AutoModelForQuestionAnswering, BertConfig, DistilBertConfig, RobertaConfig

from bertdistill.engine.distill.training import dropout
from bertdistill.engine.distill.training.dropout import attention, cheap_dropout

CPU = torch.device("cpu")
BATCH, HEADS, LENGTH, SIZE = 3, 2, 9, 9
SMALL = {"vocab_size": 40, "max_position_embeddings": 32}
CONFIGS = [
    BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, **SMALL),
    RobertaConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, **SMALL),
    DistilBertConfig(dim=16, n_layers=2, n_heads=2, hidden_dim=32, **SMALL),
]


def projections(dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Query, key and value as a model makes them: (batch, heads, length, size), not contiguous."""
    generator = torch.Generator().manual_seed(0)
    made = (torch.randn(BATCH, LENGTH, HEADS, SIZE, generator=generator, dtype=dtype) for _ in range(3))
    return [tensor.transpose(1, 2).requires_grad_() for tensor in made]


def padding() -> Tensor:
    mask = torch.ones(BATCH, 1, 1, LENGTH, dtype=torch.bool)
    mask[1, ..., 5:] = False
    return mask


def models() -> list[Any]:
    torch.manual_seed(0)
    return [AutoModelForQuestionAnswering.from_config(config) for config in CONFIGS]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_rate_is_kept_and_the_mean_stays(dtype: torch.dtype, rate: float) -> None:
    """A share of `rate` is 0, the rest is scaled up by one number: that of the rounded rate."""
    torch.manual_seed(0)
    dropped = dropout.dropout(torch.ones(1000, 501, dtype=dtype), rate)
    assert rate == pytest.approx((dropped == 0).double().mean().item(), abs=0.005)
    assert [0.0, 1 / (1 - rate)] == pytest.approx(dropped.unique().tolist(), rel=0.005)


def test_rates_of_nothing_and_of_all() -> None:
    """At 0 nothing happens, and no random number is drawn; at 1 everything goes, without a division by zero."""
    torch.manual_seed(0)
    state, ones = torch.get_rng_state(), torch.ones(7)
    assert torch.equal(ones, dropout.dropout(ones, 0.0))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(torch.zeros(7), dropout.dropout(ones, 1.0))


def test_masks_follow_from_the_state_of_torch() -> None:
    """The same state gives the same mask, the next call another: what a checkpoint keeps is enough to resume."""
    torch.manual_seed(3)
    state = torch.get_rng_state()
    first, second = (dropout.dropout(torch.ones(100), 0.5) for _ in range(2))
    torch.set_rng_state(state)
    assert torch.equal(first, dropout.dropout(torch.ones(100), 0.5))
    assert not torch.equal(first, second)


def test_the_gradient_passes_where_the_value_passed() -> None:
    """What was dropped gets no gradient, what was kept gets it with the scale."""
    torch.manual_seed(0)
    hidden = torch.ones(50, 3, requires_grad=True)
    dropped = dropout.dropout(hidden, 0.3)
    dropped.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    assert hidden.grad is not None
    assert torch.equal(dropped.detach(), hidden.grad)


@pytest.mark.parametrize("mask", [None, padding()], ids=["whole", "padded"])
@pytest.mark.parametrize("chunk", [1, 1 << 20], ids=["one by one", "at once"])
def test_attention_without_dropout_is_that_of_torch(
    monkeypatch: pytest.MonkeyPatch, mask: Tensor | None, chunk: int
) -> None:
    """Outputs and gradients in float64, however the examples are cut into chunks."""
    monkeypatch.setattr(dropout, "CHUNK_SCORES", chunk)
    found, wanted = projections(), projections()
    ours = attention(*found, mask, rate=0.0, scale=0.5)
    torchs = nn.functional.scaled_dot_product_attention(*wanted, attn_mask=mask, scale=0.5).transpose(1, 2)
    weights = torch.randn(ours.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for outputs in (ours, torchs):
        (outputs * weights).sum().backward()
    assert_fp32_equal(ours, torchs)  # the scores pass through fp32
    for a, b in zip(found, wanted, strict=True):
        assert_fp32_equal(a.grad, b.grad)


def test_attention_drops_weights_and_its_gradient_knows_which() -> None:
    """Against the plain formula with the very mask that was drawn, which an identity as value lays open."""
    eye = torch.eye(LENGTH, dtype=torch.float64).expand(BATCH, HEADS, -1, -1)
    query, key, value = projections()
    torch.manual_seed(5)
    weights = attention(query.detach(), key.detach(), eye, None, rate=0.4, scale=0.5).transpose(1, 2)
    kept = (weights != 0).double()
    assert 0.4 == pytest.approx(1 - kept.mean().item(), abs=0.1)
    torch.manual_seed(5)
    ours = attention(query, key, value, None, rate=0.4, scale=0.5)
    again = projections()
    plain = torch.softmax(again[0] @ again[1].transpose(2, 3) * 0.5, -1) * kept / (1 - round(0.4 * 32768) / 32768)
    wanted = (plain @ again[2]).transpose(1, 2)
    for outputs in (ours, wanted):
        outputs.square().sum().backward()
    assert_fp32_equal(ours, wanted)
    for a, b in zip((query, key, value), again, strict=True):
        assert_fp32_equal(a.grad, b.grad)


@pytest.mark.parametrize("model", models(), ids=lambda model: model.config.model_type)
def test_a_model_drops_with_it_inside_only(model: Any) -> None:
    """In training inside: other numbers from the same seed. Outside and in evaluation: what it was, to the last bit."""
    ids = torch.arange(2, 22).view(2, 10)
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0

    def outputs() -> Tensor:
        torch.manual_seed(1)
        found: Tensor = model(input_ids=ids, attention_mask=mask).start_logits
        return found

    model.train()
    before = outputs()
    with cheap_dropout(model, CPU):
        inside = outputs()
        assert "bertdistill_cpu" == model.config._attn_implementation
    assert torch.equal(before, outputs())
    assert not torch.equal(before, inside)
    assert "sdpa" == model.config._attn_implementation
    assert not any("forward" in module.__dict__ for module in model.modules())
    model.eval()
    plain = outputs()
    with cheap_dropout(model, CPU):
        assert_fp32_equal(plain, outputs())


def test_other_devices_are_left_alone() -> None:
    """A GPU has kernels of its own for this."""
    model = models()[0]
    with cheap_dropout(model, torch.device("meta")):
        assert "sdpa" == model.config._attn_implementation
