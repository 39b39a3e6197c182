"""Lines and borders of panes."""

from __future__ import annotations

import pytest
from rich.text import Text

from bertdistill.app.widgets.titles import in_line


@pytest.mark.parametrize(
    ("width", "shown"),
    [(40, "demo/6  running  exact 90.00"), (20, "demo/6  running"), (8, "demo/6  running")],
)
def test_a_line_has_whole_parts(width: int, shown: str) -> None:
    """No score is cut; the name and the state stay."""
    assert shown == in_line(map(Text, ("demo/6", "running", "exact 90.00")), width, gap=2).plain
