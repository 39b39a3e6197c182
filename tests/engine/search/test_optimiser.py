"""Proposals: deterministic, inside the space, new each time, parallel ones apart, and better than chance."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.paper_family import PaperFamily
from tests.spaces import parse_search

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.pareto.frontier import Objective, hypervolume, non_dominated
from bertdistill.engine.search.optimiser import (
    GP_TRIALS,
    POPULATION,
    _Search,
    choose_kind,
    derive_seed,
    propose,
    rounded,
)
from bertdistill.engine.search.past import Memory, PastTrial, Proposal, SpaceExhausted
from bertdistill.engine.search.seen import Seen
from bertdistill.engine.study.ranges import inside, narrow, present, typed
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.search_section import with_families
from bertdistill.engine.study.space import Parameter, Space, active, check, count

OBJECTIVES = (Objective("exact", "maximize", 50.0), Objective("params", "minimize"))
FREE = (Objective("exact", "maximize"), Objective("params", "minimize"))
SPACE = parse_search(
    {
        "layers": {"low": 1, "high": 6},
        "heads": {"low": 1, "high": 12},
        "learning_rate": {"low": 1e-6, "high": 1e-3, "log": True},
        "alpha": {"low": 0, "high": 1},
        "batch_size": {"choices": [8, 16, 32]},
        "head_choice": {"choices": ["random", "importance"]},
    }
)
SMALL = parse_search({"layers": {"low": 1, "high": 3}, "batch_size": {"choices": [8, 16]}})
CONDITIONAL = parse_search(
    {
        "layers": {"low": 1, "high": 6},
        "head_choice": {"choices": ["random", "importance"]},
        "head_seed": {"low": 1, "high": 5, "when": {"head_choice": ["random"]}},
        "alpha": {"low": 0, "high": 1, "when": {"head_seed": [1, 2]}},
    }
)
MODELS = ["tpe", "gp", "nsga2", "random"]


def params_of(values: Mapping[str, Any]) -> float:
    """The published size formula of DistilBERT with a question answering head."""
    return 23_837_186.0 + values["layers"] * (7_087_872 - (12 - values.get("heads", 12)) * 196_800)


def exact_of(values: Mapping[str, Any]) -> float:
    """A made score: better with size, best near a learning rate of 5e-5 and an alpha of 0.8."""
    size = values["layers"] * values["heads"] / 15
    slip = 6 * (math.log10(values["learning_rate"]) + 4.3) ** 2 + 8 * (values["alpha"] - 0.8) ** 2
    return 75 - 40 * math.exp(-size) - slip


def complete(values: Mapping[str, Any]) -> PastTrial:
    return PastTrial(dict(values), "complete", (exact_of(values), params_of(values)))


def random_history(trials: int, seed: int = 0) -> list[PastTrial]:
    """Trials at random points of SPACE, most complete, some not."""
    dice = random.Random(seed)
    history = []
    for i in range(trials):
        values = {
            "layers": dice.randint(1, 6),
            "heads": dice.randint(1, 12),
            "learning_rate": float(f"{10 ** dice.uniform(-6, -3):.4g}"),
            "alpha": round(dice.random(), 4),
            "batch_size": dice.choice([8, 16, 32]),
            "head_choice": dice.choice(["random", "importance"]),
        }
        trial = complete(values)
        if i % 7 == 3:
            trial = PastTrial(values, "infeasible")
        elif i % 7 == 5:
            trial = PastTrial(values, "pruned", (trial.values[0], trial.values[1]))
        history.append(trial)
    return history


def ask(history: Sequence[PastTrial], kind: str = "tpe", **more: Any) -> Proposal:
    arguments: dict[str, Any] = {"space": SPACE, "objectives": OBJECTIVES, "seed": 1, **more}
    return propose(history, arguments.pop("space"), arguments.pop("objectives"), kind=kind, **arguments)


@pytest.mark.parametrize("kind", MODELS)
def test_same_history_same_proposal(kind: str) -> None:
    """A proposal is a function of its arguments; another study seed gives another one."""
    history = random_history(18)
    first = ask(history, kind)
    assert first == ask(history, kind)
    assert first.params != ask(history, kind, seed=2).params


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
from test_optimiser import ask, random_history
print([ask(random_history(24), kind) for kind in ("tpe", "nsga2", "random")])
"""


