"""What the model makes of trials: exact sizes, costs, hints, curves of running trials, and what comes next."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.search.ahead import outlook
from bertdistill.engine.search.model import Model
from bertdistill.engine.search.optimiser import gaussian_model, propose
from bertdistill.engine.search.past import PastTrial, ScreenedStudent
from bertdistill.engine.study.search_section import read_search
from bertdistill.engine.study.space import Value

SPACE = tuple(
    read_search(
        {
            "layers": {"low": 1, "high": 8},
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "alpha": {"low": 0.0, "high": 1.0},
        }
    )[0]
)
OBJECTIVES = (Objective("exact", "maximize"), Objective("params", "minimize"))


def known(params: Mapping[str, Value]) -> dict[str, float]:
    return {"params": 1e6 * 2.0 ** float(params["layers"])}


def score(params: Mapping[str, Value]) -> float:
    return 60 + 4 * float(params["layers"]) - 20 * (float(params["alpha"]) - 0.6) ** 2


def trials(count: int, seed: int = 0, **more: Any) -> list[PastTrial]:
    found = []
    dice = random.Random(seed)
    for _ in range(count):
        params: dict[str, Value] = {
            "layers": dice.randint(1, 8),
            "learning_rate": float(f"{10 ** dice.uniform(-5, -3):.4g}"),
            "alpha": round(dice.random(), 4),
        }
        found.append(PastTrial(params, "complete", (score(params), known(params)["params"]), **more))
    return found


def made(history: Sequence[PastTrial], **more: Any) -> Model:
    model = gaussian_model(history, SPACE, OBJECTIVES, known=known, **more)
    assert model is not None
    return model


def believed(model: Model, params: Mapping[str, Value]) -> tuple[float, float, float]:
    """(score, its doubt, logarithm of the size) of a student."""
    rows = model.axes.rows([params])
    mean, sd = model.beliefs(rows, model.facts_of(rows))
    return -float(mean[0, 0]), float(sd[0, 0]), float(mean[0, 1])


STUDENT: dict[str, Value] = {"layers": 5, "learning_rate": 1e-4, "alpha": 0.5}


def test_sizes_are_exact_and_scores_are_learned() -> None:
    """No doubt about a size that no trial had."""
    model = made([one for one in trials(24) if one.params["layers"] != 5])
    mean, sd, size = believed(model, STUDENT)
    assert size == pytest.approx(6 + 5 * 0.30103, abs=1e-5)
    assert abs(mean - score(STUDENT)) < 3 * sd + 0.5


def test_students_that_were_screened_teach_about_those_that_are_trained() -> None:
    """Their scores are lower, but they rank layers that no trial had."""
    few = [one for one in trials(40) if int(one.params["layers"]) in (3, 4)][:6]
    screened = [ScreenedStudent({"layers": n}, "exact", 30 + 6.0 * n) for n in range(1, 9)]
    plain, taught = (
        believed(made(few), {**STUDENT, "layers": 8}),
        believed(made(few, screened=screened), {**STUDENT, "layers": 8}),
    )
    right = score({**STUDENT, "layers": 8})
    assert abs(taught[0] - right) < abs(plain[0] - right)


def test_what_was_screened_is_expected_of_trials_but_for_its_level() -> None:
    """Trials of two depths are enough to know what all others reach, five points above their untrained scores."""
    few = [one for one in trials(40) if int(one.params["layers"]) in (3, 4)][:6]
    screened = [ScreenedStudent({"layers": n}, "exact", 55 + 4.0 * n) for n in range(1, 9)]
    for layers in (1, 6, 8):
        found = believed(made(few, screened=screened), {**STUDENT, "layers": layers})
        assert found[0] == pytest.approx(score({**STUDENT, "layers": layers}), abs=2.0)


def test_failed_trials_say_where_others_fail_and_not_how_good_they_are() -> None:
    """Students of one and two layers end at chance. The scores of the others are known as well as without those."""
    limited = (Objective("exact", "maximize", 60.0), OBJECTIVES[1])
    history = [
        dataclasses.replace(one, values=(10.0, one.values[1])) if int(one.params["layers"]) < 3 else one
        for one in trials(24)
    ]
    model = gaussian_model(history, SPACE, limited, known=known)
    assert model is not None
    mean, _, _ = believed(model, STUDENT)
    assert mean == pytest.approx(score(STUDENT), abs=1.0)
    rows = model.axes.rows([{**STUDENT, "layers": n} for n in (1, 6)])
    shallow, deep = model.log_feasible(rows, model.facts_of(rows))
    assert shallow < math.log(0.2)
    assert deep > math.log(0.8)


def test_seconds_are_saved_where_they_are_what_is_scarce() -> None:
    """Large students take longer; gain per second proposes smaller ones."""
    history = [dataclasses.replace(one, seconds=30.0 * 2 ** int(one.params["layers"])) for one in trials(16)]

    def layers(*, per_second: bool) -> float:
        every = [
            propose(history, SPACE, OBJECTIVES, kind="gp", seed=seed, known=known, per_second=per_second).params
            for seed in range(4)
        ]
        return sum(float(one["layers"]) for one in every)

    assert layers(per_second=True) < layers(per_second=False)


def test_a_batch_is_spread() -> None:
    """Proposals for slots in a row, each of which sees those that run: no two for the same student and training."""
    history = trials(14)
    for index in range(4):
        params = propose(history, SPACE, OBJECTIVES, kind="gp", seed=3, index=index, known=known).params
        history.append(PastTrial(params, "running"))
    batch = [one.params for one in history[14:]]
    assert 3 <= len({one["layers"] for one in batch})


def test_too_few_scores_make_no_model() -> None:
    """One score, or only trials that ran out of memory."""
    assert gaussian_model(trials(1), SPACE, OBJECTIVES, known=known) is None
    broken = [PastTrial(one.params, "infeasible") for one in trials(12)]
    assert gaussian_model(broken, SPACE, OBJECTIVES, known=known) is None
    found = propose(broken, SPACE, OBJECTIVES, kind="gp", seed=1, known=known)
    assert "random" == found.sampler


def test_the_next_trials_are_worth_less_and_less() -> None:
    """And cost what trials cost."""
    early = outlook(made(trials(6, seconds=60.0)), 1)
    late = outlook(made(trials(60, seconds=60.0)), 1)
    assert early.gain > late.gain >= 0
    assert early.low <= early.gain <= early.high
    assert 600 == pytest.approx(early.seconds)
    assert early == outlook(made(trials(6, seconds=60.0)), 1), "the same trials, the same answer"
    assert outlook(made(trials(6)), 1).seconds is None
