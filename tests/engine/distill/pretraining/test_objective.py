"""The loss of a masked language model, against transformers' own head and a plain computation; its gradient."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import Kind, make_checkpoint, make_tokenizer
from transformers import AutoModelForMaskedLM

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.data.batches import collate
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.transformer import build_student, read_shape
from bertdistill.engine.distill.pretraining.masking import Masking, masking_of
from bertdistill.engine.distill.pretraining.network import MaskedHead, masked_model
from bertdistill.engine.distill.pretraining.objective import Objective

TEXTS = ["the quick brown fox", "a dull film", "a wonderful story of steel and stone in may", "who sleeps ?"]


def features_of(tokenizer: Any) -> Features:
    rows = tokenizer(TEXTS)["input_ids"]
    lengths = [len(row) for row in rows]
    return Features(
        folder=Path("four"),
        input_ids=np.concatenate(rows).astype(np.uint16),
        token_types=None,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        example_index=np.arange(len(rows), dtype=np.int32),
        targets=np.zeros(len(rows), np.int32),
        char_spans=None,
    )


def objective(folder: Path, kind: Kind, tokenizer: Any, **settings: Any) -> Objective:
    net, kept = build_student(
        folder,
        Settings(**settings),
        task="text-classification",
        labels=("a", "b"),
        shape=read_shape(folder),
        importance=None,
    )
    model = masked_model(Encoder(net.eval(), kept), folder, seed=1)
    return Objective(
        model, masking_of(tokenizer, 0.5), features_of(tokenizer), torch.float32, tokenizer.pad_token_id or 0
    )


@pytest.fixture(name="checkpoint", scope="module", params=["bert", "distilbert", "roberta"])
def _checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Kind, Any]:
    """A checkpoint with the head of a masked language model."""
    folder = tmp_path_factory.mktemp("mlm") / "model"
    make_checkpoint(folder, request.param)
    tokenizer = make_tokenizer(request.param)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        theirs = AutoModelForMaskedLM.from_pretrained(folder)
        for name, parameter in theirs.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.3)
        theirs.tie_weights()
    theirs.save_pretrained(folder)
    return folder, request.param, tokenizer


def test_the_loss_is_that_of_transformers(checkpoint: tuple[Path, Kind, Any]) -> None:
    """With the checkpoint's own head, which is taken over, and on the same masks: mean over the predicted tokens."""
    folder, kind, tokenizer = checkpoint
    mine = objective(folder, kind, tokenizer)
    batch = collate(mine.held_out, np.arange(4), edges=np.array([16]), pad_id=mine.pad_id)
    torch.manual_seed(2)
    loss = mine.losses(batch).total.detach()
    torch.manual_seed(2)
    read, chosen = mine.masking.draw(batch.input_ids)
    theirs = AutoModelForMaskedLM.from_pretrained(folder).eval()
    labels = batch.input_ids.masked_fill(~chosen, -100)
    with torch.no_grad():
        expected = theirs(input_ids=read, attention_mask=batch.attention_mask, labels=labels).loss
    assert int(chosen.sum()) > 5
    assert float(loss) == pytest.approx(float(expected), abs=1e-5)


def test_held_out_texts_always_have_the_same_masks(checkpoint: tuple[Path, Kind, Any]) -> None:
    """Their loss does not depend on what was drawn before, and is the mean over all predicted tokens of the split."""
    folder, kind, tokenizer = checkpoint
    mine = objective(folder, kind, tokenizer)
    run: Any = SimpleNamespace(stop=threading.Event(), device=torch.device("cpu"))
    first = mine.evaluate(run)
    torch.rand(7)
    assert first == mine.evaluate(run)
    batches = list(mine._held_out())
    generator = torch.Generator().manual_seed(0)
    losses, count = 0.0, 0
    with torch.no_grad():
        for batch in batches:
            read, chosen = mine.masking.draw(batch.input_ids, generator)
            states = mine.model.net.encoder(input_ids=read, attention_mask=batch.attention_mask).last_hidden_state
            probabilities = mine.model.net.logits(states).softmax(-1)
            for row, column in chosen.nonzero().tolist():
                losses -= float(probabilities[row, column, batch.input_ids[row, column]].log())
                count += 1
    assert first.metrics["mlm"] == pytest.approx(losses / count, abs=1e-5)
    assert first.score == -first.metrics["mlm"]


def test_no_predicted_token_is_a_loss_of_zero(checkpoint: tuple[Path, Kind, Any]) -> None:
    folder, kind, tokenizer = checkpoint
    mine = objective(folder, kind, tokenizer)
    none = Masking(0.0, mine.masking.mask_id, mine.masking.ordinary, mine.masking.special)
    batch = collate(mine.held_out, np.arange(2), edges=np.array([16]), pad_id=mine.pad_id)
    total = Objective(mine.model, none, mine.held_out, mine.precision, mine.pad_id).losses(batch).total
    total.backward()
    assert 0.0 == float(total.detach())


def test_the_head_of_a_low_rank_student_ends_in_its_embeddings(checkpoint: tuple[Path, Kind, Any]) -> None:
    """As in ALBERT; no table is made for it."""
    folder, kind, tokenizer = checkpoint
    net = objective(folder, kind, tokenizer, embedding_rank=8).model.net
    assert (len(tokenizer), 8) == tuple(net.table.shape)
    assert (8, 32) == tuple(net.head.dense.weight.shape)
    assert {"dense.weight", "dense.bias", "norm.weight", "norm.bias", "bias"} == net.head.state_dict().keys()


def test_the_gradient_of_the_head() -> None:
    """By finite differences in float64, through the states and through the tied embeddings."""
    torch.manual_seed(0)
    head = MaskedHead(3, 2, 5).double()
    states = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    table = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([0, 3, 4, 1])

    def loss(states: torch.Tensor, table: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
        names = [name for name, _ in head.named_parameters()]
        logits = torch.func.functional_call(head, dict(zip(names, weights, strict=True)), (states, table))
        return torch.nn.functional.cross_entropy(logits, targets)

    assert torch.autograd.gradcheck(loss, (states, table, *head.parameters()))