def test_same_proposal_in_other_processes() -> None:
    """Neither the hash seed nor anything else of a process changes a proposal."""
    program = PROGRAM.format(folder=str(Path(__file__).parent))
    printed = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in ("1", "2")
    ]
    assert printed[0].stdout == printed[1].stdout
    assert "Proposal(" in printed[0].stdout
    assert ["", ""] == [process.stderr for process in printed]


@pytest.mark.parametrize("kind", MODELS)
def test_proposals_lie_in_the_space(kind: str) -> None:
    """Every sampler keeps to ranges, choices and rounding, from the first trial on."""
    for trials in (0, 15):
        params = ask(random_history(trials), kind).params
        assert [] == check(SPACE, params)
        assert {parameter.name for parameter in SPACE} == set(params)
        assert params["learning_rate"] == float(f"{params['learning_rate']:.4g}")


@pytest.mark.parametrize("kind", ["tpe", "gp", "random"])
def test_parallel_proposals_differ(kind: str) -> None:
    """What runs already is not proposed again, and the index alone changes a proposal."""
    history = random_history(14)
    running: list[PastTrial] = []
    for index in range(3):
        params = ask([*history, *running], kind, index=index).params
        assert params not in [trial.params for trial in running]
        running.append(PastTrial(params, "running"))
    assert ask(history, kind, index=0).params != ask(history, kind, index=1).params


@pytest.mark.parametrize("kind", [*MODELS, "grid", "auto"])
def test_a_finite_space_is_walked_through_once(kind: str) -> None:
    """Each of the six sets is proposed once, then the space is exhausted."""
    history: list[PastTrial] = []
    for _ in range(6):
        params = ask(history, kind, space=SMALL, objectives=FREE, startup_trials=2).params
        assert params not in [trial.params for trial in history]
        history.append(PastTrial(params, "complete", (float(params["layers"]), params_of(params))))
    with pytest.raises(SpaceExhausted, match="the space has 6 parameter sets and all were tried"):
        ask(history, kind, space=SMALL, objectives=FREE)


@pytest.mark.parametrize("kind", MODELS)
def test_what_was_tried_without_a_lesson_is_not_proposed_again(kind: str) -> None:
    """A trial that crashed teaches nothing, so the model would want it again; the second answer is repeatable."""
    history = random_history(18)
    first = ask(history, kind).params
    second = ask(history, kind, tried=[first])
    assert second.params != first
    assert second == ask(history, kind, tried=[first])


@pytest.mark.parametrize("kind", [*MODELS, "grid"])
def test_sets_of_one_effect_are_tried_once(kind: str) -> None:
    """Without soft loss every temperature makes the same training: of six sets, four are worth a trial."""
    space = parse_search({"alpha": {"choices": [0.0, 0.5]}, "temperature": {"choices": [1.0, 2.0, 4.0]}})

    def effect(params: Mapping[str, Any]) -> tuple[float, float]:
        return params["alpha"], params["temperature"] if params["alpha"] else 0.0

    history: list[PastTrial] = []
    for n in range(4):
        params = ask(history, kind, space=space, startup_trials=2, effect=effect).params
        history.append(PastTrial(params, "complete", (float(n), 1e7)))
    with pytest.raises(SpaceExhausted):
        ask(history, kind, space=space, startup_trials=2, effect=effect)
    assert sorted([(0.0, 0.0), (0.5, 1.0), (0.5, 2.0), (0.5, 4.0)]) == sorted(effect(one.params) for one in history)


