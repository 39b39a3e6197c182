"""How much each searched parameter matters for each objective, by optuna's PED-ANOVA or fANOVA.

It writes nothing and caches nothing. It loads optuna only to compute; a process that must not load it, such as
the terminal app, runs a child: `python -P -m bertdistill.engine.search.importances WORKSPACE STUDY METHOD`, which
prints JSON.

PED-ANOVA (Watanabe et al. 2023; conditional parameters: arXiv 2601.20800) measures which parameters distinguish the
best trials from the rest; fANOVA (Hutter et al. 2014) measures which ones explain the value over its whole range, with
a random forest.
"""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from bertdistill.engine.contract.errors import ConfigError, WorkerFailed
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.pareto.frontier import Objective
from bertdistill.engine.study.observed import observed_space
from bertdistill.engine.study.outline import LOG, outline
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.space import Parameter, Space, Value, active, points
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.tasks.table import METRICS
from bertdistill.store import reads
from bertdistill.store.db import open_db
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import Trial, TrialState

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy

    from bertdistill.engine.search.past import PastTrial

Method = Literal["ped-anova", "fanova"]
METHODS: tuple[Method, ...] = get_args(Method)

FEWEST_TRIALS = 5
"""With fewer trials no importances are computed, nor for a parameter that is active in fewer."""
TRIALS_A_PARAMETER = 5
"""Below this many trials per parameter, a warning says that the order may be due to chance (SigOpt shows none)."""
TOP_SHARE = 0.1
TOP_TRIALS = 5
"""PED-ANOVA uses the best tenth of the trials, but at least this many, and at most half."""
FOREST_SEED = 0
TREES = (16, 64)
TREE_TRIALS = 16_000
"""fANOVA's forest has at most 64 trees, fewer if trees times trials exceed this: 64 took 50 s for 1,000 trials."""
PROBES = 8
"""Number of trials and values used to test whether a formula depends on a parameter."""


@dataclass(frozen=True)
class Weight:
    """The importance of one parameter."""

    parameter: str
    share: float
    """0 to 1. With PED-ANOVA all shares add up to 1; with fANOVA those of the parameters that are always active."""
    trials: int
    """Trials in which it is active."""
    conditional: bool
    """Not active in every trial. With fANOVA its share is that among the trials in which it is active."""


@dataclass(frozen=True)
class Importances:
    """Parameter importances for one objective, largest share first."""

    objective: str
    method: Method
    trials: int
    """Number of trials used: complete, feasible and within the space of the study file."""
    weights: tuple[Weight, ...]
    missed: int = 0
    """Number of complete trials omitted because they miss a threshold."""
    without_effect: tuple[str, ...] = ()
    """Parameters that the objective's formula does not depend on, if it is known before training."""
    problem: str = ""
    """Why there are no weights, or a warning that they are based on too few trials."""

    @staticmethod
    def from_dict(raw: Mapping[str, Any]) -> Importances:
        """Inverse of `dataclasses.asdict`."""
        weights = tuple(Weight(**weight) for weight in raw["weights"])
        return Importances(**{**raw, "weights": weights, "without_effect": tuple(raw["without_effect"])})


# --------------------------------------------------------------------------------------------------- asking for a study


def ask_importances(workspace: Workspace, study: str, method: Method = "ped-anova") -> list[Importances]:
    """`read_importances` in a child process, for callers that must not load optuna; takes a few seconds.

    Raises WorkerFailed with the last line of its stderr.
    """
    command = [sys.executable, "-P", "-m", "bertdistill.engine.search.importances", str(workspace.path), study, method]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise WorkerFailed(lines[-1] if lines else f"the importance of {study}'s parameters could not be computed")
    return [Importances.from_dict(raw) for raw in json.loads(done.stdout)]


def read_importances(workspace: Workspace, study: str, method: Method = "ped-anova") -> list[Importances]:
    """The importance of every searched parameter for every objective of a study, in the order of the objectives."""
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            found = reads.study(session, study)
            trials = reads.trials(session, found.id)
    finally:
        db.close()
    if found.kind == LOG:
        return logged_importances(trials, outline(found).objectives, method)
    return study_importances(trials, outline(found).whole, Prepared.from_dict(found.prepared), method)


