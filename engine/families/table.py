"""The families of students that there are, by name. A new family is one module and one row here.

The worker has a table of its own, `distill.families.table.BUILDERS`, with the same names.
"""

from __future__ import annotations

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.family import Family
from bertdistill.engine.families.transformer import TRANSFORMER

FAMILIES: dict[str, Family] = {family.name: family for family in (TRANSFORMER,)}


def foreign(settings: Settings) -> frozenset[str]:
    """Keys that shape the students of other families only, and so mean nothing to these settings."""
    every = frozenset[str]().union(*(family.settings for family in FAMILIES.values()))
    return every - FAMILIES[settings.family].settings
