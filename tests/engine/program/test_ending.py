"""How a trial ended, from exit, word and values."""

from __future__ import annotations

import math
from typing import Any

import pytest

from bertdistill.engine.program.ending import Ending, Heard, ending

GOOD = {"acc": 0.9, "size": 3.0}


def end(code: int | None = 0, **heard: Any) -> Ending:
    return ending(Heard(code, **heard), ["acc", "size"], limit="5 minutes")


@pytest.mark.parametrize(
    ("heard", "code", "status", "reason"),
    [
        ({"final": GOOD}, 0, "complete", ""),
        ({"final": {"acc": 0.9}, "logged": {"acc": 0.1, "size": 3.0}}, 0, "complete", ""),
        ({"code": 139, "status": "complete", "final": GOOD}, 0, "complete", ""),
        ({"final": {**GOOD, "acc": math.nan}}, 76, "infeasible", "diverged"),
        ({"final": {**GOOD, "size": math.inf}}, 76, "infeasible", "diverged"),
        ({"code": 1, "status": "infeasible", "reason": "mine", "detail": "too deep"}, 76, "infeasible", "infeasible"),
        ({"code": 1, "status": "infeasible", "reason": "cuda_oom"}, 76, "infeasible", "cuda_oom"),
        ({"code": 76}, 76, "infeasible", "infeasible"),
        ({"status": "pruned", "final": GOOD}, 0, "pruned", "pruned"),
        ({"final": {"acc": 0.9}}, 0, "failed", "no_result"),
        ({"code": 0, "status": "failed", "reason": "crashed", "detail": "KeyError"}, 1, "failed", "crashed"),
        ({"code": 3, "status": "failed", "detail": "KeyError"}, 3, "failed", "crashed"),
        ({"code": 3, "final": GOOD}, 3, "", ""),
        ({"code": 78}, 78, "", ""),
        ({"code": None, "final": GOOD}, None, "", ""),
        ({"code": 75}, 75, "stopped", "stopped"),
        ({"code": None, "stopped": True}, 75, "stopped", "stopped"),
        ({"code": 1, "stopped": True, "logged": GOOD}, 75, "stopped", "stopped"),
        ({"code": 0, "stopped": True, "logged": GOOD}, 75, "stopped", "stopped"),
        ({"code": 0, "stopped": True, "final": GOOD}, 0, "complete", ""),
        ({"code": None, "late": True, "logged": GOOD}, 76, "infeasible", "time_limit"),
        ({"code": 0, "late": True, "final": GOOD}, 0, "complete", ""),
    ],
)
def test_endings(heard: dict[str, Any], code: int | None, status: str, reason: str) -> None:
    """The word counts above the exit, a result above a stop; without a word the program's own exit is passed on."""
    found = end(**heard)
    assert (code, status, reason) == (found.code, found.status, found.reason)


def test_what_is_missing_is_named_with_what_was_printed() -> None:
    """So that a misspelt name is seen at once."""
    assert "no value for acc, size; it printed last: {'Acc': 1}" == end(printed="{'Acc': 1}").detail
    assert "no value for size; it printed nothing" == end(final={"acc": 1.0}).detail