def test_few_questions_compute_few_keys() -> None:
    """And have the answers of a comparison with every key: values may be rounded, out of range, idle or missing."""
    raw = {
        "alpha": {"choices": [0.0, 0.5, 1.0]},
        "temperature": {"low": 1.0, "high": 4.0},
        "learning_rate": {"low": 1e-4, "high": 1e-3, "log": True},
        "weight_decay": {"low": 0.0, "high": 0.1, "step": 0.05},
        "head_choice": {"choices": ["random", "importance"]},
        "head_seed": {"low": 1, "high": 2, "when": {"head_choice": ["random"]}},
    }
    space, dice, computed = parse_search(raw), random.Random(2), []

    def effective(params: Mapping[str, Any]) -> set[str]:
        idle = {"temperature"} if not params.get("alpha") else set()
        return {p.key for p in space if p.key in params} - idle

    def effect(params: Mapping[str, Any]) -> tuple[Any, ...]:
        computed.append(params)
        return tuple((name, value) for name, value in params.items() if name in effective(params))

    def drawn() -> dict[str, Any]:
        near = dice.choice([0.0, 1e-9, 4e-5, 6e-4])
        every = {
            "alpha": dice.choice([0.0, 0.5, 1.0]),
            "temperature": dice.choice([0.5, 1.0, 2.0, 5.0]) + near,
            "learning_rate": dice.choice([1e-5, 1e-4, 1.2345e-4]) * (1 + near),
            "weight_decay": dice.choice([0.0, 0.05]) + near,
            "head_choice": dice.choice(["random", "importance"]),
            "head_seed": dice.choice([1, 2]),
        }
        return {name: value for name, value in every.items() if name == "alpha" or dice.random() < 0.95}

    past = [drawn() for _ in range(2_000)]
    search = _Search(space, space, FREE, Fixed(), None, "tpe", 1, effect, effective)
    every = {search.key(one) for one in past}
    computed.clear()
    asked = [drawn() for _ in range(30)]
    assert [search.key(one) in every for one in asked] == [
        Seen(past, search.key, search.like, Memory()).holds(one) for one in asked
    ]
    assert len(computed) < 30 * len(past) / 4


def test_a_grid_is_weighed_as_far_as_the_first_new_set() -> None:
    """The effect of a set is costly, and a grid may have a hundred thousand of them."""
    weighed: list[Mapping[str, Any]] = []

    def effect(params: Mapping[str, Any]) -> int:
        weighed.append(params)
        return len(weighed)

    ask([], "grid", space=SMALL, objectives=FREE, effect=effect)
    assert 1 == len(weighed)


def test_an_empty_space_has_one_set() -> None:
    """Without searched parameters the fixed settings are tried once."""
    assert {} == ask([], "auto", space=(), objectives=FREE).params
    with pytest.raises(SpaceExhausted):
        ask([PastTrial({}, "running")], "auto", space=(), objectives=FREE)


def test_students_that_cannot_be_built_are_counted_with_a_reason() -> None:
    """Else a study that lacks something ends as if everything had been tried."""

    def known(params: Mapping[str, Any]) -> dict[str, float]:
        if params["layers"] > 1:
            raise ConfigError(f"{params['layers']} layers are too many")
        return {"params": 1.0}

    space = (Parameter("layers", "choice", choices=(1, 2, 3)),)
    tried = [PastTrial({"layers": 1}, "complete", (50.0, 1.0))]
    with pytest.raises(SpaceExhausted, match=r"3 parameter sets and 2 cannot be built, the first because [23] layers"):
        ask(tried, "grid", space=space, objectives=FREE, known=known)


@pytest.mark.parametrize("kind", [*MODELS, "auto"])
def test_thresholds_on_known_sizes_cost_nothing(kind: str) -> None:
    """No student beyond the limit is proposed, although most of the space lies beyond it."""
    limit = 35_000_000.0
    objectives = (OBJECTIVES[0], Objective("params", "minimize", limit))
    history: list[PastTrial] = []
    for _ in range(13):
        found = ask(history, kind, objectives=objectives, known=lambda params: {"params": params_of(params)})
        assert params_of(found.params) <= limit
        history.append(complete(found.params))


def test_impossible_thresholds_end_the_search() -> None:
    """When no student can be small enough the search says so instead of looping."""
    objectives = (OBJECTIVES[0], Objective("params", "minimize", 1.0))
    known = {"known": lambda params: {"params": params_of(params)}}
    with pytest.raises(SpaceExhausted, match="found nothing new within the thresholds"):
        ask([], "tpe", objectives=objectives, **known)
    with pytest.raises(SpaceExhausted, match="6 parameter sets and the thresholds exclude the other 6"):
        ask([], "tpe", objectives=objectives, space=SMALL, **known)


def test_students_that_cannot_be_built_are_not_proposed() -> None:
    """A ConfigError for a parameter set excludes that set alone."""

    def known(params: dict[str, Any]) -> dict[str, float]:
        if params["layers"] > 1:
            raise ConfigError("too many layers")
        return {}

    for index in range(5):
        assert 1 == ask(random_history(12), index=index, known=known).params["layers"]


