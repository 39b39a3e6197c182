"""Sub-networks as arithmetic: which are one, which are trained together, and which sharing ruins."""

from __future__ import annotations

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared, Supernet
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.encoder_plan import bert_shape
from bertdistill.engine.families.supernet import (
    Cell,
    architecture,
    groups,
    layers_computed,
    nets_of,
    ruined,
    start_of,
    supernet_bytes,
)

SHAPE = bert_shape(vocab_size=100, positions=32, hidden_size=16, ffn_size=64, layers=4, head_size=4)
FACTS = Prepared(init_shape=SHAPE.to_dict(), init_folder="/supernet")


def nets(*settings: dict) -> list:
    return nets_of(FACTS, [architecture(Settings(**one)) for one in settings])


def test_equal_sub_networks_are_one_and_impossible_ones_are_left_out() -> None:
    found = nets({"layers": 2}, {"layers": 2, "heads": 4}, {"layers": 2, "heads": 5}, {"layers": 2, "heads": 1})
    assert [net.cells for net in found] == [(Cell(0, 4, 64), Cell(1, 4, 64)), (Cell(0, 1, 64), Cell(1, 1, 64))]
    with pytest.raises(ConfigError, match="only 4 heads"):
        nets({"heads": 5})
    with pytest.raises(ConfigError, match="only the 4 layers of the teacher"):
        nets({"layers": 6})


def test_a_group_is_all_that_differ_in_depth_and_its_layers_are_counted_once() -> None:
    kinds = [(heads, choice) for heads in (2, 4) for choice in ("first", "even")]
    found = nets(*({"layers": n, "layer_choice": c, "heads": h % 4} for h, c in kinds for n in (2, 3)))
    assert groups(found, every_depth=False) == [[index] for index in range(8)]
    assert groups(found, every_depth=True) == [[0, 1], [2, 3], [4, 5], [6, 7]]
    first, even = (([found[index] for index in group]) for group in ([0, 1], [2, 3]))
    assert layers_computed(first) == 3  # 0 1 2
    assert layers_computed(even) == 4  # 0 3, 0 2 3
    assert layers_computed(found[:4]) == 3 + 3  # the first layer is that of all


def test_sharing_ruins_what_is_at_chance_or_far_below_as_shallow_ones() -> None:
    """Prototype figures: `first` with three layers at chance, and an untrained `even` far below."""
    scores = [
        ((0, 1, 2), 51.9),
        ((0, 1, 2), 50.0),
        ((0, 5), 76.0),
        ((0, 2, 5), 80.8),
        ((0, 3, 5), 72.8),
        ((0, 1, 2, 3), 82.2),
    ]
    assert ruined(scores, chance=51.9, top=83.5, error=1.2) == {(0, 1, 2), (0, 3, 5)}
    assert ruined(scores[2:4], chance=51.9, top=83.5, error=1.2) == set()
    assert ruined([((0,), 51.0)], chance=51.9, top=83.5, error=1.2) == {(0,)}
    assert ruined([((0,), 50.0)], chance=50.0, top=50.0, error=1.2) == set()  # nothing is known then
    assert ruined([((0,), 100.0)], chance=50.0, top=50.0, error=20.0) == set()
    assert ruined([], chance=50.0, top=90.0, error=1.0) == set()


def test_where_students_start() -> None:
    facts = Prepared(
        init_shape=SHAPE.to_dict(),
        init_folder="/supernet",
        supernet=Supernet("/supernet", layers=((0, 1), (0, 1, 2, 3)), ruined=((0,),), alone_folder="/teacher"),
    )
    assert start_of(facts, Settings(heads=2)) == start_of(facts, Settings(layers=2)) == "/supernet"
    assert start_of(facts, Settings(layers=1)) == start_of(facts, Settings(layers=3)) == "/teacher"
    assert start_of(FACTS, Settings(layers=3)) == "/supernet"  # of a study without a supernet
    assert Prepared.from_dict(facts.to_dict()) == facts


def test_the_disk_that_it_takes() -> None:
    assert supernet_bytes(1000) == {"bytes": 4000, "running_bytes": 36_000}
