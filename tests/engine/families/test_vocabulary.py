"""Sizes of smaller vocabularies of transformers, by arithmetic."""

from __future__ import annotations

import dataclasses

import pytest

from bertdistill.engine.contract.facts import Pieces, Prepared, Vocabulary
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.mlp import MLP
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.families.vocabulary import entries, size_of, units_name

SHAPE = bert_shape(vocab_size=900, positions=64, hidden_size=8, ffn_size=16, layers=2, head_size=4).to_dict()
FACTS = Prepared(
    init_shape=SHAPE,
    features={"train": "somewhere"},
    mean_length=20.0,
    vocabulary=Vocabulary(size=900, kinds={"cut": Pieces(100, 400, 500, ((100, 80.0), (400, 40.0)))}),
)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        (Settings(), 0),
        (Settings(vocab_size=100), 100),
        (Settings(vocab_size=401), 400),
        (Settings(vocab_size=900), 400),
        (Settings(vocab_size=900, transfer_share=0.5), 500),
        (Settings(vocab_size=900, transfer_share=0.5, alpha=0.0), 400),
    ],
)
def test_there_are_as_many_entries_as_were_asked_for_and_exist(settings: Settings, size: int) -> None:
    """Pieces of the transfer set exist only for who reads it."""
    assert size == entries(FACTS, settings)


def test_before_the_preparation_the_size_is_an_upper_limit() -> None:
    """Never above that of the initial model."""
    for asked, size in ((300, 300), (5000, 900)):
        plan = TRANSFORMER.plan(Prepared(init_shape=SHAPE), Settings(vocab_size=asked), scratch=False)
        assert size == plan.shape.vocab_size


def test_lengths_are_those_counted_or_between_them() -> None:
    """At 200, the middle of 100 and 400 on a logarithmic scale, it is the mean of both."""
    pieces = FACTS.vocabulary.kinds["cut"]
    lengths = [pieces.mean_length(size) for size in (50, 100, 200, 400, 450)]
    assert [80.0, 80.0, pytest.approx(60.0), 40.0, 40.0] == lengths
    assert 0.0 == Pieces().mean_length(10)


def test_names_of_units_are_read_back() -> None:
    """Those of other units are not taken for them."""
    assert (
        ("cut", 8000)
        == size_of(units_name("cut", 8000))
        == size_of(TRANSFORMER.units(_large(), Settings(vocab_size=8000)))
    )
    assert [("", 0)] * 3 == [size_of(name) for name in ("", "words", "init")]


def _large() -> Prepared:
    kinds = {"cut": Pieces(100, 9000, 9000, ((9000, 40.0),))}
    return dataclasses.replace(FACTS, vocabulary=Vocabulary(size=9000, kinds=kinds))


def test_two_kinds_of_one_size_are_two_students() -> None:
    """They have as many parameters, but not the same pieces."""
    both = dataclasses.replace(FACTS.vocabulary.kinds["cut"])
    facts = dataclasses.replace(FACTS, vocabulary=Vocabulary(size=900, kinds={"cut": both, "new": both}))
    one, other = (
        TRANSFORMER.plan(facts, Settings(vocab_size=200, vocabulary=kind), scratch=False) for kind in ("cut", "new")
    )
    assert (one != other, one.shape) == (True, other.shape)


def test_the_default_of_tiny_families_is_5000_rows() -> None:
    """As it was when it was written out, so that older studies give the same students."""
    facts = Prepared(labels=("a", "b"))
    zero, stored = (MLP.plan(facts, Settings(family="mlp", vocab_size=size), scratch=True) for size in (0, 5000))
    assert (5000, zero) == (zero.reading.rows, stored)
