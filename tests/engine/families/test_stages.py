"""When terms that compare layers count: exact steps."""

from typing import Any

import pytest

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import TERMS
from bertdistill.engine.families.layer_pairs import compared_layers
from bertdistill.engine.families.stages import WHOLE, Stage, layer_steps, stages

LAST = {"compares": False}


def of(how: str, share: float = 0.5, **more: Any) -> Settings:
    return Settings(layerwise=how, layerwise_share=share, **{"states_weight": 1.0, **more})


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        (of("together"), 10, [Stage(0, 10)]),
        (of("first"), 10, [Stage(0, 5, predicts=False), Stage(5, 10, **LAST)]),
        (of("first", 0.99), 10, [Stage(0, 9, predicts=False), Stage(9, 10, **LAST)]),
        (of("first", 0.01), 10, [Stage(0, 1, predicts=False), Stage(1, 10, **LAST)]),
        (of("first"), 1, [Stage(0, 1, **LAST)]),
        (
            of("progressive"),
            10,
            [
                Stage(0, 1, predicts=False, lowest=0, highest=1),
                Stage(1, 3, predicts=False, lowest=2, highest=2),
                Stage(3, 5, predicts=False, lowest=3, highest=3),
                Stage(5, 10, **LAST),
            ],
        ),
        (
            of("progressive"),
            4,  # two steps for three layers
            [
                Stage(0, 1, predicts=False, lowest=0, highest=2),
                Stage(1, 2, predicts=False, lowest=3, highest=3),
                Stage(2, 4, **LAST),
            ],
        ),
        (of("first", states_weight=0.0), 10, [Stage(0, 10)]),
    ],
)
def test_steps_are_divided(settings: Settings, steps: int, expected: list[Stage]) -> None:
    """Without gaps; a stage has the layers that are new in it, and something is left for predictions."""
    found = stages(settings, steps, compared_layers(settings, 3, 6))
    assert expected == list(found)
    assert [0, *(one.end for one in found[:-1])] == [one.begin for one in found]
    assert steps == found[-1].end
    assert layer_steps(settings, steps) == found[-1].begin


@pytest.mark.parametrize("steps", range(1, 40))
def test_every_layer_is_compared_once(steps: int) -> None:
    found = stages(of("progressive"), 2 * steps, range(1, 8))[:-1]
    for layer in range(8):
        assert 1 == sum(one.covers(layer) for one in found)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"states_weight": 1.0}, (1, 2, 3)),
        ({"attention_map_weight": 1.0}, (1, 2, 3)),
        ({"hidden_weight": 1.0}, (1, 2)),
        ({"relation_weight": 1.0}, (3,)),
        ({"hidden_weight": 1.0, "relation_weight": 1.0}, (1, 2, 3)),
        ({"map_weight": 1.0, "separate_layers": 1, "compared_layers": "joint"}, (2, 3)),
        ({"map_weight": 1.0, "separate_layers": 1, "compared_layers": "joint", "family": "bottleneck"}, (1, 2, 3)),
        ({}, ()),
    ],
)
def test_compared_layers_are_those_of_the_active_terms(weights: dict[str, Any], expected: tuple[int, ...]) -> None:
    """PKD leaves out the last, MiniLM has it alone."""
    assert expected == compared_layers(Settings(**weights), 3, 6)


def test_terms_count_in_their_stages() -> None:
    layered, first, last = TERMS["map_loss"], Stage(0, 5, predicts=False), Stage(5, 9, compares=False)
    assert [True, False, True] == [one.counts(layered) for one in (first, last, WHOLE)]
    assert [False, True, True] == [one.counts(TERMS["soft_loss"]) for one in (first, last, WHOLE)]
