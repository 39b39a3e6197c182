"""Score several models of one study on the report split, each once: the worker behind `engine ladder --verify`.

Each result is stored under its key in `caches/reports/` (see `engine.analysis.report_cache`). It trains, tunes and
exports nothing; thresholds of abstention are those that were tuned on the validation split.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import file_sha256, write_json
from bertdistill.engine.contract.report import ReportOrder
from bertdistill.engine.distill.data.caches import build_once
from bertdistill.engine.distill.data.examples import Examples, digest
from bertdistill.engine.distill.export.scoring import (
    judged,
    open_tokenizer,
    report_examples,
    report_features,
    score,
    scores_of,
)
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import Model
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.distill.run import Run, to_device
from bertdistill.engine.distill.training.precision import choose_precision, width_of
from bertdistill.engine.distill.vocabularies import for_models

FOLDER, SCORES = "reports", "scores.json"


def score_models(run: Run) -> dict[str, Any]:
    """Score the models of `AttemptSpec.report` that have no result yet; returns how many that were.

    Raises ConfigError if a checkpoint is gone or is not the recorded file.
    """
    examples = report_examples(run)
    key_of_examples = digest(examples)
    for order in run.spec.report:

        def build(temporary: Path, order: ReportOrder = order) -> None:
            write_json(temporary / SCORES, {"digest": key_of_examples, **_scores(run, order, examples)})

        build_once(run.caches / FOLDER / order.key, build, run.warn)
    return {"metrics": {"scored": float(len(run.spec.report))}}


def _scores(run: Run, order: ReportOrder, examples: Examples) -> dict[str, Any]:
    model = _load(run, order)
    to_device(model.net, run.device)
    run = for_models(run, [model])
    features = report_features(run, examples, open_tokenizer(run.spec, model))
    threshold = math.inf if order.threshold is None else order.threshold
    precision = choose_precision(order.precision, run, width_of(model.net))
    scored = score(run, model, examples, features, precision, threshold, f"report split: {order.name}")
    scores = scores_of(run.spec.task, scored.metrics)
    return {"examples": len(examples), "scores": scores, "judged": judged(examples, scored)}


def _load(run: Run, order: ReportOrder) -> Model:
    folder = Path(order.folder)
    if not order.sha256:  # the teacher, whose folder may be in the plain layout of transformers
        return Encoder(load_encoder(folder, run.spec.task, run.spec.prepared.labels, need_head=True))
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise ConfigError(f"{folder}: the checkpoint no longer exists", hint="rerun the trial")
    if file_sha256(weights) != order.sha256:
        raise ConfigError(f"{weights} is not the recorded file (its SHA-256 differs)", hint="rerun the trial")
    return load_model(folder)
