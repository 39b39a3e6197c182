"""[[pretrain]] and the keys of pre-training and fine-tuning: read, written back, refused where they have no effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict, study_spec

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Corpus, Prepared
from bertdistill.engine.contract.spec import PretrainSpec, Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.study.config import dump, load_study, study_from_dict
from bertdistill.engine.study.student import planned_student, wanted_pretrain, wanted_transfer
from bertdistill.engine.study.study_text import write_toml

ON: dict[str, Any] = {"settings": {"pretrain_epochs": 2.0}}
RECIPES: dict[str, Any] = {
    "recipes": {
        "PF": {"pretrain_epochs": 4.0, "alpha": 0.0},
        "TF": {"alpha": 1.0, "finetune_epochs": 1.0},
        "PD": {"pretrain_epochs": 4.0, "alpha": 1.0, "finetune_epochs": 1.0},
    },
    "search": {"recipe": {"choices": ["PF", "TF", "PD"]}},
    "settings": {"pretrain_learning_rate": 1e-3, "finetune_learning_rate": 1e-4},
    "baseline": None,
}


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({}, "[pretrain.0] kind is missing"),
        ({"kind": "hub"}, 'kind = "hub" is not valid; use train, transfer or file'),
        ({"kind": "file"}, "[pretrain.0] path of file is missing"),
        ({"kind": "train", "path": "a.txt"}, "path of train has no effect there; it belongs to file; remove it"),
        ({"kind": "train", "overlap": "drop"}, "overlap of train has no effect there; it belongs to file; remove it"),
        ({"kind": "file", "path": "a.txt", "overlap": "keep"}, 'overlap of file = "keep" is not valid'),
        ({"kind": "transfer"}, 'kind = "transfer", but there is no [[transfer]] table; add one, or use other texts'),
    ],
)
def test_refused_tables(tmp_path: Path, table: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        study_from_dict(study_dict(tmp_path, pretrain=[table], **ON), where="here")
    assert expected in str(refused.value)


def test_the_report_file_is_refused(tmp_path: Path) -> None:
    raw = study_dict(tmp_path, pretrain=[{"kind": "file", "path": str(tmp_path / "report.txt")}], **ON)
    with pytest.raises(ConfigError, match="path of file is the report file: students would be trained on what they"):
        study_from_dict(raw, where="here")


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (
            {"pretrain": [{"kind": "train"}]},
            "[pretrain] has no effect: no trial reads it; set or search pretrain_epochs",
        ),
        (
            {"settings": {"mask_probability": 0.3}},
            "mask_probability has no effect with pretrain_epochs = 0; set or search pretrain_epochs, or remove it",
        ),
        (
            {"settings": {"finetune_learning_rate": 1e-3}},
            "finetune_learning_rate has no effect with finetune_epochs = 0; set or search finetune_epochs",
        ),
        (
            {"search": {"pretrain_batch_size": {"choices": [16, 32]}}, "baseline": {}},
            "[search.pretrain_batch_size] has no effect with pretrain_epochs = 0; set or search pretrain_epochs",
        ),
        ({"settings": {"family": "mlp", "pretrain_epochs": 1.0}, "search": {}, "baseline": {}}, "mlp does not use it"),
        ({"settings": {"pretrain_epochs": -1.0}}, "pretrain_epochs = -1 is below 0"),
        ({"settings": {"finetune_epochs": "1"}}, 'finetune_epochs = "1" must be a number'),
    ],
)
def test_refused_settings(tmp_path: Path, sections: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        study_from_dict(study_dict(tmp_path, **sections), where="here")
    assert expected in str(refused.value)


def test_three_recipes_in_one_study(tmp_path: Path) -> None:
    """Pre-training and fine-tuning, distillation and fine-tuning, all three; keys that one of them uses are allowed."""
    spec = study_spec(tmp_path, **RECIPES)
    assert [PretrainSpec("train")] == wanted_pretrain(spec)
    assert spec == study_from_dict(dump(spec), where="again")


def test_the_preparation_collects_what_trials_may_read(tmp_path: Path) -> None:
    """Nothing without pre-training, the training texts by default, a transfer set if it is named."""
    assert [] == wanted_pretrain(study_spec(tmp_path))
    assert [PretrainSpec("train")] == wanted_pretrain(study_spec(tmp_path, **ON))
    searched = {"search": {"pretrain_epochs": {"choices": [0.0, 2.0]}}, "baseline": {}}
    assert [PretrainSpec("train")] == wanted_pretrain(study_spec(tmp_path, **searched))
    more = {"pretrain": [{"kind": "transfer"}], "transfer": [{"kind": "words"}]}
    spec = study_spec(tmp_path, **ON, **more)
    assert ([PretrainSpec("transfer")], ["words"]) == (
        wanted_pretrain(spec),
        [one.kind for one in wanted_transfer(spec)],
    )


def test_paths_are_those_of_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("a text\n")
    raw = study_dict(tmp_path, pretrain=[{"kind": "file", "path": "more.txt"}], **ON)
    (tmp_path / "study.toml").write_text(write_toml(raw))
    assert str(tmp_path / "more.txt") == load_study(tmp_path / "study.toml").pretrain[0].path


def test_a_study_prepared_without_texts_refuses_pretraining(tmp_path: Path) -> None:
    """As when the key was added to a running study."""
    shape = bert_shape(vocab_size=500, positions=64, hidden_size=64, ffn_size=128, layers=2, head_size=16)
    facts = Prepared(init_shape=shape.to_dict(), labels=("a", "b"), mean_length=8.0, features={"train": "somewhere"})
    settings = Settings(layers=1, hidden_size=32, head_size=16, pretrain_epochs=1.0, pretrain_max_length=32)
    spec = study_spec(tmp_path, student={"init": "scratch"}, settings={"head_size": 16})
    with pytest.raises(ConfigError, match="the preparation of this study collected no texts for it"):
        planned_student(spec, facts, settings)
    known = Prepared.from_dict({**facts.to_dict(), "corpus": {"folder": "there", "texts": 3, "added_later": 1}})
    assert Corpus("there", 3) == known.corpus
    assert planned_student(spec, known, settings)
