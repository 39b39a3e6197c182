"""Names of keys of one family, and the fixed settings of each family."""

from __future__ import annotations

import pytest
from tests.paper_family import PaperFamily

from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.scopes import Fixed, by_name, foreign_problem, joined, setting_of, split, uses


@pytest.fixture(autouse=True)
def paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("layers", ("", "layers")),
        ("paper.dropout", ("paper", "dropout")),
        ("optimizer.lr", ("", "optimizer.lr")),  # of a logged run
        ("paper", ("", "paper")),
    ],
)
def test_names(name: str, parts: tuple[str, str]) -> None:
    """Only a family may stand before the dot."""
    assert parts == split(name)
    assert name == joined(*parts)


def test_tables_by_name() -> None:
    """The keys of a family's table are named with it; anything that is not a table stands for itself."""
    assert [("layers", 1), ("paper.dropout", 2)] == list(by_name({"layers": 1, "paper": {"dropout": 2}}))
    assert [("paper", 3)] == list(by_name({"paper": 3}))


def test_which_family_uses_a_key() -> None:
    """Every family has a family; a run without one is not known to ignore anything."""
    assert (True, False, True) == (uses("paper", "dropout"), uses("paper", "layers"), uses("paper", "family"))
    assert (True, True) == (uses(None, "layers"), uses("unknown", "layers"))
    assert "" == foreign_problem("paper", "dropout")


def test_the_value_of_a_setting_in_a_trial() -> None:
    """A key that the family of the trial does not use has no value, whatever its settings say."""
    settings = {"family": "paper", "dropout": 0.2, "layers": 3}
    found = [setting_of(settings, name) for name in ("dropout", "paper.dropout", "transformer.dropout", "layers")]
    assert [0.2, 0.2, None, None] == found
    assert 3 == setting_of({"layers": 3}, "layers")


def test_fixed_settings_of_a_family() -> None:
    """A table overrides the plain values for its family alone, and `[baseline]` overrides both."""
    fixed = Fixed(Settings(dropout=0.3, epochs=2.0), {"paper": {"dropout": 0.1}})
    assert (0.1, 0.3) == (fixed.value("dropout", "paper"), fixed.value("dropout", "transformer"))
    assert Settings(family="paper", dropout=0.1, epochs=2.0) == fixed.of("paper")
    assert Settings(family="paper", dropout=0.1, epochs=1.0) == fixed.baseline({"family": "paper", "epochs": 1.0})
    assert Settings(dropout=0.4, epochs=2.0) == fixed.baseline({"dropout": 0.4})
