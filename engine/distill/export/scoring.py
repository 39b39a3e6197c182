"""Score a model on the report split: what a verification and a ladder share. It writes nothing but features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoTokenizer

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.distill.data.examples import Examples, load_examples
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.families.model import Model, own_tokenizer
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.splits import tokenised
from bertdistill.engine.distill.tasks import SCORERS, Scored
from bertdistill.engine.distill.training.evaluate import features_for
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.tasks.table import TASKS


def open_tokenizer(spec: AttemptSpec, model: Model) -> Any:
    """The tokenizer of the units that a model reads."""
    if own := own_tokenizer(model):
        return own
    folder = spec.prepared.units_of(model.units).tokenizer or spec.prepared.teacher_folder
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def report_examples(run: Run) -> Examples:
    """The report split."""
    spec = run.spec
    return load_examples(spec.data, spec.task, "report", labels=spec.prepared.labels)


def report_features(run: Run, examples: Examples, tokenizer: Any) -> Features:
    """The report split as a tokenizer reads it, from a cache if it was read before."""
    return tokenised(run, examples, tokenizer, "report")


def score(
    run: Run,
    model: Model,
    examples: Examples,
    features: Features,
    precision: torch.dtype,
    null_threshold: float | None,
    phase: str,
) -> Scored:
    """Predictions and scores of a model on some examples."""
    outputs = predict(
        model,
        features_for(model, features),
        device=run.device,
        precision=precision,
        pad_id=run.spec.prepared.units_of(model.units).pad_id,
        stop=run.stop,
        progress=run.progress(phase, "windows"),
    )
    return SCORERS[run.spec.task](examples, features, outputs, run.spec.data, null_threshold=null_threshold)


def judged(examples: Examples, scored: Scored) -> dict[str, Any]:
    """What was right about every example, in the JSON form that `engine.tasks.intervals.statistic` reads."""
    if TASKS[examples.task].spans:
        impossible = [bool(row.impossible) for row in examples.rows]
        return {"correct": scored.correct.tolist(), "partial": scored.partial.tolist(), "impossible": impossible}
    index = {name: i for i, name in enumerate(examples.labels)}
    truth = [int(row.label) for row in examples.rows]
    chosen = [index[scored.predictions[row.id]] for row in examples.rows]
    return {"classes": len(examples.labels), "truth": truth, "chosen": chosen}


def scores_of(task: str, metrics: Mapping[str, float]) -> dict[str, float]:
    """Only the scores of the task, and only finite ones (no threshold is an infinite one)."""
    return {name: metrics[name] for name in TASKS[task].scores if math.isfinite(metrics.get(name, math.nan))}
