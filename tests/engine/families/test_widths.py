"""Feed-forward widths: how neurons are allocated to layers."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import NEW_LAYER, bert_shape
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.families.widths import BLOCKS, ffn_widths, importance_blocks

SHAPE = bert_shape(vocab_size=60, positions=32, hidden_size=16, ffn_size=256, layers=3, head_size=8)


def test_blocks_are_means_of_the_ranked_neurons() -> None:
    """The most important ones first; layers that do not divide into equal blocks, and small ones, lose no neuron."""
    ranked = list(range(128, 0, -1))
    shuffled = random.Random(0).sample(ranked, 128)
    assert tuple(sum(ranked[i : i + 2]) / 2 for i in range(0, 128, 2)) == importance_blocks(shuffled)
    assert (3.0, 2.0, 1.0) == importance_blocks([1, 3, 2])
    uneven = importance_blocks([1.0] * 100)
    assert (BLOCKS, {1.0}) == (len(uneven), set(uneven))


def test_even_widths() -> None:
    """The same in every layer; 0 keeps all."""
    assert (100, 100) == ffn_widths(256, [0, 2], Settings(ffn_size=100), ())
    assert (256, 256) == ffn_widths(256, [0, 2], Settings(), ())
    with pytest.raises(ConfigError, match=r"settings.ffn_size is 257, but .* have 256 neurons"):
        ffn_widths(256, [0], Settings(ffn_size=257), ())


def test_listed_widths() -> None:
    """One for each layer that is kept, known before any preparation; a new network has no neurons to keep."""
    listed = Settings(layers=2, ffn_choice="list", ffn_list=[100, 7])
    assert (100, 7) == ffn_widths(256, [0, 2], listed, ())
    facts = Prepared(init_shape=SHAPE.to_dict())
    plan = TRANSFORMER.plan(facts, listed, scratch=False)
    assert plan != TRANSFORMER.plan(facts, replace(listed, ffn_list=[7, 100]), scratch=False)
    assert (100, 7) == plan.ffn_left
    assert (64, 64) == TRANSFORMER.plan(facts, replace(listed, hidden_size=16, head_size=8), scratch=True).ffn_left
    for wrong, words in (
        ({"ffn_list": [100]}, r"ffn_list is \[100\], but the student has 2 layers of at most 256 neurons"),
        ({"ffn_list": [100, 257]}, "of at most 256 neurons"),
        ({"ffn_list": [100, 0]}, "of at most 256 neurons"),
        ({"ffn_size": 9}, 'settings.ffn_size is 9, but settings.ffn_choice is "list"'),
    ):
        with pytest.raises(ConfigError, match=words):
            TRANSFORMER.plan(facts, replace(listed, **wrong), scratch=False)  # type: ignore[arg-type]  # several keys
    with pytest.raises(ConfigError, match=r"ffn_list is \[100, 7\], but the preparation of this study did not compute"):
        TRANSFORMER.plan(replace(facts, features={"train": "x"}), listed, scratch=False)


@pytest.mark.parametrize("neurons", [40, 100, 256])
def test_global_widths_keep_the_most_important_neurons_of_all_layers(neurons: int) -> None:
    """Against a plain reading: rank all neurons of all layers, and count in each layer those above the cut."""
    dice = random.Random(neurons)
    layers = [[dice.random() * scale for _ in range(neurons)] for scale in (0.5, 1.0, 2.0)]
    blocks = [importance_blocks(layer) for layer in layers]
    wanted = neurons // 2
    found = ffn_widths(neurons, [0, 1, 2], Settings(ffn_size=wanted, ffn_choice="global"), blocks)
    ranked = sorted(((value, place) for place, layer in enumerate(layers) for value in layer), reverse=True)
    exact = [sum(place == own for _, place in ranked[: 3 * wanted]) for own in range(3)]
    assert 3 * wanted == sum(found)
    assert all(abs(one - other) <= 2 * (neurons // BLOCKS + 1) for one, other in zip(found, exact, strict=True))
    assert found[0] < found[1] < found[2]


def test_no_layer_loses_all_its_neurons() -> None:
    """Whatever its importance, and with as few neurons as there can be."""
    blocks = [[1.0] * BLOCKS, [0.0] * BLOCKS]
    assert (156, 4) == ffn_widths(256, [0, 1], Settings(ffn_size=80, ffn_choice="global"), blocks)
    assert (1, 1) == ffn_widths(256, [0, 1], Settings(ffn_size=1, ffn_choice="global"), blocks)


def test_global_widths_of_chosen_layers() -> None:
    """A kept layer has the importance of its origin; a new one, of which nothing is known, gets the mean."""
    blocks = [[float(layer)] * BLOCKS for layer in range(3)]
    found = ffn_widths(256, [2, 0, NEW_LAYER], Settings(ffn_size=128, ffn_choice="global"), blocks)
    assert (252, 4, 128) == found
    assert (128, 128) == ffn_widths(256, [0, 1], Settings(ffn_size=128, ffn_choice="global"), ())


def test_the_preparation_must_know_the_neurons() -> None:
    """A study that was prepared without them cannot cut; before the preparation any size can be planned."""
    settings = Settings(ffn_size=128)
    shape = SHAPE.to_dict()
    assert (128, 128, 128) == TRANSFORMER.plan(Prepared(init_shape=shape), settings, scratch=False).ffn_left
    done = Prepared(init_shape=shape, features={"train": "/somewhere"})
    with pytest.raises(ConfigError, match="did not compute the importance of neurons"):
        TRANSFORMER.plan(done, settings, scratch=False)
    assert not TRANSFORMER.plan(done, Settings(ffn_size=256), scratch=False).narrowed
    with pytest.raises(ConfigError, match="did not compute a projection"):
        TRANSFORMER.plan(done, Settings(hidden_size=8), scratch=False)
    assert not TRANSFORMER.plan(done, Settings(hidden_size=16), scratch=False).projected


def test_facts_survive_json() -> None:
    """They are stored with the study, and equal facts give equal plans."""
    facts = Prepared(init_shape=SHAPE.to_dict(), ffn_importance=((1.0, 0.5), (0.25, 0.125)))
    assert facts == Prepared.from_dict(facts.to_dict())


def test_what_changes_the_student_is_in_its_plan() -> None:
    """So the keys themselves have no effect beyond it; the choice is one only where neurons go."""
    facts = Prepared(init_shape=SHAPE.to_dict(), ffn_importance=tuple((1.0 + n,) * BLOCKS for n in range(3)))
    plans = [
        TRANSFORMER.plan(facts, Settings(ffn_size=size, ffn_choice=choice), scratch=False)
        for size in (0, 256, 100)
        for choice in ("even", "global")
    ]
    assert (plans[0], 3) == (plans[3], len(set(plans)))
    assert {"ffn_size", "ffn_choice"} <= TRANSFORMER.idle(Settings(ffn_size=100), plans[-1])
    assert (
        "ffn_choice" in TRANSFORMER.start_idle(scratch=True),
        "ffn_size" in TRANSFORMER.start_idle(scratch=False),
    ) == (
        True,
        False,
    )
