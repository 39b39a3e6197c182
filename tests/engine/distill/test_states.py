"""The teacher's cached states: those of the model itself, aligned with the features, if the disk has room."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from tests.engine.distill.training.jobs import make_features
from tests.preparing import make_run, split_report
from transformers import AutoModel

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import FineTuneSpec, TeacherSpec, TransferSpec
from bertdistill.engine.contract.terms import CLS, LOGITS
from bertdistill.engine.distill.data.examples import Examples
from bertdistill.engine.distill.data.features import open_features
from bertdistill.engine.distill.labelling import MeanLabels, Texts
from bertdistill.engine.distill.prepare import prepare
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.states import cls_states

TINY = TeacherSpec(
    "scratch", vocab_size=90, layers=3, hidden_size=16, ffn_size=16, head_size=8, fine_tune=FineTuneSpec(epochs=0.5)
)
SETS = [TransferSpec("words")]


def wanting_states(run: Run, **changes: Any) -> Run:
    return dataclasses.replace(run, spec=dataclasses.replace(run.spec, signals=[CLS, LOGITS], **changes))


def test_they_are_those_of_the_teacher_for_every_row(tmp_path: Path) -> None:
    """Of the transfer set as well; prepared again, they are not computed again."""
    run = wanting_states(split_report(make_run(tmp_path / "run", TINY, transfer=SETS)))
    facts = prepare(run)
    assert (LOGITS, CLS) == facts.signals
    states = np.load(Path(facts.states) / "cls.npy")
    features = open_features(Path(facts.features["train"]))
    assert (np.float16, (len(features), 2, 16)) == (states.dtype, states.shape)
    assert facts.transfer_features > 0
    model = AutoModel.from_pretrained(facts.teacher_folder).eval()
    for row in (0, 7, len(features) - 1):
        ids = features.input_ids[features.offsets[row] : features.offsets[row + 1]].astype(np.int64)
        with torch.no_grad():
            hidden = model(torch.from_numpy(ids)[None], output_hidden_states=True).hidden_states
        expected = np.stack([hidden[layer][0, 0].numpy() for layer in (1, 2)])
        assert np.allclose(expected, states[row], atol=2e-2)
    assert prepare(run).states == facts.states


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_disk_without_room_is_refused_with_both_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = wanting_states(split_report(make_run(tmp_path / "run", TINY)))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(1, 1, 0))
    with pytest.raises(ConfigError, match=r"settings.hidden_weight take [1-9][\d,]* bytes, and .* has 0 left"):
        prepare(run)


def test_a_study_that_asks_for_no_states_has_none(tmp_path: Path) -> None:
    facts = prepare(split_report(make_run(tmp_path / "run", TINY)))
    assert ("", (LOGITS,)) == (facts.states, facts.signals)
    assert not (tmp_path / "caches" / "states").exists()


def test_a_file_has_no_states(tmp_path: Path) -> None:
    """As in a study whose weight was changed while it ran."""
    run = wanting_states(make_run(tmp_path / "run", TINY))
    with pytest.raises(ConfigError, match=r"needs the states of one teacher\.model, not a file or an average"):
        cls_states(run, MeanLabels([]), Texts(Examples("text-classification", []), make_features(), "train"))
