"""What an answer of the teacher costs: sizes and measured times of all models that answer together.

It labels nothing. A file costs nothing.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bertdistill.engine.contract.facts import Member, Prepared
from bertdistill.engine.distill.data.features import padding_id
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.transformer import load_encoder, read_any_shape
from bertdistill.engine.distill.labelling import Labels, MeanLabels, ModelLabels, Texts
from bertdistill.engine.distill.run import Run
from bertdistill.engine.distill.trial import MEASURABLE, measure_model
from bertdistill.engine.families.folders import weights_in

TIMES = ("latency_cpu_ms", "latency_ms", "latency_p95_ms")


def models_of(labels: Labels) -> list[ModelLabels]:
    """The models of a teacher, `teacher.model` first."""
    members = [one for _, one in labels.members] if isinstance(labels, MeanLabels) else [labels]
    return [one for one in members if isinstance(one, ModelLabels)]


def weights_of(folder: str | Path) -> int:
    """Number of weights of a saved model."""
    return sum(weights_in(path, str(folder)) for path in Path(folder).glob("*.safetensors"))


def ensemble(labels: Labels, texts: Texts) -> tuple[Member, ...]:
    """The models beside `teacher.model`; `texts` are the training examples."""
    return tuple(
        Member(
            read_any_shape(str(one.folder)).to_dict(),
            weights_of(one.folder),
            float(np.mean(one.features(texts).lengths)),
        )
        for one in models_of(labels)
        if one.own_tokens
    )


def teacher_costs(run: Run, labels: Labels, texts: Texts, facts: Prepared) -> dict[str, float]:
    """Latencies and throughput, as far as the study measures its trials: sums, because every model answers every text.

    `texts` are those of the validation split. Of an ensemble `latency_ratio` is to its first model, which trials are
    timed beside.
    """
    wanted = set(run.spec.measure) & MEASURABLE
    each = [_measured(run, one, texts, wanted, facts) for one in models_of(labels)] if wanted else []
    if len(each) < 2:
        return each[0] if each else {}
    found = {name: sum(one[name] for one in each) for name in TIMES if name in each[0]}
    found |= {"latency_ratio": found["latency_cpu_ms"] / each[0]["latency_cpu_ms"]} if found else {}
    return found | ({"throughput": 1 / sum(1 / one["throughput"] for one in each)} if "throughput" in each[0] else {})


def _measured(run: Run, one: ModelLabels, texts: Texts, wanted: set[str], facts: Prepared) -> dict[str, float]:
    features = one.features(texts)
    if one.own_tokens:
        facts = Prepared(mean_length=float(np.mean(features.lengths)), pad_id=padding_id(one.tokenizer))
    model = Encoder(load_encoder(one.folder, run.spec.task, one.labels, need_head=True))
    return measure_model(run, model, features, wanted, facts)
