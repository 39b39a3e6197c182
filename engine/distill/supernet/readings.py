"""The inputs that sub-networks read: the teacher's tokens, or those of a smaller vocabulary among the teacher's pieces.

The embeddings of a smaller vocabulary are rows of the shared ones, so its ids are replaced by the teacher's. It
tokenises as a trial does, and shares the result with trials.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import Settings
from bertdistill.engine.contract.terms import LOGITS
from bertdistill.engine.distill.data.features import Features, open_features
from bertdistill.engine.distill.data.signals import prepared_file
from bertdistill.engine.distill.families.embeddings import open_tokenizer
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.vocabularies import for_trial
from bertdistill.engine.families.supernet import Net


@dataclass(frozen=True)
class Reading:
    """Both splits in some tokens, with ids of the shared embeddings, and the teacher's outputs for the training split.

    All readings have the same training inputs in the same order.
    """

    train: Features
    search: Features
    teacher: npt.NDArray[np.float16]
    pad_id: int


def readings_of(run: Run, facts: Prepared, nets: Sequence[Net]) -> dict[str, Reading]:
    """By the name of units, what these sub-networks read, and always the teacher's tokens, "", which set the pace."""
    found = {"": _reading(facts, "")}
    for net in nets:
        if net.units not in found:
            settings = Settings(**net.settings)
            spec = dataclasses.replace(run.spec, settings=settings, prepared=facts)
            mine = for_trial(dataclasses.replace(run, spec=spec)).spec.prepared
            found[net.units] = _reading(mine, net.units)
    return found


def _reading(facts: Prepared, units: str) -> Reading:
    train = open_features(Path(facts.features_of("train", units)))
    train = train.part(0, len(train) - facts.transfer_features)
    search = open_features(Path(facts.features_of("search", units)))
    teacher = np.load(prepared_file(facts, LOGITS), mmap_mode="r")
    teacher = teacher if train.targets.ndim == 2 else teacher[: len(train)]
    if not units:
        return Reading(train, search, teacher, facts.pad_id)
    ids = _shared_ids(facts, units)
    return Reading(_with_ids(train, ids), _with_ids(search, ids), teacher, facts.pad_id)


def _shared_ids(facts: Prepared, units: str) -> npt.NDArray[np.int64]:
    """By id of the smaller vocabulary, that of the same piece in the whole one."""
    before: Any = open_tokenizer(facts.vocabulary.tokenizer)
    after: Any = open_tokenizer(facts.units_of(units).tokenizer)
    known = before.get_vocab()
    return np.array([known[piece] for piece in after.convert_ids_to_tokens(range(len(after)))], np.int64)


def _with_ids(features: Features, ids: npt.NDArray[np.int64]) -> Features:
    return dataclasses.replace(features, input_ids=ids[features.input_ids])
