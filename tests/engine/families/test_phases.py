"""Pre-training and fine-tuning as settings: what has no effect, what a student can read, the 24 published sizes."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.phases import FINETUNING, PRETRAINING, pretraining_bytes
from bertdistill.engine.families.table import FAMILIES, pretrained, unused
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.tasks.text_classification import TASK

SHAPE = bert_shape(vocab_size=30522, positions=512, hidden_size=768, ffn_size=3072, layers=12, head_size=64)
FACTS = Prepared(init_shape=SHAPE.to_dict(), labels=("a", "b"), mean_length=20.0)
PUBLISHED = {
    128: (4.4, 4.8, 5.2, 5.6, 6.0, 6.4),
    256: (9.6, 11.2, 12.8, 14.3, 15.9, 17.5),
    512: (22.5, 28.8, 35.1, 41.4, 47.7, 54.0),
    768: (38.6, 52.8, 67.0, 81.1, 95.3, 109.5),
}
"""Million parameters of google/bert_uncased_L-{2,4,6,8,10,12}_H-{width}_A-{width / 64}, by width (arXiv 1908.08962)."""


@pytest.mark.parametrize("width", PUBLISHED)
def test_new_students_have_the_published_sizes(width: int) -> None:
    """From scratch, layers and hidden_size alone give them: heads of 64 and a feed-forward size of four widths."""
    for layers, millions in zip((2, 4, 6, 8, 10, 12), PUBLISHED[width], strict=True):
        plan = TRANSFORMER.plan(FACTS, Settings(layers=layers, hidden_size=width), scratch=True)
        params = TRANSFORMER.known(plan, TASK, FACTS)["params"] - (width * 2 + 2)  # without the classes
        assert round(params / 1e6, 1) == millions
        assert (width // 64, 4 * width) == (plan.shape.heads, plan.shape.ffn_size)


def test_pretraining_changes_no_size() -> None:
    """Its head belongs to no student."""
    plain, trained = Settings(layers=2, hidden_size=128), Settings(layers=2, hidden_size=128, pretrain_epochs=3.0)
    plans = [TRANSFORMER.plan(FACTS, one, scratch=True) for one in (plain, trained)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize(
    ("settings", "idle"),
    [
        ({}, (PRETRAINING - {"pretrain_epochs"}) | {"finetune_learning_rate"}),
        ({"pretrain_epochs": 1.0}, {"finetune_learning_rate"}),
        ({"finetune_epochs": 1.0}, PRETRAINING - {"pretrain_epochs"}),
        ({"family": "mlp", "pretrain_epochs": 1.0}, PRETRAINING | {"finetune_learning_rate"}),
        ({"family": "linear"}, PRETRAINING | FINETUNING),
    ],
)
def test_keys_of_phases_that_are_left_out_have_no_effect(settings: dict[str, Any], idle: frozenset[str]) -> None:
    found = unused(Settings(**settings)) & (PRETRAINING | FINETUNING)
    assert idle == found


def test_families_without_an_encoder_are_not_pretrained() -> None:
    pre = {name for name in FAMILIES if pretrained(Settings(family=name, pretrain_epochs=1.0))}
    assert "transformer" in pre
    assert not pre & {"mlp", "bilstm", "linear"}
    assert not pretrained(Settings())


def test_longer_texts_than_the_student_reads_are_refused() -> None:
    settings = Settings(layers=2, hidden_size=128, pretrain_epochs=1.0, pretrain_max_length=513)
    with pytest.raises(ConfigError, match="pretrain_max_length is 513, but the student reads at most 512 tokens"):
        TRANSFORMER.plan(FACTS, settings, scratch=True)
    assert TRANSFORMER.plan(FACTS, dataclasses.replace(settings, pretrain_epochs=0.0), scratch=True)


def test_the_disk_holds_two_checkpoints_and_the_result() -> None:
    """A best and a last checkpoint, both once more while they are replaced."""
    assert (1 + 1 + 3 + 3 + 1) * 4 * 1000 == pretraining_bytes(1000)
