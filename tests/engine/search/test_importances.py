"""Shares of parameters, on trials whose objective is a known function of them."""

from __future__ import annotations

import dataclasses
import math
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.fakes import study_dict
from tests.paper_family import PaperFamily
from tests.spaces import parse_search

from bertdistill.engine.contract.errors import WorkerFailed
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.search.importances import (
    METHODS,
    Importances,
    Method,
    ask_importances,
    importances,
    logged_importances,
    main,
    read_importances,
    study_importances,
)
from bertdistill.engine.search.past import PastTrial
from bertdistill.engine.study.config import dump, study_from_dict
from bertdistill.engine.study.search_section import with_families
from bertdistill.engine.study.space import Value
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import Trial, TrialState

SPACE = parse_search(
    {
        "layers": {"low": 1, "high": 6},
        "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
        "layer_choice": {"choices": ["first", "even"]},
    }
)
CONDITIONAL = parse_search(
    {
        "layers": {"low": 1, "high": 6},
        "head_choice": {"choices": ["importance", "random"]},
        "heads": {"low": 1, "high": 12, "when": {"head_choice": ["random"]}},
    }
)
EXACT = Objective("exact", "maximize")
PARAMS = Objective("params", "minimize")


def at_random(count: int, seed: int = 0) -> list[dict[str, Value]]:
    """Parameter sets of SPACE, drawn independently."""
    dice = random.Random(seed)
    return [
        {
            "layers": dice.randint(1, 6),
            "learning_rate": 10 ** dice.uniform(-5, -3),
            "layer_choice": dice.choice(["first", "even"]),
        }
        for _ in range(count)
    ]


def told(params: list[dict[str, Value]], noise: float = 0.0) -> list[PastTrial]:
    """Trials whose score follows from the layers, and a little from chance."""
    dice = random.Random(1)
    return [PastTrial(p, "complete", (10.0 * float(p["layers"]) + dice.gauss(0, noise),)) for p in params]


@pytest.mark.parametrize("method", METHODS)
def test_the_parameter_that_decides_has_the_largest_share(method: Method) -> None:
    """Shares add up to one; the number of trials is said and nothing is wrong with it."""
    found = importances(told(at_random(60), noise=1.0), SPACE, EXACT, method=method)
    assert ("layers", 60, "") == (found.weights[0].parameter, found.trials, found.problem)
    assert found.weights[0].share > 0.8
    assert pytest.approx(1.0) == sum(weight.share for weight in found.weights)
    assert {(60, False)} == {(weight.trials, weight.conditional) for weight in found.weights}