@pytest.mark.parametrize(("kind", "asked"), [("tpe", 30), ("gp", 2)])
def test_infeasible_trials_steer_the_sampler_away(kind: str, asked: int) -> None:
    """Large students score best; when they run out of memory, far fewer of them are proposed."""
    scores = (Objective("exact", "maximize"), Objective("f1", "maximize"))
    past = [trial.params for trial in random_history(40)]
    history = [PastTrial(params, "complete", (exact_of(params), exact_of(params) + 3)) for params in past]
    told = [PastTrial(t.params, "infeasible") if int(t.params["layers"]) >= 4 else t for t in history]

    def large(trials: Sequence[PastTrial]) -> int:
        proposals = [ask(trials, kind, objectives=scores, index=index).params for index in range(asked)]
        return sum(int(params["layers"]) >= 4 for params in proposals)

    assert large(told) < 0.5 * large(history)


def test_foreign_trials_do_no_harm() -> None:
    """Values outside of the present space, unknown parameters and missing ones neither fail nor fill the study."""
    foreign = [
        {"layers": 40, "heads": 1, "learning_rate": 1e-5, "alpha": 0.5, "batch_size": 8, "head_choice": "random"},
        {"layers": 4, "heads": 1, "learning_rate": 1e-5, "alpha": 0.5, "batch_size": 64, "head_choice": "random"},
        {"layers": 4, "heads": 1, "learning_rate": 1e-5, "alpha": 0.5, "batch_size": 8, "head_choice": "gone"},
        {"layers": 4, "dropout": 0.3},
        {},
    ]
    history = random_history(14)
    for kind in ("tpe", "gp", "nsga2"):
        strange = [PastTrial(params, "complete", (60.0, 4e7)) for params in foreign]
        assert [] == check(SPACE, ask([*history, *strange], kind).params)


def test_values_that_are_missing_or_not_finite() -> None:
    """A complete trial without a score, or with nan, does not stop the search."""
    params = ask([]).params
    for value in (None, float("nan"), float("inf")):
        history = [*random_history(12), PastTrial(params, "complete", (value, 1e7))]
        for kind in ("tpe", "gp", "nsga2") if value is None else ("tpe", "nsga2"):
            assert [] == check(SPACE, ask(history, kind).params)


@pytest.mark.parametrize("kind", ["tpe", "gp", "nsga2", "random", "grid"])
def test_conditions_are_kept(kind: str) -> None:
    """Only active parameters are proposed, along a chain of conditions."""
    space = CONDITIONAL if kind != "grid" else CONDITIONAL[:3]
    history: list[PastTrial] = []
    for _ in range(6 if kind == "gp" else 14):
        params = ask(history, kind, space=space, objectives=FREE, startup_trials=4).params
        assert ("head_seed" in params) == (params["head_choice"] == "random")
        if kind != "grid":
            fixed = Settings().head_seed
            assert ("alpha" in params) == (params.get("head_seed", fixed) in (1, 2))
        history.append(PastTrial(params, "complete", (float(params["layers"]), params_of(params))))


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> Space:
    """Two families with keys of their own, one plain key for both and one for the transformer alone."""
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())
    space = parse_search(
        {
            "family": {"choices": ["transformer", "paper"]},
            "layers": {"low": 1, "high": 6},
            "alpha": {"low": 0, "high": 1},
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "paper": {
                "learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
                "hidden_size": {"choices": [8, 16, 32]},
            },
        }
    )
    return with_families(space, ("transformer", "paper"), frozenset())


OWN = {"transformer": {"layers", "learning_rate"}, "paper": {"paper.learning_rate", "paper.hidden_size"}}


def score_of(params: Mapping[str, Any]) -> tuple[float, float]:
    """A small paper student that is almost as good as a transformer, best at its own learning rate."""
    if params["family"] == "paper":
        slip = (math.log10(params["paper.learning_rate"]) + 2) ** 2
        return 70 - slip - 40 / params["paper.hidden_size"], 1000.0 * params["paper.hidden_size"]
    return 74 - 10 / params["layers"] - (math.log10(params["learning_rate"]) + 4) ** 2, 1e6 * params["layers"]


@pytest.mark.parametrize("kind", MODELS)
def test_no_sampler_sees_a_key_of_another_family(kind: str, mixed: Space) -> None:
    """Both families are proposed, each with its own keys, also when ranges of one are narrowed."""
    within = present(mixed, (narrow(mixed[-1], [16]), narrow(mixed[1], {"low": 2, "high": 3})))
    history: list[PastTrial] = []
    for _ in range(16):
        params = ask(history, kind, space=mixed, within=within, objectives=FREE, startup_trials=4).params
        assert {"family", "alpha"} | OWN[str(params["family"])] == params.keys()
        assert inside(within, params)
        history.append(PastTrial(params, "complete", score_of(params)))
    assert OWN.keys() == {one.params["family"] for one in history}


