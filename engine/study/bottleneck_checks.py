"""Checks of the settings of MobileBERTs: heads that divide the width inside a layer. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from bertdistill.engine.families.bottleneck import BOTTLENECK
from bertdistill.engine.families.bottleneck_shape import QUARTER
from bertdistill.engine.study.family_checks import selected
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.sections import Problem, shown


def bottleneck_problems(parts: Parts) -> Iterator[Problem]:
    """One if none of its sizes and numbers of heads fit; single combinations are refused when they are proposed."""
    family = BOTTLENECK.name
    if family not in selected(parts) or parts.settings is None or parts.search is None:
        return
    sizes, widths, heads = (parts.values(key, family) for key in ("bottleneck_size", "hidden_size", "heads"))
    combined = [(size or width // QUARTER, count) for size, width, count in product(sizes, widths, heads)]
    # 0 is the teacher's, which is not read here.
    if combined and all(size and count and size % count for size, count in combined):
        size, count = combined[0]
        searched = any(one.key == "heads" for one in parts.search)
        text = f"= {shown(count)} does not divide the width inside a layer, bottleneck_size = {size}"
        yield Problem("search" if searched else "settings", "heads", f"{text}; use a divisor of it, or 0")
