"""Word embeddings of low rank: the best approximation of the table, the planned size, the way to disk and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.closeness import assert_fp32_equal
from tests.tiny import Kind, make_checkpoint
from torch import Tensor

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import SCRATCH, Settings
from bertdistill.engine.distill.families.transformer import build_student, load_student, read_shape, save_student
from bertdistill.engine.families.encoder_plan import plan_student
from bertdistill.engine.families.encoder_sizes import plan_metrics
from bertdistill.engine.tasks.text_classification import TEXT_CLASSIFICATION

LABELS = ("a", "b")
IDS = torch.tensor([[2, 9, 8, 7, 40, 41, 3], [2, 30, 31, 32, 3, 60, 61]])


def build(folder: Path, settings: Settings, *, scratch: bool = False) -> Any:
    shape, init = read_shape(folder), SCRATCH if scratch else folder
    return build_student(init, settings, task=TEXT_CLASSIFICATION, labels=LABELS, shape=shape)[0].eval()


def words(model: Any) -> Any:
    return model.base_model.embeddings.word_embeddings


def logits(model: Any) -> Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits  # type: ignore[no-any-return]  # a model of transformers


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
def test_the_table_is_approximated_as_well_as_its_rank_allows(tmp_path: Path, kind: Kind) -> None:
    """Against numpy's singular value decomposition; the student is otherwise the whole one."""
    folder = make_checkpoint(tmp_path / "init", kind)
    whole, low = build(folder, Settings()), build(folder, Settings(embedding_rank=11))
    table = words(whole).weight.detach().double().numpy()
    left, values, right = np.linalg.svd(table, full_matrices=False)
    best = (left[:, :11] * values[:11]) @ right[:11]
    every = torch.arange(len(table))
    assert np.abs(words(low)(every).detach().numpy() - best).max() < 1e-4
    words(whole).weight.data.copy_(torch.from_numpy(best))
    assert_fp32_equal(logits(low), logits(whole), 2000)  # a rounding of a component is seen in every layer


@pytest.mark.parametrize("kind", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("scratch", [False, True])
def test_a_low_rank_student_comes_back(tmp_path: Path, kind: Kind, scratch: bool) -> None:
    """Its size is the planned one, and every weight is trained; it is no checkpoint to cut from."""
    folder = make_checkpoint(tmp_path / "init", kind)
    settings = Settings(embedding_rank=5, layers=1, head_size=8)
    low = build(folder, settings, scratch=scratch)
    plan = plan_student(read_shape(folder), settings, scratch=scratch)
    known = plan_metrics(plan, task=TEXT_CLASSIFICATION, labels=2, mean_length=7)
    assert known["params"] == sum(weight.numel() for weight in low.parameters() if weight.requires_grad)
    save_student(low, [list(range(4))], tmp_path / "saved")
    assert torch.equal(logits(low), logits(load_student(tmp_path / "saved")[0]))
    with pytest.raises(ConfigError, match="factorised"):
        read_shape(tmp_path / "saved")


def test_new_factors_follow_from_initializer_range_and_seed(tmp_path: Path) -> None:
    """As all new weights do."""
    folder = make_checkpoint(tmp_path / "init", "bert")
    settings = Settings(embedding_rank=20, head_size=8, initializer_range=0.5)
    one, same = (words(build(folder, settings, scratch=True)).factors.weight for _ in range(2))
    assert torch.equal(one, same)
    assert 0.5 == pytest.approx(one[1:].std().item(), rel=0.1)


def test_a_rank_is_below_the_hidden_size(tmp_path: Path) -> None:
    """That of the student: one that is no smaller than the table would only cost."""
    shape = read_shape(make_checkpoint(tmp_path / "init", "bert"))
    with pytest.raises(ConfigError, match="embedding_rank is 32, but the hidden size is only 32"):
        plan_student(shape, Settings(embedding_rank=32), scratch=False)
    with pytest.raises(ConfigError, match="embedding_rank is 20, but the hidden size is only 16"):
        plan_student(shape, Settings(embedding_rank=20, hidden_size=16), scratch=False)
