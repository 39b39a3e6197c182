"""The arithmetic of the family bilstm."""

from __future__ import annotations

import pytest

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.bilstm import BILSTM
from bertdistill.engine.tasks.table import TASKS

CLASSIFICATION = TASKS["text-classification"]


@pytest.mark.parametrize(("hidden", "ffn", "params"), [(150, 200, 963_002), (300, 400, 1_686_002)])
def test_the_sizes_of_the_paper(hidden: int, ffn: int, params: int) -> None:
    """0.96 million without embeddings, from two tables of size 300 side by side; the large variant has one."""
    size = 600 if hidden == 150 else 300
    settings = Settings(family="bilstm", embedding_size=size, hidden_size=hidden, ffn_size=ffn)
    facts = Prepared(labels=("no", "yes"))
    known = BILSTM.known(BILSTM.plan(facts, settings, scratch=False), CLASSIFICATION, facts)
    assert params == known["params"] - 5000 * size


def test_more_layers_than_two_are_refused() -> None:
    """A transformer may have more, so the range of the key does not say so."""
    with pytest.raises(ConfigError, match=r"settings\.layers is 3, but the family bilstm has at most 2"):
        BILSTM.plan(Prepared(), Settings(family="bilstm", layers=3), scratch=False)