def logged_importances(trials: Sequence[Trial], objectives: Sequence[Objective], method: Method) -> list[Importances]:
    """The same for logged runs, over the parameters that were seen."""
    from bertdistill.engine.pareto.frontier import feasible
    from bertdistill.engine.search.past import PastTrial

    names = [objective.metric for objective in objectives]
    whole = [one for one in trials if one.state == TrialState.COMPLETE]
    scored = [one for one in whole if all(isinstance(one.metrics.get(name), (int, float)) for name in names)]
    fit = [one for one in scored if feasible(one.metrics, objectives)]
    space, theirs = observed_space([one.params for one in fit]), Fixed(values={})  # no setting or family of ours
    past_trials = [
        PastTrial({name: value for name, value in one.params.items() if value is not None}, "complete", values)
        for one in fit
        if (values := tuple(float(one.metrics[name]) for name in names))
    ]
    found = [
        importances(past_trials, space, one, place, method=method, fixed=theirs) for place, one in enumerate(objectives)
    ]
    return [dataclasses.replace(one, missed=len(scored) - len(fit)) for one in found]


def study_importances(trials: Sequence[Trial], spec: StudySpec, facts: Prepared, method: Method) -> list[Importances]:
    """The same for given rows. Trials with different fixed settings are omitted, as in the optimiser."""
    from bertdistill.engine.pareto.frontier import feasible
    from bertdistill.engine.search.proposals import history

    names = [objective.metric for objective in spec.objectives]
    past_trials = [past for past in history(trials, spec) if past.state == "complete"]
    fit = [past for past in past_trials if feasible(dict(zip(names, past.values, strict=True)), spec.objectives)]
    found = []
    for place, objective in enumerate(spec.objectives):
        formula = _formula(objective.metric, spec, facts)
        one = importances(fit, spec.search, objective, place, method=method, fixed=spec.fixed, formula=formula)
        found.append(dataclasses.replace(one, missed=len(past_trials) - len(fit)))
    return found


Formula = Callable[[Mapping[str, Value]], float | None]
"""Maps a parameter set to a metric that is known before training; None if no student can be built, NaN if the training
of this one decides it."""


def _formula(metric: str, spec: StudySpec, facts: Prepared) -> Formula | None:
    """None for a metric that must be measured, or if the study has not been prepared."""
    from bertdistill.engine.study.student import plan

    if metric not in METRICS or not METRICS[metric].known_before or not facts.init_shape:
        return None

    def value(params: Mapping[str, Value]) -> float | None:
        try:
            return plan(spec, facts, params).known.get(metric, math.nan)
        except ConfigError:
            return None

    return value


# -------------------------------------------------------------------------------------------------------- one objective


def importances(
    trials: Sequence[PastTrial],
    space: Space,
    objective: Objective,
    place: int = 0,
    *,
    method: Method = "ped-anova",
    fixed: Fixed | None = None,
    formula: Formula | None = None,
) -> Importances:
    """The importance of each parameter for one objective, over complete trials; `place` is its index in their values.

    A `formula` computes the objective from the parameters: parameters that do not enter it are not weighed, since
    the sampler's preferences would give them a share.
    """
    from bertdistill.engine.search.optimiser import rebuilt
    from bertdistill.engine.search.past import PastTrial

    past_trials = [PastTrial(one.params, "complete", (one.values[place],)) for one in trials]
    alone = dataclasses.replace(objective, constraint=False, threshold=None)
    study = rebuilt(past_trials, space, [alone], fixed)
    count = len(study.trials)
    active_in = {p.name: sum(p.name in trial.params for trial in study.trials) for p in space}
    idle = () if formula is None else _without_effect(formula, trials, space, fixed or Fixed())
    moving = [name for name in active_in if name not in idle]
    weighed = [name for name in moving if active_in[name] >= FEWEST_TRIALS]
    rare = {name: active_in[name] for name in moving if active_in[name] < FEWEST_TRIALS}

    found = Importances(objective.metric, method, count, (), without_effect=idle)
    if problem := _blocking_reason(study, objective.metric, moving) or ("" if weighed else _too_rare(rare)):
        return dataclasses.replace(found, problem=problem)
    shares = _shares(study, weighed, active_in, method)
    if not any(shares.values()):
        return dataclasses.replace(
            found, problem=f"no parameter distinguishes trials with a better {objective.metric} from the others"
        )
    weights = [Weight(name, share, active_in[name], active_in[name] < count) for name, share in shares.items()]
    problem = "; ".join(part for part in (_caution(count, len(weighed)), _too_rare(rare)) if part)
    return dataclasses.replace(found, weights=tuple(sorted(weights, key=lambda weight: -weight.share)), problem=problem)


