"""Sub-networks in place: equal to the students that are cut out, alone and together, in outputs and in gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny import Head, Kind, make_checkpoint
from torch import Tensor

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.distill.data.batches import Batch
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.transformer import build_student, load_encoder, read_shape
from bertdistill.engine.distill.supernet.network import SharedEncoder, shared_encoder
from bertdistill.engine.families.encoder_plan import Plan, plan_student
from bertdistill.engine.families.supernet import Cell
from bertdistill.engine.families.widths import importance_blocks
from bertdistill.engine.tasks.question_answering import QUESTION_ANSWERING
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

LABELS = ("neg", "pos")
NETS = (
    {"layers": 3},
    {"layers": 2, "heads": 3, "ffn_size": 40},
    {"layers": 2, "heads": 3, "ffn_size": 40, "layer_choice": "even"},
    {"layers": 1, "heads": 1},
    {"layers": 3, "heads": 3, "ffn_size": 40},
    {"ffn_size": 24, "ffn_choice": "global"},
    {"layer_choice": "list", "layer_list": [1, 2], "ffn_choice": "list", "ffn_list": [8, 30], "heads": 2},
)
HEADS = np.random.default_rng(3).random((3, 4))
NEURONS = np.random.default_rng(4).random((3, 64))
BLOCKS = [importance_blocks(row) for row in NEURONS.tolist()]


def batch(*, padded: bool = True) -> Batch:
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(5, 60, (4, 8), generator=generator)
    mask = torch.ones_like(ids)
    if padded:
        mask[1, 5:] = 0
    return Batch(np.arange(4), padded, ids, mask, None, torch.zeros(4, dtype=torch.int64))


def cells_of(plan: Plan) -> list[Cell]:
    return [Cell(*one) for one in zip(plan.kept_layers, plan.heads_left, plan.ffn_left, strict=True)]


def opened(folder: Path, task: str) -> SharedEncoder:
    shared = shared_encoder(load_encoder(folder, task, LABELS, dropout=0.0), HEADS, NEURONS)
    shared.net.eval().double()  # so that only what is computed differs, and not how it is rounded
    return shared


@pytest.fixture(scope="module", name="checkpoint", params=["bert-cls", "roberta-cls", "distilbert-cls", "bert-qa"])
def _checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    kind, head = request.param.split("-")
    kinds: dict[str, Kind] = {"bert": "bert", "roberta": "roberta", "distilbert": "distilbert"}
    heads: dict[str, Head] = {"cls": "cls", "qa": "qa"}
    folder = make_checkpoint(tmp_path_factory.mktemp(request.param), kinds[kind], layers=3, head=heads[head])
    return folder, QUESTION_ANSWERING if head == "qa" else TEXT_CLASSIFICATION


def cut(checkpoint: tuple[Path, str], settings: Settings) -> tuple[Encoder, Plan]:
    folder, task = checkpoint
    shape = read_shape(folder)
    net, _ = build_student(folder, settings, task=task, labels=LABELS, shape=shape, importance=HEADS, neurons=NEURONS)
    net.eval().double()
    return Encoder(net), plan_student(shape, settings, scratch=False, ffn_importance=BLOCKS)


@pytest.mark.parametrize("padded", [True, False])
def test_sub_networks_equal_the_students_that_are_cut_out(checkpoint: tuple[Path, str], *, padded: bool) -> None:
    """All at once, which share what they begin with, and each alone."""
    shared, one = opened(*checkpoint), batch(padded=padded)
    students = [cut(checkpoint, Settings(**settings)) for settings in NETS]
    cells = [cells_of(plan) for _, plan in students]
    assert len({layer.neurons for layer in cells[5]}) > 1  # widths that the importance has allocated
    with torch.inference_mode():
        together = shared.many(one, cells)
        for found, alone, (student, _) in zip(together, cells, students, strict=True):
            wanted = student(one).logits
            torch.testing.assert_close(found.logits, wanted, rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(shared.many(one, [alone])[0].logits, wanted, rtol=1e-9, atol=1e-9)


def test_gradients_are_those_of_the_students(checkpoint: tuple[Path, str]) -> None:
    """Summed over sub-networks, each in its place of the shared weights."""
    shared, one = opened(*checkpoint), batch()
    students = [cut(checkpoint, Settings(**settings)) for settings in NETS[1:4]]
    sum_of(shared.many(one, [cells_of(plan) for _, plan in students])).backward()
    sum_of([student(one) for student, _ in students]).backward()
    gradients = dict(shared.net.named_parameters())
    for name in ("classifier.weight", "qa_outputs.weight", "classifier.out_proj.weight"):
        if name in gradients:
            torch.testing.assert_close(gradients[name].grad, total([s.net for s, _ in students], name))
    words = shared.net.get_input_embeddings().weight.grad
    torch.testing.assert_close(words, sum_tensors([s.net.get_input_embeddings().weight.grad for s, _ in students]))
    biases = [name for name in gradients if name.endswith(("lin2.bias", "output.dense.bias"))]
    last = next(name for name in biases if "layer.0." in name and "attention" not in name)
    assert all(plan.kept_layers[0] == 0 for _, plan in students)
    torch.testing.assert_close(gradients[last].grad, total([s.net for s, _ in students], last))


def sum_of(outputs: list) -> Tensor:
    return torch.stack([one.logits.square().sum() for one in outputs]).sum()


def total(nets: list, name: str) -> Tensor:
    return sum_tensors([dict(net.named_parameters())[name].grad for net in nets])


def sum_tensors(tensors: list[Tensor]) -> Tensor:
    return torch.stack(tensors).sum(0)


def test_another_order_computes_the_same_and_back_is_bit_equal(checkpoint: tuple[Path, str], tmp_path: Path) -> None:
    folder, task = checkpoint
    plain, shared, one = load_encoder(folder, task, LABELS, dropout=0.0), opened(*checkpoint), batch()
    before = {name: tensor.clone() for name, tensor in plain.state_dict().items()}
    plain.eval().double()
    with torch.inference_mode():
        torch.testing.assert_close(shared(one).logits, Encoder(plain)(one).logits, rtol=1e-9, atol=1e-9)
    assert any(not torch.equal(before[name].double(), tensor) for name, tensor in shared.net.state_dict().items())
    shared.save_as_before(tmp_path / "saved", None)
    assert all(torch.equal(before[name].double(), tensor) for name, tensor in shared.net.state_dict().items())
    reloaded = load_encoder(tmp_path / "saved", task, LABELS, need_head=True)
    assert all(torch.equal(before[name], tensor) for name, tensor in reloaded.state_dict().items())
