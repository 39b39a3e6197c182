"""Other samplers on the same histories: optuna's own Gaussian process, and BoTorch's qLogNEHVI, Ax's default.

BoTorch is no dependency of the project; it is measured where it is installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler
from problems import Problem

from bertdistill.engine.search.axes import Axes
from bertdistill.engine.search.optimiser import _Scale, _Search, derive_seed
from bertdistill.engine.search.past import Memory, PastTrial
from bertdistill.engine.study.space import Value


def optuna_gp(problem: Problem, history: Sequence[PastTrial], seed: int) -> dict[str, Value]:
    """The sampler as it is, with its own search for the best acquisition value."""
    return _asked(problem, history, seed, GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False))


def _asked(problem: Problem, history: Sequence[PastTrial], seed: int, sampler: BaseSampler) -> dict[str, Value]:
    known: Any = problem.known
    here = _Search(problem.space, problem.space, problem.objectives, problem.fixed, known, "nsga2", seed)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.add_trials(_Scale(here, history, Memory()).frozen_trials(history))
    return here.ask(study)


def botorch(problem: Problem, history: Sequence[PastTrial], seed: int) -> dict[str, Value]:
    """qLogNoisyExpectedHypervolumeImprovement as in BoTorch's tutorials: a SingleTaskGP for each objective (also the
    known one), pending trials passed on, a relaxed space whose optimum is rounded."""
    import torch
    from botorch.acquisition.multi_objective.logei import (
        qLogNoisyExpectedHypervolumeImprovement,
    )
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.optim import optimize_acqf
    from botorch.sampling import SobolQMCNormalSampler
    from gpytorch.mlls import SumMarginalLogLikelihood

    warnings.filterwarnings("ignore")
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    axes = _axes(problem)
    done = [one for one in history if one.state == "complete"]
    x = torch.tensor(_relaxed(axes, [one.params for one in done]))
    y = torch.tensor([[float(one.values[0] or 0), -np.log10(float(one.values[1] or 1))] for one in done])
    models = [SingleTaskGP(x, y[:, [i]].double(), outcome_transform=Standardize(1)) for i in range(2)]
    model = ModelListGP(*models)
    fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    running = _relaxed(axes, [one.params for one in history if one.state == "running"])
    span = y.max(0).values - y.min(0).values
    acquisition = qLogNoisyExpectedHypervolumeImprovement(
        model=model,
        ref_point=(y.min(0).values - 0.1 * span).tolist(),
        X_baseline=x,
        X_pending=torch.tensor(running) if len(running) else None,
        sampler=SobolQMCNormalSampler(torch.Size([64]), seed=seed),
        prune_baseline=True,
    )
    bounds = torch.tensor([[0.0] * x.shape[1], [1.0] * x.shape[1]]).double()
    best, _ = optimize_acqf(
        acquisition, bounds, q=1, num_restarts=4, raw_samples=128, options={"maxiter": 50, "batch_limit": 4}
    )
    return _rounded(axes, best[0].numpy())


def _axes(problem: Problem) -> Axes:
    from bertdistill.engine.study.cases import Cases

    return Axes(problem.space, problem.space, Cases(problem.space, problem.fixed))


def _relaxed(axes: Axes, sets: Sequence[Any]) -> np.ndarray:
    columns = axes.columns(axes.rows(sets)) if sets else np.zeros((0, len(axes.groups)))
    return columns * np.array([np.sqrt(2) if axes.axes[g].category else 1.0 for g in axes.groups])


def _rounded(axes: Axes, x: np.ndarray) -> dict[str, Value]:
    row = [
        float(axis.places[np.argmax(x[axes.groups == i])]) if axis.category else float(x[axes.groups == i][0])
        for i, axis in enumerate(axes.axes)
    ]
    return axes.params(axes.settled(np.array([row]))[0])


RIVALS = {"optuna-gp": optuna_gp, "botorch": botorch}

__all__ = ["RIVALS", "derive_seed"]
