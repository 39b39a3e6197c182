"""`[settings]` and the tables of families in it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.paper_family import PaperFamily

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.settings_section import read_settings


@pytest.fixture(autouse=True)
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())


def test_a_table_holds_only_what_it_names() -> None:
    """Its values have the type of their settings; an empty table is nothing."""
    settings, tables, problems = read_settings({"layers": 2, "paper": {"dropout": 0, "hidden_size": 16}})
    assert (Settings(layers=2), {"paper": {"dropout": 0.0, "hidden_size": 16}}, []) == (settings, tables, problems)
    assert isinstance(tables["paper"]["dropout"], float)
    assert {} == read_settings({"paper": {}})[1]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (3, "[settings] must be a table of keys and values"),
        ({"paper": 3}, "[settings.paper] must be a table of keys and values"),
        (
            {"paper": {"layers": 2}},
            "[settings.paper] layers is not used by paper; remove it. paper uses hidden_size, head_size, dropout and "
            "the keys of training",
        ),
        ({"paper": {"dropuot": 2}}, "[settings.paper] dropuot is not a setting; did you mean dropout?"),
        ({"paper": {"dropout": 2}}, "[settings.paper] dropout = 2 is above 0.9; use 0 to 0.9"),
        (
            {"paper": {"family": "paper"}},
            "[settings.paper] family selects the table, so it cannot be inside; move it out of the table",
        ),
        ({"papr": {"dropout": 0.1}}, "[settings] papr is not a known key; did you mean paper?"),
    ],
)
def test_refusals(raw: Any, problem: str) -> None:
    """Each names the table and the key as they are written."""
    assert [problem] == [str(one) for one in read_settings(raw)[2]]
