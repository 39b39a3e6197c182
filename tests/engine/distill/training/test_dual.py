"""Dual training at its end of no words of the student: the teacher reads what it always reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.engine.distill.data.test_mixed import PAIRS, mixer
from tests.tiny import Kind, make_checkpoint
from transformers import AutoModelForSequenceClassification

from bertdistill.engine.distill.data.batches import collate, pad_edges
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.training.dual import Dual
from bertdistill.engine.distill.training.evaluate import features_for


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_without_words_of_the_student_the_teacher_says_what_it_says(kind: Kind, tmp_path: Path) -> None:
    """By embeddings as by ids, with positions, segments and padding; also where the architecture has no segments."""
    net = AutoModelForSequenceClassification.from_pretrained(make_checkpoint(tmp_path / kind, kind, head="cls")).eval()
    made = mixer(tmp_path, PAIRS)[0]
    features = features_for(Encoder(net), made.plain.features)
    rows = np.arange(len(PAIRS))
    batch = collate(features, rows, edges=pad_edges(features.lengths), pad_id=0)
    expected = Encoder(net)(batch).logits
    found = Dual(net, net, made, 0.0, None).logits(batch, torch.float32)
    assert torch.allclose(expected, found, atol=1e-5)
    assert not torch.allclose(expected, Dual(net, net, made, 1.0, None).logits(batch, torch.float32), atol=1e-3)