def test_what_is_learned_about_one_family_stays_with_it(mixed: Space) -> None:
    """The best learning rates of both are four orders apart, and each is found."""
    history: list[PastTrial] = []
    for index in range(60):
        params = ask(history, "tpe", space=mixed, objectives=FREE, seed=index).params
        history.append(PastTrial(params, "complete", score_of(params)))

    def typical(name: str) -> float:
        found = [math.log10(float(one.params[name])) for one in history[30:] if name in one.params]
        return sum(found) / len(found)

    assert abs(typical("learning_rate") + 4) < 0.5
    assert abs(typical("paper.learning_rate") + 2) < 0.5


def test_a_mixed_space_is_exhausted(mixed: Space) -> None:
    """Every set is tried once, whatever the family, and then there are no more."""
    space = tuple(one for one in mixed if one.name in ("family", "layers", "paper.hidden_size"))
    history: list[PastTrial] = []
    for _ in range(6 + 3):
        params = ask(history, "grid", space=space, objectives=FREE).params
        history.append(PastTrial(params, "complete", (1.0, 1.0)))
    with pytest.raises(SpaceExhausted, match="the space has 9 parameter sets and all were tried"):
        ask(history, "tpe", space=space, objectives=FREE)


def test_auto() -> None:
    """gp, also for conditions; tpe in very long studies and for many objectives."""
    done = [PastTrial({}, "complete", (1.0, 1.0))] * GP_TRIALS
    assert ["gp", "gp"] == [choose_kind("auto", done[:n], FREE) for n in (0, GP_TRIALS)]
    assert "gp" == choose_kind("auto", [*done, PastTrial({}, "running")], FREE)
    assert "tpe" == choose_kind("auto", [*done, done[0]], FREE)
    assert "tpe" == choose_kind("auto", [], FREE * 2)
    assert "nsga2" == choose_kind("nsga2", done, FREE)
    with pytest.raises(ConfigError, match="sampler 'best' is unknown; use auto, tpe"):
        choose_kind("best", [], FREE)


def test_the_record_names_what_found_a_proposal() -> None:
    """Samplers start at random and say so."""
    assert "random" == ask([], "tpe").sampler
    assert "tpe" == ask(random_history(14), "tpe").sampler
    assert "gp" == ask(random_history(14), "auto").sampler


def test_seeds() -> None:
    """The seed differs with the study, the history's length and the index, and fits 32 bits."""
    seeds = {derive_seed(study, n, index) for study in range(5) for n in range(20) for index in range(5)}
    assert 500 == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert derive_seed(1, 24, 0) == ask(random_history(24)).seed


def test_grid_refuses_what_has_no_end() -> None:
    """A continuous range has no grid."""
    with pytest.raises(ConfigError, match="grid needs choices or a step"):
        ask([], "grid")


def test_rounding_stays_inside() -> None:
    """Rounded values keep to the ends and to the step."""
    assert 3.142e-05 == rounded(Parameter("learning_rate", "float", 1e-5, 1e-3, True), 3.14159265e-05)
    assert 0.2718 == rounded(Parameter("alpha", "float", 0.0, 1.0), 0.271828)
    assert 0.123456 == rounded(Parameter("alpha", "float", 0.123456, 0.2), 0.1234)
    assert 0.3 == rounded(Parameter("dropout", "float", 0.1, 0.4, step=0.1), 0.1 + 0.2)
    assert 7 == rounded(Parameter("layers", "int", 1, 12), 7)


def volume(history: Sequence[PastTrial]) -> float:
    points = [(-(t.values[0] or 0.0), math.log10(t.values[1] or 1.0)) for t in history if t.state == "complete"]
    return hypervolume(points, (-50.0, math.log10(7e7)))


def run_study(kind: str, trials: int, seed: int) -> list[PastTrial]:
    history: list[PastTrial] = []
    for _ in range(trials):
        history.append(complete(ask(history, kind, objectives=FREE, seed=seed).params))
    return history


