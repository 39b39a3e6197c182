"""Few questions compute few keys, many questions compute every key once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bertdistill.engine.search.past import Memory
from bertdistill.engine.search.seen import FEW, Seen

PAST = [{"layers": layers, "batch_size": size} for layers in range(100) for size in (8, 16)]


def asked_for(*wanted: Mapping[str, Any]) -> tuple[list[bool], int]:
    """The answers for these sets, and how many keys were computed. The batch size is without effect."""
    computed: list[Any] = []

    def key(params: Mapping[str, Any]) -> int:
        computed.append(params)
        return int(params["layers"])

    seen = Seen(PAST, key, lambda one: lambda other: other["layers"] % 10 == one["layers"] % 10, Memory())
    return [seen.holds(one) for one in wanted], len(computed)


def test_few_questions_look_only_at_what_may_be_equal() -> None:
    """Twenty of 200 agree with each in the last digit."""
    answers, computed = asked_for({"layers": 3, "batch_size": 9}, {"layers": 104, "batch_size": 8})
    assert [True, False] == answers
    assert computed <= 2 + 2 * 20


def test_many_questions_compute_every_key_once() -> None:
    """As in a grid that is nearly exhausted."""
    answers, computed = asked_for(*[{"layers": 104, "batch_size": 8}] * (FEW + 100))
    assert not any(answers)
    assert FEW + 100 + len(PAST) == computed
