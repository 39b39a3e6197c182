"""What a study asks of its preparation: the units and embeddings that any of its trials may read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import study_dict

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import FP16, FP32, INT4, INT8, WEIGHTS, Settings
from bertdistill.engine.families.encoder_plan import Shape, bert_shape
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.student import known, teacher_known, wanted_units, wanted_vectors
from bertdistill.engine.tasks.table import TASKS

RATE = {"learning_rate": {"low": 1e-4, "high": 1e-2}}


@pytest.mark.parametrize(
    ("sections", "units", "vectors"),
    [
        ({"search": {**RATE, "layers": {"low": 1, "high": 4}}}, [], {}),
        ({"settings": {"family": "mlp"}, "search": RATE, "baseline": None}, [], {}),
        (
            {
                "settings": {"family": "mlp", "embedding_init": "teacher"},
                "search": {"units": {"choices": ["teacher", "words"]}, "vocab_size": {"low": 100, "high": 900}},
                "baseline": None,
            },
            ["words"],
            {"teacher": 5000},
        ),
    ],
)
def test_only_what_a_trial_may_read_is_prepared(
    sections: dict[str, Any], units: list[str], vectors: dict[str, int], tmp_path: Path
) -> None:
    """Tokenising again and running the teacher over its vocabulary cost time."""
    spec = study_from_dict({**study_dict(tmp_path, **sections), "baseline": sections.get("baseline")}, where="here")
    assert (units, vectors) == (wanted_units(spec), wanted_vectors(spec))


@pytest.mark.parametrize("family", ["mlp", "bilstm"])
def test_tiny_families_do_not_answer_questions(family: str, tmp_path: Path) -> None:
    """They give labels; the message names the families that give spans."""
    raw = study_dict(tmp_path, settings={"family": family}, search=RATE, task="question-answering")
    objectives = [{"metric": "exact"}, {"metric": "params"}]
    with pytest.raises(ConfigError, match=f'"{family}" does not support question-answering; use transformer'):
        study_from_dict({**raw, "objectives": objectives, "baseline": None}, where="here")


def test_a_mobilebert_teacher_is_counted_like_its_students() -> None:
    """The one that keeps everything is as large as it, and takes as long."""
    shape = Shape.from_config({"model_type": "mobilebert", "num_hidden_layers": 2}).to_dict()
    facts = Prepared(teacher_shape=shape, init_shape=shape, labels=("a", "b"), mean_length=20.0)
    task, family = TASKS["text-classification"], FAMILIES["bottleneck"]
    own = family.known(family.plan(facts, Settings(family="bottleneck"), scratch=False), task, facts)
    found = teacher_known(facts, task)
    assert own == {name: found[name] for name in own}
    assert own["params"] * 4 == found["bytes"]


@pytest.mark.parametrize("form", WEIGHTS)
@pytest.mark.parametrize("family", ["transformer", "linear"])
def test_bytes_and_compression_are_known_before_training(family: str, form: str, tmp_path: Path) -> None:
    """Of MiniLM, whose embeddings are half of it; a family without the setting stays in fp32."""
    shape = bert_shape(vocab_size=30522, positions=512, hidden_size=384, ffn_size=1536, layers=6, head_size=32)
    facts = Prepared(teacher_shape=shape.to_dict(), init_shape=shape.to_dict(), labels=("a", "b"), mean_length=20.0)
    raw = study_dict(tmp_path, settings={}, search=RATE, task="text-classification")
    objectives = [{"metric": "accuracy"}, {"metric": "compression"}]
    spec = study_from_dict({**raw, "objectives": objectives, "baseline": None}, where="here")
    found = known(spec, facts, Settings(family=family, weights=form))
    teacher = 4 * 22_713_986
    assert teacher / found["bytes"] == found["compression"]
    if family == "linear":
        assert 100_000 * (8 + 4 + 4) + 4 == found["bytes"]
        return
    assert teacher == found["size_mb"] * 1e6
    rows = 6 * (4 * 384 + 1536 + 384) + 384 + 2
    tables = 30522 + 512 + 2
    matrices, vectors = 22_713_986 - rows - 13 * 2 * 384, 2 * (rows + 13 * 2 * 384)
    by_hand = {FP32: teacher, FP16: teacher // 2, INT8: matrices + 2 * (rows + tables) + vectors}
    by_hand[INT4] = by_hand[INT8] - tables * (384 + 2) + tables * (192 + 24)
    assert by_hand[form] == found["bytes"]
