"""Parameter sets as rows: what is drawn may be proposed, and comes back as it was."""

from __future__ import annotations

import numpy as np

from bertdistill.engine.search.axes import Axes
from bertdistill.engine.study.cases import Cases
from bertdistill.engine.study.ranges import narrow, present
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.search_section import read_search
from bertdistill.engine.study.space import Space, active, check

SPACE = read_search(
    {
        "family": {"choices": ["transformer", "mlp"]},
        "alpha": {"low": 0.0, "high": 1.0},
        "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "batch_size": {"choices": [32, 8, 16]},
        "transformer": {"layers": {"low": 2, "high": 6}},
        "mlp": {"vocab_size": {"low": 1000, "high": 9000}, "hidden_size": {"choices": [16, 64]}},
    }
)[0]
SPACE = tuple(SPACE)


def axes(within: Space = SPACE) -> Axes:
    return Axes(SPACE, within, Cases(SPACE, Fixed()))


def test_what_is_drawn_is_a_parameter_set_with_the_active_parameters_alone() -> None:
    """And its row is that of the set, up to the rounding of floats."""
    made, rng = axes(), np.random.default_rng(0)
    rows = made.settled(made.draw(rng, 300))
    near = made.settled(made.near(rows, 0.1, rng))
    for row in (*rows, *near):
        params = made.params(row)
        assert [] == check(SPACE, params)
        assert active(SPACE, params, Fixed()) == params
        assert np.allclose(made.rows([params])[0], row, atol=1e-3, equal_nan=True)


def test_every_value_is_drawn_about_equally_often() -> None:
    """The first and the last of a list as often as the others."""
    made = axes()
    rows = made.settled(made.draw(np.random.default_rng(1), 4000))
    sets = [made.params(row) for row in rows]
    counts = [sum(one["batch_size"] == size for one in sets) for size in (8, 16, 32)]
    assert min(counts) > 1200
    layers = [sum(one.get("transformer.layers") == n for one in sets) for n in range(2, 7)]
    assert min(layers) > 320


def test_a_narrowed_part_is_never_left() -> None:
    """Frozen values, a gap in the choices, and centres outside."""
    parts = {"batch_size": {"choices": [8, 32]}, "alpha": {"low": 0.2, "high": 0.3}, "family": {"choices": ["mlp"]}}
    within = present(SPACE, tuple(narrow(one, parts[one.name]) for one in SPACE if one.name in parts))
    made, rng = axes(within), np.random.default_rng(2)
    outside = axes().settled(axes().draw(rng, 100))
    for rows in (made.draw(rng, 100), made.near(outside, 0.1, rng)):
        for row in made.settled(rows):
            params = made.params(row)
            assert (params["batch_size"] in (8, 32), params["family"]) == (True, "mlp")
            assert 0.2 <= float(params["alpha"]) <= 0.3


def test_columns_keep_the_order_of_numbers_and_give_words_none() -> None:
    """8, 16 and 32 are a third apart by rank; two families are one apart; the idle parameter is in the middle."""
    made = axes()
    sets = [
        {"family": name, "alpha": 0.5, "learning_rate": 1e-4, "batch_size": n}
        for name, n in (("mlp", 8), ("transformer", 32))
    ]
    columns = made.columns(made.rows(sets))
    by_group = [columns[:, made.groups == i] for i in range(len(SPACE))]
    assert 1.0 == round(float(np.linalg.norm(by_group[0][0] - by_group[0][1])), 6)
    assert [0.0, 1.0] == by_group[3][:, 0].tolist()
    assert [0.5, 0.5] == by_group[4][:, 0].tolist()
    assert np.allclose(by_group[2], 0.5), "the middle of a logarithmic range"


def test_a_number_a_rounding_away_from_a_listed_one_has_its_place() -> None:
    """A past trial of a coarser grid, or one that was read from a table."""
    space = tuple(read_search({"dropout": {"low": 0.1, "high": 0.3, "step": 0.05}})[0])
    made = Axes(space, space, Cases(space, Fixed()))
    exact, near = made.rows([{"dropout": 0.15}, {"dropout": 0.15000000000001}])
    assert np.allclose(exact, near)
