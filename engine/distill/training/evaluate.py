"""Score a model on a prepared split. It trains nothing and does not depend on the caller."""

from __future__ import annotations

import dataclasses
import io
import json
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from bertdistill.engine.contract.folder import CLASS_LOGITS, PREDICTIONS, SCORED, STARTS
from bertdistill.engine.contract.spec import DataSpec
from bertdistill.engine.distill.data.examples import Examples
from bertdistill.engine.distill.data.features import Features
from bertdistill.engine.distill.families.model import TOKEN_TYPES, Servable
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.tasks import SCORERS
from bertdistill.engine.distill.training.terms.step import MASKED
from bertdistill.engine.distill.training.train import Evaluation, predict
from bertdistill.engine.tasks.table import TASKS


@dataclass(frozen=True)
class Evaluator:
    """Scores a model on one split. `select` is the metric that selects the best checkpoint."""

    examples: Examples
    features: Features
    data: DataSpec
    select: str
    direction: str
    pad_id: int
    null_threshold: float | None = None

    def evaluate(self, model: Servable, run: Run, precision: torch.dtype) -> Evaluation:
        """Predict the split, and score it."""
        return self.score(self.outputs(model, run, precision))

    def outputs(self, model: Servable, run: Run, precision: torch.dtype) -> npt.NDArray[np.float32]:
        """The logits of the split: (tokens, 2) if answers are spans, else (examples, labels)."""
        return predict(
            model,
            features_for(model, self.features),
            device=run.device,
            precision=precision,
            pad_id=self.pad_id,
            stop=run.stop,
            progress=run.progress("evaluation", "windows"),
        )

    def score(self, outputs: npt.NDArray[np.float32]) -> Evaluation:
        """Score outputs that are aligned with the features. The files are for the error analysis and for cascades."""
        scored = SCORERS[self.examples.task](
            self.examples, self.features, outputs, self.data, null_threshold=self.null_threshold
        )
        metrics = {**scored.metrics, "search_loss": mean_hard_loss(outputs, self.features)}
        sign = 1 if self.direction == "maximize" else -1
        files: dict[str, str | bytes] = {PREDICTIONS: json.dumps(scored.predictions, ensure_ascii=False)}
        if not TASKS[self.examples.task].spans:
            files[CLASS_LOGITS] = _npy(outputs)
        else:  # how certain scores are follows from single examples, and judging answers again takes minutes
            files[SCORED] = _npy(np.stack([scored.correct, scored.partial]).astype(np.float32))
        if scored.starts:
            files[STARTS] = json.dumps(scored.starts)
        if scored.null_odds:
            files["null_odds.json"] = json.dumps({key: round(value, 4) for key, value in scored.null_odds.items()})
        return Evaluation(sign * metrics[self.select], metrics, files)


def _npy(array: npt.NDArray[np.float32]) -> bytes:
    """The content of an .npy file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def mean_hard_loss(outputs: npt.NDArray[np.float32], features: Features) -> float:
    """Mean cross-entropy over the features; for spans the mean of start and end."""
    if features.targets.ndim == 1:
        picked = outputs[np.arange(len(outputs)), features.targets]
        return float(np.mean(np.logaddexp.reduce(outputs, axis=1) - picked))
    starts = features.offsets[:-1]
    top = np.maximum.reduceat(outputs, starts, axis=0)
    shifted = np.exp(outputs - np.repeat(top, features.lengths, axis=0))
    log_sums = np.log(np.add.reduceat(shifted, starts, axis=0)) + top
    picked = np.stack([outputs[starts + features.targets[:, side], side] for side in (0, 1)], axis=1)
    return float(np.mean(np.minimum(log_sums - picked, -MASKED)))


def features_for(model: Servable, features: Features) -> Features:
    """The features, without segment ids if the model has none: BERT teachers need them, DistilBERT refuses them."""
    return features if TOKEN_TYPES in model.inputs else dataclasses.replace(features, token_types=None)
