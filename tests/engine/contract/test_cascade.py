"""The order of a cascade: to JSON and back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bertdistill.engine.contract.cascade import Part, Router
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.promotion import Promotion

ROUTER = Router(Part("#3", Path("/runs/3/best"), "ab", "float32", "cpu"), Part("teacher"), 1.5, 0.71, 0.2)
ORDER = Promotion(Path("/runs/3/best"), "ab", Path("/models/m/1"), "m", 1, {"accuracy": 80.0}, cascade=ROUTER)


def test_an_order_survives_json() -> None:
    """Also that of a single model, which has no rule."""
    assert ORDER == Promotion.from_dict(json.loads(json.dumps(ORDER.to_dict())))
    plain = ORDER.to_dict() | {"cascade": None}
    assert None is Promotion.from_dict(plain).cascade
    del plain["cascade"]
    assert None is Promotion.from_dict(plain).cascade


@pytest.mark.parametrize("wrong", [{"threshold": "much"}, {"small": {}}, {"large": None}, {"temperature": None}])
def test_a_rule_that_is_not_whole_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="the rule of a cascade"):
        Router.from_dict(ROUTER.to_dict() | wrong)
