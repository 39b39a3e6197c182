"""Trials are grouped by family or by any setting that varies, in as many groups as can be told apart."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from bertdistill.app.draw.canvas import GROUPS
from bertdistill.app.views import colours
from bertdistill.app.views.view import StudyView


def view(*params: dict[str, Any]) -> StudyView:
    """As much of a study as colouring looks at."""
    names = dict.fromkeys(name for one in params for name in one)
    trials = [SimpleNamespace(number=n, params=one, settings=one) for n, one in enumerate(params)]
    searched = {name: tuple(sorted({str(one.get(name)) for one in params})) for name in names}
    return cast(StudyView, SimpleNamespace(trials=trials, outline=SimpleNamespace(searched=searched)))


def test_only_what_varies_is_offered_the_family_first() -> None:
    """A setting that all trials share says nothing."""
    study = view({"layers": 2, "heads": 4, "family": "mlp"}, {"layers": 3, "heads": 4, "family": "linear"})
    assert ("family", "layers") == colours.choices(study)
    assert "family" == colours.usual(study)
    assert "" == colours.usual(view({"layers": 2}, {"layers": 3}))


def test_groups_are_in_the_order_of_their_values() -> None:
    """Numbers as numbers: 12 follows 4."""
    found = colours.colouring(view({"layers": 12}, {"layers": 4}, {}), "layers")
    assert (("4", "12"), 1, 0, -1) == (found.groups, found.of(0), found.of(1), found.of(2))


def test_rare_values_share_a_group() -> None:
    """There are never more groups than glyphs."""
    words = [f"w{i % 9}" if i < 18 else "w0" for i in range(20)]
    found = colours.colouring(view(*({"recipe": word} for word in words)), "recipe")
    assert (len(GROUPS), colours.OTHERS) == (len(found.groups), found.groups[-1])
    assert "w0" in found.groups


def test_numbers_with_many_values_are_in_bands() -> None:
    """As large as each other, named by their ends."""
    found = colours.colouring(view(*({"rate": i / 100} for i in range(40))), "rate")
    assert ("0 to 0.09", "0.1 to 0.19", "0.2 to 0.29", "0.3 to 0.39") == found.groups
    assert [10] * 4 == [sum(found.of(n) == band for n in range(40)) for band in range(4)]


def test_nothing_to_colour_by() -> None:
    """No choice, and a setting that no trial has."""
    assert colours.NONE == colours.colouring(view({}), "")
    assert colours.NONE == colours.colouring(view({}), "layers")
    assert () == colours.choices(view({}))
