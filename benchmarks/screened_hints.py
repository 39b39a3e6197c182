"""What screening tells the search: how well trials are predicted with and without the scores of untrained sub-networks.

    python benchmarks/screened_hints.py WORKSPACE [--seeds 0,1,2] [--after 5,10,20]

WORKSPACE is that of `frontier_price.py`, which ran the same searches: `inherited` and `screened` start from the same
supernet. The model of the search learns from the first trials of `inherited`, and predicts the first score of all other
trials of both studies, once with what was screened and once without. A Markdown table is printed: means over the seeds
of the median absolute error in points, of Spearman's rank correlation, and both again for the trials that clear the
thresholds, between which the search has to choose.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.pareto.frontier import feasible
from bertdistill.engine.search.optimiser import gaussian_model
from bertdistill.engine.search.past import PastTrial, ScreenedStudent
from bertdistill.engine.search.process import Array
from bertdistill.engine.search.proposals import history
from bertdistill.engine.search.starts import screened_students
from bertdistill.engine.study import student
from bertdistill.engine.study.config import study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store import reads
from bertdistill.store.db import open_db

Figures = tuple[float, float, float, float]
"""Median absolute error and rank correlation, of all trials and of the feasible ones."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--after", default="5,10,20")
    asked = parser.parse_args()
    names = ("trials learned from", "screened", "error, all", "rank, all", "error, feasible", "rank, feasible")
    print(f"| {' | '.join(names)} |\n{'|---' * len(names)}|")
    for count in map(int, asked.after.split(",")):
        for hinted in (False, True):
            found = [figures(asked.workspace, int(seed), count, hinted=hinted) for seed in asked.seeds.split(",")]
            cells = [_spread(column) for column in zip(*found, strict=True)]
            print(f"| {count} | {'yes' if hinted else 'no'} | {' | '.join(cells)} |")
    return 0


def figures(root: Path, seed: int, count: int, *, hinted: bool) -> Figures:
    """Of one seed: the model after so many trials of `inherited`, on all other trials."""
    spec, facts, mine, _ = read(root / f"inherited-{seed}", f"inherited-{seed}")
    _, _, others, screened = read(root / f"screened-{seed}", f"screened-{seed}")
    model = gaussian_model(
        mine[:count],
        spec.search,
        spec.objectives,
        known=lambda params: student.plan(spec, facts, params).known,
        fixed=spec.fixed,
        screened=screened if hinted else (),
    )
    if model is None:
        raise SystemExit(f"{count} trials of {root} are too few for a model")
    told = [dict(one.params) for one in mine[:count]]
    rest = [one for one in (*mine[count:], *others) if dict(one.params) not in told]
    rows = model.axes.rows([one.params for one in rest])
    mean = model.beliefs(rows, model.facts_of(rows))[0][:, 0]
    sign = -1.0 if spec.objectives[0].direction == "maximize" else 1.0
    true = np.array([sign * float(one.values[0] or 0.0) for one in rest])
    names = [objective.metric for objective in spec.objectives]
    fit = np.array([feasible(dict(zip(names, one.values, strict=True)), spec.objectives) for one in rest])
    return *_compared(mean, true), *_compared(mean[fit], true[fit])


def _compared(mean: Array, true: Array) -> tuple[float, float]:
    return float(np.median(np.abs(mean - true))), float(spearmanr(mean, true).statistic)


def read(folder: Path, name: str) -> tuple[StudySpec, Prepared, list[PastTrial], list[ScreenedStudent]]:
    """A study with its complete trials in order, and what was screened."""
    db = open_db(folder, read_only=True)
    with db.read() as session:
        study = reads.study(session, name)
        spec = study_from_dict(study.spec, where=name)
        past = [one for one in history(reads.trials(session, study.id), spec) if one.state == "complete"]
        screened = screened_students(list(reads.screened(session, study.id)), spec)
    db.close()
    return spec, Prepared.from_dict(study.prepared), past, screened


def _spread(values: Sequence[float]) -> str:
    mean = f"{statistics.fmean(values):.2f}"
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


if __name__ == "__main__":
    sys.exit(main())