def too_few(count: int) -> str:
    """What is missing if only `count` complete trials reach every threshold; empty if they suffice."""
    if count >= FEWEST_TRIALS:
        return ""
    return f"importance needs {FEWEST_TRIALS} complete feasible trials, there {'is' if count == 1 else 'are'} {count}"


def _blocking_reason(study: OptunaStudy, metric: str, moving: Sequence[str]) -> str:
    """Why weights cannot be computed, else empty."""
    count = len(study.trials)
    if problem := too_few(count):
        return problem
    if len({trial.value for trial in study.trials}) < 2:
        return f"all {count} trials have the same {metric}, so no parameter matters"
    return "" if moving else f"{metric} does not depend on any searched parameter"


def _too_rare(rare: Mapping[str, int]) -> str:
    """A sentence naming parameters active in too few trials to get a share, else empty."""
    if not rare:
        return ""
    named = ", ".join(f"{name} ({_trials(number)})" for name, number in rare.items())
    return f"active in fewer than {FEWEST_TRIALS} trials and not weighed: {named}"


def _caution(count: int, parameters: int) -> str:
    """A warning if there are few trials for so many parameters, else empty."""
    wanted = TRIALS_A_PARAMETER * parameters
    if count >= wanted or parameters == 1:
        return ""
    return f"{_trials(count)} for {parameters} parameters: with fewer than {wanted}, the order may be due to chance"


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"


def _without_effect(formula: Formula, trials: Sequence[PastTrial], space: Space, fixed: Fixed) -> tuple[str, ...]:
    """The parameters that do not change the formula's value in any of a few trials."""
    return tuple(p.name for p in space if not any(_moves(formula, t.params, p, space, fixed) for t in trials[:PROBES]))


def _moves(formula: Formula, params: Mapping[str, Value], parameter: Parameter, space: Space, fixed: Fixed) -> bool:
    if parameter.name not in active(space, params, fixed):
        return False
    probed = [formula({**params, parameter.name: value}) for value in _probes(parameter)]
    found = {value for value in probed if value is not None}
    return len(found) > 1 or any(map(math.isnan, found))


def _probes(parameter: Parameter) -> Sequence[Value]:
    values = points(parameter) or (float(parameter.low or 0.0), float(parameter.high or 0.0))
    return values[:: max(1, len(values) // PROBES)]


def _shares(study: OptunaStudy, names: Sequence[str], active_in: Mapping[str, int], method: Method) -> dict[str, float]:
    if method == "ped-anova":
        return _normalised(_evaluated(study, names, method))
    always = [name for name in names if active_in[name] == len(study.trials)]
    shares = _normalised(_evaluated(study, always, method)) if always else {}
    for name in names:
        if name not in always:
            # A forest needs every parameter in every trial, so a conditional one gets its own.
            shares[name] = _normalised(_evaluated(study, [*always, name], method))[name]
    return shares


def _evaluated(study: OptunaStudy, names: Sequence[str], method: Method) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator, get_param_importances

    count = len(study.trials)
    quantile = min(0.5, max(TOP_SHARE, TOP_TRIALS / count))
    trees = min(TREES[1], max(TREES[0], TREE_TRIALS // count))
    ped = PedAnovaImportanceEvaluator(target_quantile=quantile)
    forest = FanovaImportanceEvaluator(n_trees=trees, seed=FOREST_SEED)
    evaluator = ped if method == "ped-anova" else forest
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `problem` covers optuna's warnings (few trials, an experimental argument)
        return get_param_importances(study, evaluator=evaluator, params=list(names), normalize=False)


def _normalised(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {name: float(value / total) if total > 0 else 0.0 for name, value in values.items()}


def main(arguments: Sequence[str]) -> int:
    """Print the importances of a study as JSON. Exit code 0 on success, 1 with one line on stderr, 2 on wrong usage."""
    chosen = next((known for known in METHODS if known == arguments[-1]), None) if len(arguments) == 3 else None
    if chosen is None:
        sys.stderr.write(
            f"usage: python -P -m bertdistill.engine.search.importances WORKSPACE STUDY {'|'.join(METHODS)}\n"
        )
        return 2
    folder, study, _ = arguments
    try:
        found = read_importances(Workspace(Path(folder)), study, chosen)
    except BertDistillError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    json.dump([dataclasses.asdict(one) for one in found], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