@pytest.mark.parametrize("method", METHODS)
def test_the_same_trials_give_the_same_shares(method: Method) -> None:
    """The forest has a fixed seed."""
    trials = told(at_random(20), noise=5.0)
    first, second = (importances(trials, SPACE, EXACT, method=method) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("method", METHODS)
def test_a_conditional_parameter_is_weighed_where_it_is_active(method: Method) -> None:
    """It decides among its own trials and gets a share of its own there; the number of them stands beside it."""
    dice = random.Random(2)
    trials = []
    for i in range(60):
        params: dict[str, Value] = {"layers": dice.randint(1, 6), "head_choice": ["importance", "random"][i % 2]}
        if i % 2:
            params["heads"] = dice.randint(1, 12)
        trials.append(PastTrial(params, "complete", (float(params.get("heads", 6)),)))
    found = importances(trials, CONDITIONAL, EXACT, method=method)
    heads = next(weight for weight in found.weights if weight.parameter == "heads")
    assert (30, True) == (heads.trials, heads.conditional)
    assert "heads" == found.weights[0].parameter
    always = sum(weight.share for weight in found.weights if not weight.conditional)
    assert pytest.approx(1.0) == always + (heads.share if method == "ped-anova" else 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_keys_of_two_families_are_weighed_apart(monkeypatch: pytest.MonkeyPatch, method: Method) -> None:
    """The width of one family decides among its trials; the layers of the other change nothing."""
    monkeypatch.setitem(FAMILIES, "paper", PaperFamily())
    raw = {"choices": ["transformer", "paper"]}, {"low": 1, "high": 6}, {"hidden_size": {"low": 1, "high": 64}}
    space = parse_search(dict(zip(("family", "layers", "paper"), raw, strict=True)))
    space = with_families(space, ("transformer", "paper"), frozenset())
    dice = random.Random(4)
    trials = []
    for i in range(60):
        own: dict[str, Value] = {"paper.hidden_size": dice.randint(1, 64)} if i % 2 else {"layers": dice.randint(1, 6)}
        score = float(own.get("paper.hidden_size", 32)) + dice.gauss(0, 1)
        trials.append(PastTrial({"family": "paper" if i % 2 else "transformer", **own}, "complete", (score,)))
    found = importances(trials, space, EXACT, method=method)
    weights = {one.parameter: one for one in found.weights}
    assert {"family", "layers", "paper.hidden_size"} == weights.keys()
    assert [(30, True), (30, True)] == [
        (weights[n].trials, weights[n].conditional) for n in ("layers", "paper.hidden_size")
    ]
    if method == "ped-anova":  # the other compares a conditional one only with those that are always active
        assert weights["paper.hidden_size"].share > weights["layers"].share


def test_few_trials_are_a_caution_and_fewer_are_none() -> None:
    """In a sentence with the numbers."""
    few = importances(told(at_random(6)), SPACE, EXACT)
    assert (3, "6 trials for 3 parameters: with fewer than 15, the order may be due to chance") == (
        len(few.weights),
        few.problem,
    )
    none = importances(told(at_random(1)), SPACE, EXACT)
    assert ((), 1) == (none.weights, none.trials)
    assert "importance needs 5 complete feasible trials, there is 1" == none.problem


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [0, 1, 4])
def test_no_share_rests_on_nothing(method: Method, count: int) -> None:
    """Too few trials have no shares at all, a parameter that is active in too few of many has none: both say so."""
    found = importances(told(at_random(count)), SPACE, EXACT, method=method)
    assert () == found.weights
    assert f"needs 5 complete feasible trials, there {'is' if count == 1 else 'are'} {count}" in found.problem
    trials = []
    for i, params in enumerate(at_random(20)):
        chosen: dict[str, Value] = {"layers": params["layers"], "head_choice": "importance"}
        if i < count:
            chosen |= {"head_choice": "random", "heads": 1 + i}
        trials.append(PastTrial(chosen, "complete", (float(i % 7),)))
    rare = importances(trials, CONDITIONAL, EXACT, method=method)
    assert "heads" not in {weight.parameter for weight in rare.weights}
    assert rare.weights
    assert f"not weighed: heads ({count} trial{'' if count == 1 else 's'})" in rare.problem


def test_equal_values_weigh_nothing() -> None:
    """No parameter can have mattered."""
    trials = [PastTrial(params, "complete", (7.0,)) for params in at_random(9)]
    found = importances(trials, SPACE, EXACT)
    assert ((), "all 9 trials have the same exact, so no parameter matters") == (found.weights, found.problem)


def test_a_formula_decides_which_parameters_can_matter() -> None:
    """A sampler that always raised the learning rate with the layers does not lay the size to the learning rate."""

    def size(params: Mapping[str, Value]) -> float:
        return 1e6 * float(params["layers"])

    sets: list[dict[str, Value]] = [
        {"layers": n, "learning_rate": 1e-5 * n, "layer_choice": "first"} for n in (1, 2, 3, 4, 5, 6)
    ]
    trials = [PastTrial(params, "complete", (size(params),)) for params in sets]
    found = importances(trials, SPACE, PARAMS, formula=size)
    assert [("layers", 1.0)] == [(weight.parameter, weight.share) for weight in found.weights]
    assert ("learning_rate", "layer_choice") == found.without_effect


def test_where_training_decides_the_metric_every_parameter_can_matter() -> None:
    """The formula does not know how many zeros a norm makes, only those of students that are pruned to a number."""

    def nonzero(params: Mapping[str, Value]) -> float:
        return math.nan if params["layer_choice"] == "even" else 1e6 * float(params["layers"])

    sets: list[dict[str, Value]] = [
        {"layers": n, "learning_rate": 1e-5 * n, "layer_choice": choice}
        for n in (1, 2, 3)
        for choice in ("first", "even")
    ]
    trials = [PastTrial(params, "complete", (1e6 * n,)) for n, params in enumerate(sets, 1)]
    assert () == importances(trials, SPACE, PARAMS, formula=nonzero).without_effect


def test_trials_outside_of_the_space_are_left_out() -> None:
    """A baseline of 12 layers in a search over 1 to 6."""
    outside: dict[str, Value] = {"layers": 12, "learning_rate": 1e-4, "layer_choice": "first"}
    assert 10 == importances(told([*at_random(10), outside]), SPACE, EXACT).trials


# ---------------------------------------------------------------------------------------------------- a study's trials


@pytest.fixture
def spec(tmp_path: Path) -> StudySpec:
    """A classification study with a threshold."""
    objectives = [
        {"metric": "accuracy", "direction": "maximize", "threshold": 50.0},
        {"metric": "params", "direction": "minimize"},
    ]
    return study_from_dict(study_dict(tmp_path, objectives=objectives), where="test")


def rows(spec: StudySpec, count: int) -> list[Trial]:
    """Complete trials; every fifth misses the threshold."""
    dice = random.Random(3)
    made = []
    for number in range(count):
        params = {"layers": dice.randint(1, 4), "learning_rate": 10 ** dice.uniform(-5, -3)}
        accuracy = 20.0 if number % 5 == 0 else 60.0 + 8 * params["layers"]
        made.append(
            Trial(
                study_id=1,
                number=number,
                state=TrialState.COMPLETE,
                params=params,
                settings=dataclasses.asdict(dataclasses.replace(spec.settings, **params)),
                known={"params": 1000 * params["layers"]},
                metrics={"accuracy": accuracy},
                created_at=0.0,
            )
        )
    return made


def test_only_complete_feasible_trials_with_the_fixed_settings_count(spec: StudySpec) -> None:
    """Those under the threshold are counted beside; failed ones are not; a rerun with another seed is a repeat."""
    trials = rows(spec, 20)
    trials[1] = dataclasses.replace(trials[1], state=TrialState.FAILED)
    trials[2] = dataclasses.replace(trials[2], settings=trials[2].settings | {"seed": 7})
    for found in study_importances(trials, spec, Prepared(), "ped-anova"):
        assert (15, 4) == (found.trials, found.missed)


def test_every_objective_is_asked(spec: StudySpec) -> None:
    """In the order of the study file; without a preparation no formula is known."""
    found = study_importances(rows(spec, 20), spec, Prepared(), "fanova")
    assert ["accuracy", "params"] == [one.objective for one in found]
    assert {("layers",)} == {tuple(weight.parameter for weight in one.weights[:1]) for one in found}


def make_workspace(folder: Path, spec: StudySpec) -> Workspace:
    """The same trials in a database."""
    workspace = Workspace(folder / "ws")
    db = open_db(workspace.path)
    with db.write() as session:
        study = writes.create_study(session, name=spec.name, task=spec.task, spec=dump(spec), now=0.0)
        for row in rows(spec, 20):
            made = writes.create_trial(
                session,
                study_id=study.id,
                origin="sampler",
                params=row.params,
                settings=row.settings,
                known=row.known,
                now=0.0,
            )
            writes.set_trial_state(session, made.id, TrialState.RUNNING, now=1.0)
            writes.set_trial_metrics(session, made.id, row.metrics, progress=1.0)
            writes.set_trial_state(session, made.id, TrialState.COMPLETE, now=2.0)
    db.close()
    return workspace


def test_a_child_process_answers_the_same(tmp_path: Path, spec: StudySpec) -> None:
    """Word for word, for a caller that must not load optuna."""
    workspace = make_workspace(tmp_path, spec)
    here = read_importances(workspace, spec.name, "ped-anova")
    assert here == ask_importances(workspace, spec.name, "ped-anova")
    assert here == [Importances.from_dict(dataclasses.asdict(one)) for one in here]


def test_a_child_process_that_fails_says_why(tmp_path: Path, spec: StudySpec) -> None:
    """The last line of what it said."""
    workspace = make_workspace(tmp_path, spec)
    with pytest.raises(WorkerFailed, match="study 'tyo' does not exist"):
        ask_importances(workspace, "tyo")


def test_main_needs_three_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Misuse is exit status 2."""
    assert [2, 2] == [main([]), main(["folder", "study", "guesswork"])]
    assert "usage:" in capsys.readouterr().err


def test_asking_does_not_load_optuna() -> None:
    """The terminal app imports this module."""
    program = "import sys, bertdistill.engine.search.importances; sys.exit('optuna' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-P", "-c", program], check=False).returncode


def test_parameters_of_logged_runs_are_weighed_whatever_they_are_called(spec: StudySpec) -> None:
    """Neither `lr` nor `mlp.depth` is a setting of ours: the program that logged the runs chose both names."""
    made = rows(spec, 12)
    params = [{"lr": one.metrics["accuracy"] / 1000, "mlp.depth": one.number % 3} for one in made]
    logged = [dataclasses.replace(one, params=p, settings={}) for one, p in zip(made, params, strict=True)]
    [found] = logged_importances(logged, [Objective("accuracy", "maximize")], "ped-anova")
    assert {"lr": 12, "mlp.depth": 12} == {weight.parameter: weight.trials for weight in found.weights}
