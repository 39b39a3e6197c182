"""The networks of mlp and bilstm: what they read, pairs, bad texts, first embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.closeness import assert_fp32_equal
from tests.tiny import make_checkpoint, make_tokenizer

from bertdistill.engine.distill.families import model as model_module
from bertdistill.engine.distill.families import tiny_net
from bertdistill.engine.distill.families.tiny_net import NETS, BiLstm, Mlp
from bertdistill.engine.distill.families.vectors import load_vectors, reduce, save_vectors

KEPT = torch.tensor([9, 5, 7], dtype=torch.int32)
BASE: dict[str, Any] = {
    "tokenizer_size": 12,
    "special_ids": [0, 2, 3],
    "separator_id": 3,
    "texts": 1,
    "embedding_size": 4,
    "hidden_size": 3,
    "ffn_size": 5,
    "layers": 1,
    "id2label": {"0": "no", "1": "yes"},
}
POOLINGS = [("mlp", "mean"), ("mlp", "attention"), ("bilstm", "last"), ("bilstm", "max")]


def make_net(family: str, pooling: str, **changes: Any) -> Mlp | BiLstm:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return NETS[family]({**BASE, "pooling": pooling, **changes}, KEPT).eval()


def logits(net: Mlp | BiLstm, *texts: Sequence[int]) -> torch.Tensor:
    """Of texts of any lengths, padded with 0."""
    width = max(map(len, texts))
    with torch.inference_mode():
        found: torch.Tensor = net(torch.tensor([[*text, *[0] * (width - len(text))] for text in texts]))
        return found


def test_the_key_of_the_family_is_the_same_in_exports() -> None:
    """The exported file stands alone, so it has its own copy."""
    assert model_module.FAMILY == tiny_net.FAMILY


@pytest.mark.parametrize(("family", "pooling"), POOLINGS)
class TestEachNet:
    """What holds for every family and pooling."""

    def test_padding_and_special_tokens_are_not_read(self, family: str, pooling: str) -> None:
        """Alone, or in a batch with a longer text."""
        net = make_net(family, pooling)
        alone = logits(net, [9, 5])
        assert_fp32_equal(logits(net, [2, 9, 5, 3]), alone)
        assert_fp32_equal(logits(net, [9, 5, 7, 5, 9, 9, 7], [2, 9, 5, 3])[1:], alone)

    def test_units_without_a_row_share_one(self, family: str, pooling: str) -> None:
        """Also the tokenizer's own unknown token, here 1; and they are not as if they were missing."""
        net = make_net(family, pooling)
        assert_fp32_equal(logits(net, [9, 4]), logits(net, [9, 1]))
        assert not torch.equal(logits(net, [9, 4]), logits(net, [9]))

    def test_empty_texts_and_unknown_words_have_logits(self, family: str, pooling: str) -> None:
        """Finite, and those of an empty text do not depend on its special tokens."""
        net = make_net(family, pooling)
        found = logits(net, [2, 3], [3], [4, 8, 10], [9, 5, 7])
        assert bool(found.isfinite().all())
        assert_fp32_equal(found[0], found[1])
        pair = make_net(family, pooling, texts=2)
        assert bool(logits(pair, [2, 3, 3], [9, 3, 3], [3, 9, 3], [9, 5]).isfinite().all())

    def test_a_pair_is_read_by_the_same_layers(self, family: str, pooling: str) -> None:
        """The halves are cut at the separator: swapping them changes only which is first, and one cannot be lost."""
        net = make_net(family, pooling, texts=2)
        first, second = net.embedder(torch.tensor([[2, 9, 5, 3, 7, 3]]))
        assert ([2, 3], [4]) == (first[first > 0].tolist(), second[second > 0].tolist())
        assert not torch.equal(logits(net, [9, 3, 5, 3]), logits(net, [5, 3, 9, 3]))

    def test_order_matters_only_to_an_lstm(self, family: str, pooling: str) -> None:
        """A bag of words cannot see it."""
        net = make_net(family, pooling)
        one, other = logits(net, [9, 5, 7]), logits(net, [7, 9, 5])
        if family == "mlp":
            assert_fp32_equal(one, other)
        else:
            assert (one - other).abs().max() > 1e-4

    def test_word_dropout_leaves_out_units_in_training_alone(self, family: str, pooling: str) -> None:
        """The share that is asked for, drawn again for every batch; padding stays padding."""
        net = make_net(family, pooling, word_dropout=0.25)
        ids = torch.tensor([[9, 5, 7, 4, 0] * 200] * 20)
        [kept] = net.eval().embedder(ids)
        assert 0.8 == pytest.approx(float((kept > 0).float().mean()))
        torch.manual_seed(1)
        [some], [others] = net.train().embedder(ids), net.embedder(ids)
        assert 0.6 == pytest.approx(float((some > 0).float().mean()), abs=0.02)
        assert not torch.equal(some, others)
        assert bool((some[kept == 0] == 0).all())


@pytest.mark.parametrize("kind", ["teacher", "teacher-output"])
def test_embeddings_of_the_teacher_are_those_of_each_unit_alone(kind: str, tmp_path: Path) -> None:
    """Of several pieces their mean; other units in the batch change nothing."""
    texts = ["a good film", "a bad film about nothing"]
    folder = make_checkpoint(tmp_path / "teacher", "bert", texts=texts)
    tokenizer = make_tokenizer("bert", texts)
    pieces = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("good", "film about nothing", "a")]
    around = tokenizer("")["input_ids"]
    for name, part in (("all", pieces), ("one", pieces[1:2])):
        (tmp_path / name).mkdir()
        save_vectors(tmp_path / name, kind, str(folder), part, around, lambda done, total: None)
    found = load_vectors(tmp_path / "all")
    assert (3, 32) == tuple(found.shape)
    assert torch.allclose(found[1], load_vectors(tmp_path / "one")[0], atol=2e-3)
    if kind == "teacher":
        from transformers import AutoModel

        table = AutoModel.from_pretrained(folder).get_input_embeddings().weight
        assert torch.allclose(found[1], table[pieces[1]].mean(0), atol=2e-3)


def distances(points: torch.Tensor) -> torch.Tensor:
    return (points[:, None] - points[None]).norm(dim=2)


def test_the_reduction_is_pca() -> None:
    """Components in order of variance, distances as far as they allow, signs fixed."""
    generator = np.random.default_rng(1)
    flat = torch.from_numpy(generator.normal(size=(50, 2)) @ generator.normal(size=(2, 7))).float() + 3
    found = reduce(flat, 3)
    assert torch.allclose(distances(found), distances(flat), atol=1e-4)
    assert found[:, 0].var() > found[:, 1].var() > 1e-3 > found[:, 2].var()
    assert torch.allclose(reduce(flat.flip(0), 3).flip(0), found, atol=1e-3)
    assert (2, 5) == tuple(reduce(flat[:2], 5).shape)