def test_models_beat_chance() -> None:
    """On a made problem TPE covers more than random search with the same number of trials, on average."""
    seeds = range(4)
    chance = sum(volume(run_study("random", 40, seed)) for seed in seeds)
    assert sum(volume(run_study("tpe", 40, seed)) for seed in seeds) > chance


def test_nsga2_evolves() -> None:
    """Rebuilding the study keeps the generations: after two of them, children resemble the elite."""
    history = run_study("random", 2 * POPULATION, 3)
    values = [(-(t.values[0] or 0.0), t.values[1] or 0.0) for t in history]
    elite = [t.params for t, best in zip(history, non_dominated(values), strict=True) if best]
    children = [ask(history, "nsga2", objectives=FREE, index=index).params for index in range(20)]
    inherited = [
        any(child["learning_rate"] == trial.params["learning_rate"] for trial in history) for child in children
    ]
    assert elite
    assert sum(inherited) >= 10
    fresh = [ask([], "nsga2", objectives=FREE, index=index).params for index in range(20)]
    assert not any(child["learning_rate"] == t.params["learning_rate"] for child in fresh for t in history)


def test_space_size_is_known() -> None:
    """The spaces above are of the kinds that the tests claim."""
    assert (None, 6, None) == (count(SPACE), count(SMALL), count(CONDITIONAL))


@pytest.mark.parametrize("kind", ["tpe", "gp", "nsga2"])
def test_a_constraint_steers_without_being_an_aim(kind: str) -> None:
    """A third metric with a limit: later proposals avoid the half of the space that breaks it."""
    space = parse_search({"learning_rate": {"low": 0.0001, "high": 0.01}, "alpha": {"low": 0.0, "high": 1.0}})
    objectives = (
        Objective("exact", "maximize"),
        Objective("params", "minimize"),
        Objective("latency_ms", "minimize", 5.0, constraint=True),
    )
    history: list[PastTrial] = []
    for index in range(30):
        params = propose(history, space, objectives, kind=kind, seed=1, index=index, startup_trials=10).params
        alpha = float(params["alpha"])
        history.append(PastTrial(params, "complete", (50 + 10 * alpha, 1e6 * (1 + alpha), 10 * alpha)))
    late = [float(trial.params["alpha"]) for trial in history[20:]]
    assert sum(alpha <= 0.5 for alpha in late) >= (5 if kind == "nsga2" else 7)


# ------------------------------------------------------------------------------------------------------ narrowed ranges


def narrowed(space: Space = SPACE, **ranges: str) -> Space:
    """The space with ranges as a person types them."""
    return present(space, tuple(narrow(one, typed(ranges[one.name])) for one in space if one.name in ranges))


PART = narrowed(
    layers="2..4", heads="3", alpha="0.5", learning_rate="1e-5..1e-4", batch_size="8,32", head_choice="random"
)


def test_the_process_does_not_hide_in_corners() -> None:
    """With little known, an acquisition function is highest in the corners, of which a study learns next to nothing."""
    space = parse_search(
        {
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "alpha": {"low": 0.0, "high": 1.0},
            "temperature": {"low": 1.0, "high": 8.0},
            "dropout": {"low": 0.0, "high": 0.4},
        }
    )
    dice = random.Random(4)
    ends = 0
    for seed in range(6):
        history = []
        for _ in range(8):
            params: dict[str, Any] = ask([], "random", space=space, seed=dice.randrange(10**6)).params
            score = 60 - 40 * (params["alpha"] - 0.6) ** 2 - 5 * (math.log10(params["learning_rate"]) + 4) ** 2
            history.append(PastTrial(params, "complete", (score, 1e7 * (1 + params["dropout"]))))
        found = ask(history, "gp", space=space, objectives=FREE, startup_trials=5, seed=seed).params
        ends += sum(found[one.name] in (one.low, one.high) for one in space)
    assert 2 >= ends


@pytest.mark.parametrize("trials", [0, 6, 18])
@pytest.mark.parametrize("kind", MODELS)
def test_proposals_keep_to_a_narrowed_range(kind: str, trials: int) -> None:
    """Whatever the sampler and however many trials lie outside: ranges, frozen numbers, choices with a gap, words."""
    history = random_history(trials)
    for index in range(3):
        params = ask(history, kind, within=PART, index=index).params
        assert (True, []) == (inside(PART, params), check(SPACE, params)), params
        history.append(complete(params))


