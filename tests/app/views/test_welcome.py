"""The welcome of an empty workspace."""

from __future__ import annotations

import pytest

from bertdistill.app.draw.canvas import Look
from bertdistill.app.views.welcome import STEPS, WAYS, example, welcome_facts


@pytest.mark.parametrize("way", [key for key, *_ in WAYS])
def test_each_way_says_what_it_takes(way: str) -> None:
    """And what happens then."""
    assert ["needs", "then"] == [name for name, _ in welcome_facts(way)]
    assert way in STEPS


def test_the_example_is_a_frontier() -> None:
    """With its teacher; in ASCII, too."""
    assert "teacher 88.43" in example(Look(80, 20)).text
    assert example(Look(80, 20, ascii_only=True), ascii_only=True).text.isascii()
