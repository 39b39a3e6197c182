"""The arithmetic of the family mlp."""

from __future__ import annotations

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared, Units
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.mlp import MLP
from bertdistill.engine.tasks.table import TASKS

CLASSIFICATION = TASKS["text-classification"]


@pytest.mark.parametrize(
    ("labels", "pooling", "params"), [(2, "auto", 80_306), (6, "auto", 80_374), (2, "attention", 80_322)]
)
def test_the_sizes_of_the_original(labels: int, pooling: str, params: int) -> None:
    """The 80K parameters of the original posts; a weighted mean has one weight more for every number."""
    facts = Prepared(labels=("x",) * labels)
    student = MLP.plan(facts, Settings(family="mlp", pooling=pooling), scratch=False)
    known = MLP.known(student, CLASSIFICATION, facts)
    assert params == known["params"]
    assert known["encoder_params"] == (272 if pooling == "auto" else 288)


def test_no_more_rows_than_the_texts_have_units() -> None:
    """So two sizes of vocabulary beyond that are one student."""
    facts = Prepared(labels=("x", "y"), units={"": Units(vocabulary=900), "words": Units(vocabulary=1200)})
    plans = {
        (units, size): MLP.plan(facts, Settings(family="mlp", units=units, vocab_size=size), scratch=False)
        for units in ("teacher", "words")
        for size in (500, 1000, 5000)
    }
    assert [500, 900, 900, 500, 1000, 1200] == [plan.reading.rows for plan in plans.values()]
    assert plans["teacher", 1000] == plans["teacher", 5000] != plans["words", 1000]


def test_units_that_were_not_prepared_are_refused() -> None:
    """A study that could not ask for words did not divide its texts into them."""
    facts = Prepared(labels=("x", "y"), units={"": Units(vocabulary=900)})
    with pytest.raises(ConfigError, match="did not divide its texts into words") as no:
        MLP.plan(facts, Settings(family="mlp", units="words"), scratch=False)
    assert "settings.units" in no.value.hint


@pytest.mark.parametrize("pooling", ["last", "max"])
def test_a_pooling_of_another_family_is_refused(pooling: str) -> None:
    """With those that it has."""
    with pytest.raises(ConfigError, match=f"settings.pooling is {pooling}, which the family mlp") as no:
        MLP.plan(Prepared(), Settings(family="mlp", pooling=pooling), scratch=False)
    assert "auto, mean, attention" in no.value.hint


@pytest.mark.parametrize(
    ("vectors", "size", "message"),
    [
        ({"teacher": "folder"}, 65, "embedding_size is 65, but the teacher's embeddings have only 64 numbers"),
        ({}, 16, "did not store the embeddings for embedding_init = teacher"),
    ],
)
def test_embeddings_that_the_teacher_does_not_have_are_refused(
    vectors: dict[str, str], size: int, message: str
) -> None:
    """Before a worker starts."""
    units = Units(vocabulary=900, size=1000, vectors=vectors, vector_size=64 if vectors else 0)
    facts = Prepared(labels=("x", "y"), units={"": units})
    with pytest.raises(ConfigError, match=message):
        MLP.plan(facts, Settings(family="mlp", embedding_init="teacher", embedding_size=size), scratch=False)
    MLP.plan(facts, Settings(family="mlp", embedding_size=size), scratch=False)