@pytest.mark.parametrize("kind", MODELS)
def test_a_narrowed_proposal_is_repeatable(kind: str) -> None:
    """The same history, space and part give the same one; none was in the history."""
    history = random_history(18)
    first = ask(history, kind, within=PART)
    assert first == ask(history, kind, within=PART)
    assert first.params not in [trial.params for trial in history]


@pytest.mark.parametrize("kind", ["tpe", "gp"])
def test_trials_outside_of_a_narrowed_range_still_teach(kind: str) -> None:
    """All that is known lies outside, and yet the proposals find the good learning rate that it shows."""
    dice = random.Random(5)
    history = []
    for _ in range(30):
        rate = float(f"{10 ** dice.uniform(-6, -3):.4g}")
        fixed = {"layers": dice.randint(1, 5), "heads": 12, "alpha": 0.8, "batch_size": 16, "head_choice": "random"}
        history.append(complete({**fixed, "learning_rate": rate}))
    within = narrowed(layers="6", heads="10..11", alpha="0.7..0.75", batch_size="8", head_choice="importance")
    found = []
    for index in range(6):
        params = ask(history, kind, within=within, objectives=FREE, index=index).params
        history.append(complete(params))
        found.append(abs(math.log10(params["learning_rate"]) + 4.3))
    assert sorted(found)[2] < 0.35  # at random half of them would be 0.75 or more away


def test_a_narrowed_space_is_exhausted_alone() -> None:
    """The hint names the narrowing, since the study file's space has more."""
    within = narrowed(SMALL, layers="1..2", batch_size="8")
    history = [PastTrial({"layers": layers, "batch_size": 8}, "running") for layers in (1, 2)]
    with pytest.raises(SpaceExhausted) as caught:
        ask(history, "grid", space=SMALL, within=within)
    assert "widen a range again" == caught.value.hint
    assert {"layers": 3, "batch_size": 8} != ask(history, "grid", space=SMALL).params


def test_conditions_hold_in_a_narrowed_space() -> None:
    """A frozen parent leaves its dependents in or out; one that looks at an idle parameter sees the fixed setting."""
    cases = (("importance", {"layers", "head_choice", "alpha"}), ("random", {"layers", "head_choice", "head_seed"}))
    for value, names in cases:
        within = narrowed(CONDITIONAL, head_choice=value, head_seed="3..5")
        assert names == set(ask([], "tpe", space=CONDITIONAL, within=within).params)


@pytest.mark.parametrize("kind", MODELS)
def test_a_range_of_one_rounding_step(kind: str) -> None:
    """A very narrow range still yields different values inside it."""
    within = narrowed(learning_rate="5e-5..5.001e-5")
    history = random_history(14)
    for index in range(2):
        params = ask(history, kind, within=within, index=index).params
        assert inside(within, params)
        history.append(complete(params))


@pytest.mark.parametrize("kind", ["tpe", "gp", "nsga2"])
def test_a_memory_changes_no_answer(kind: str) -> None:
    """What an earlier proposal worked out is kept, also when trials end and the scale moves."""
    memory, history = Memory(), random_history(15)
    for upto in (14, 15):
        told = history[:upto]
        assert ask(told, kind) == ask(told, kind, memory=memory)
    ended = [*history[:-1], PastTrial(history[-1].params, "complete", (99.0, 1e6))]
    assert ask(ended, kind) == ask(ended, kind, memory=memory)


@pytest.mark.parametrize("kind", ["tpe", "nsga2"])
def test_remembered_conditions_change_no_proposal(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which parameters are active is worked out once for sets alike: as for each set anew, with families and `when`."""
    searched = parse_search(
        {
            "family": {"choices": ["transformer", "mlp"]},
            "heads": {"low": 4, "high": 12},
            "head_choice": {"choices": ["random", "importance"]},
            "head_seed": {"choices": [1, 2, 3], "when": {"head_choice": ["random"]}},
            "mlp": {"hidden_size": {"low": 8, "high": 64}},
            "alpha": {"low": 0.0, "high": 1.0},
        }
    )

    def proposals() -> list[PastTrial]:
        history: list[PastTrial] = []
        for n in range(30):
            params = propose(history, searched, FREE, kind=kind, seed=5).params
            history.append(PastTrial(params, "complete", (float(n * 7 % 10), float(n * 3 % 11))))
        return history

    remembered = proposals()
    monkeypatch.setattr(_Search, "active", lambda self, params: active(self.space, params, self.fixed))
    assert remembered == proposals()
