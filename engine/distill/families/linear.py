"""The family `linear` in the worker: TF-IDF of n-grams and scikit-learn's logistic regression.

Its network is in `linear_net`. The weights are fitted as a whole and not trained step by step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from scipy.sparse import csr_array

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LOGITS, transfer_share
from bertdistill.engine.distill.data.batches import Batch, collate, pad_edges
from bertdistill.engine.distill.families import linear_net
from bertdistill.engine.distill.families.model import FAMILY, Outputs
from bertdistill.engine.distill.families.ngrams import ROWS, chosen
from bertdistill.engine.distill.families.saving import save_net
from bertdistill.engine.families.linear import LINEAR

if TYPE_CHECKING:
    from bertdistill.engine.distill.data.features import Features

ITERATIONS = 1000
LEAST_SHARE = 1e-3
"""Smaller parts of what a text counts are left out: a sure teacher gives most texts less to all but one or two labels.
"""
NEVER = -10.0
"""Log odds, to the rarest of the others, of a label that no training text has."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearModel:
    """Features and weights. See `distill.families.model.Fitted`."""

    net: linear_net.Linear
    config: dict[str, Any]
    """Everything but the arrays, as in config.json."""

    @property
    def inputs(self) -> AbstractSet[str]:
        return frozenset()

    @property
    def units(self) -> str:
        return str(self.config["units"])

    def __call__(self, batch: Batch, *, hidden: bool = False, attentions: bool = False) -> Outputs:
        return Outputs(self.net(batch.input_ids, batch.attention_mask))

    def fit(self, features: Features, settings: Settings, teacher: Mapping[str, npt.NDArray[np.float16]]) -> None:
        """Logistic regression of labels and teacher probabilities, as `shares` mixes them.

        Raises ConfigError if all training texts have one label.
        """
        given = shares(features.targets, self.net.labels, settings, teacher.get(LOGITS))
        rows, labels = np.nonzero((given > 0) & (given >= LEAST_SHARE * given.sum(axis=1, keepdims=True)))
        if len(np.unique(labels)) < 2:
            raise ConfigError("all training texts have the same label, so there is nothing to fit")
        weight, bias = _regression(self._matrix(features)[rows], labels, given[rows, labels], settings.C)
        weight, bias = _every_label(weight, bias, np.unique(labels), self.net.labels)
        with torch.no_grad():
            self.net.weight.copy_(torch.from_numpy(weight.T))
            self.net.bias.copy_(torch.from_numpy(bias))

    def _matrix(self, features: Features) -> csr_array:
        """The features of all texts, (texts, n-grams)."""
        device = self.net.weight.device
        parts = [
            [one.cpu().numpy() for one in self.net.features(batch.input_ids, batch.attention_mask)]
            for batch in (batch.to(device) for batch in _batches(features))
        ]
        rows = np.concatenate([part[0] + number * ROWS for number, part in enumerate(parts)])
        columns, values = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
        return csr_array((values.astype(np.float64), (rows, columns)), shape=(len(features), len(self.net.keys)))

    def save(self, folder: Path, tokenizer: Any | None = None) -> None:
        save_net(self.net, self.config, folder, tokenizer)


def _batches(features: Features) -> Iterator[Batch]:
    """All texts in order, ROWS at a time. Padding is masked, so its id does not matter."""
    edges = pad_edges(features.lengths)
    for first in range(0, len(features), ROWS):
        yield collate(features, np.arange(first, min(first + ROWS, len(features))), edges=edges, pad_id=0)


def shares(
    targets: npt.NDArray[np.int32], labels: int, settings: Settings, logits: npt.NDArray[np.float16] | None
) -> Floats:
    """What each text counts for each label, (texts, labels): the weights of as many weighted rows.

    alpha times the teacher's probability at the temperature (1 if the soft loss is mse), plus 1 - alpha for the label.
    A text without a label (target below 0) has only the former; such texts have `transfer_share` of the weight of all
    teacher probabilities. Cross-entropy over these rows is that against the mixed distribution.
    """
    known = targets >= 0
    hard = np.eye(labels)[np.where(known, targets, 0)] * known[:, None]
    scale = _balanced(hard) if settings.class_weight == "balanced" else np.ones(labels)
    found: Floats = (1 - settings.alpha) * hard * scale
    if settings.alpha > 0 and logits is not None:
        temperature = settings.temperature if settings.soft_loss == "kl" else 1.0
        soft = _softmax(logits.astype(np.float64) / temperature) * scale
        share = transfer_share(settings)
        if not known.all():
            soft[~known] *= share / (1 - share) * soft[known].sum() / soft[~known].sum()
        found += settings.alpha * soft
    return found


def _balanced(hard: Floats) -> Floats:
    """Weights of the labels, inverse to how many texts have them; 1 for a label that none has."""
    counts = hard.sum(axis=0)
    present = counts > 0
    return np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1)), 1.0)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def _regression(matrix: csr_array, labels: npt.NDArray[np.int64], weights: Floats, c: float) -> tuple[Floats, Floats]:
    """Weights (labels or 1, n-grams) and biases by L-BFGS, which is deterministic."""
    from sklearn.linear_model import LogisticRegression  # imported here: only this family needs it

    fitted = LogisticRegression(C=c, max_iter=ITERATIONS).fit(matrix, labels, sample_weight=weights)
    return fitted.coef_, fitted.intercept_


def _every_label(weight: Floats, bias: Floats, present: npt.NDArray[np.int64], labels: int) -> tuple[Floats, Floats]:
    """The same for all labels; scikit-learn knows only those `present`, and of two only the odds of the second."""
    if labels == 2:
        return weight, bias
    if len(present) == 2:
        weight, bias = np.concatenate((-weight / 2, weight / 2)), np.concatenate((-bias / 2, bias / 2))
    every, biases = np.zeros((labels, weight.shape[1])), np.full(labels, bias.min() + NEVER)
    every[present], biases[present] = weight, bias
    return every, biases


class Linears:
    """See `distill.families.model.Builder`."""

    def build(self, spec: AttemptSpec) -> LinearModel:
        """All weights are 0 before `fit`."""
        facts, settings = spec.prepared, spec.settings
        plan = LINEAR.plan(facts, settings, scratch=True)
        units = facts.units_of(plan.units)
        config: dict[str, Any] = {
            FAMILY: LINEAR.name,
            "units": plan.units,
            "tokenizer_size": units.size,
            "special_ids": list(units.special_ids),
            "separator_id": units.separator_id,
            "texts": 2 if facts.pairs else 1,
            "max_length": spec.data.max_length,
            "ngrams": plan.ngrams,
            "term_frequency": settings.term_frequency,
            "id2label": {str(index): name for index, name in enumerate(facts.labels)},
        }
        return LinearModel(linear_net.Linear(config, *chosen(plan, facts)), config)

    def load(self, folder: Path) -> LinearModel:
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            return LinearModel(linear_net.load_net(folder), config)
        except (OSError, RuntimeError, ValueError, TypeError, KeyError, SafetensorError) as error:
            raise ConfigError(f"{folder}: this is not a complete student: {error}") from error


LINEARS = Linears()
