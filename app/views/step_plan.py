"""What losses that compare layers cost, before anything starts: a teacher in the step, and steps of their own.

Pure arithmetic; an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.engine.analysis.outcomes import teacher_sizes
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.terms import DUAL, PROJECTION, TOGETHER, Term
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.families.shared_projection import projection_flops
from bertdistill.engine.study.student import possible, proposed, wanted_terms
from bertdistill.engine.study.study_spec import StudySpec

WEIGHT_BYTES = 4
TRAINED = 3
"""A step of training takes about so many forward passes of the student: one forward, two backward."""
MIXED = 2
"""Dual training takes about so many of the teacher: one forward, one backward to its embeddings."""


def teacher_in_step(
    spec: StudySpec, teacher: Shape | None, gflops: Sequence[float], labels: int
) -> dict[str, Any] | None:
    """By name: `keys` that ask for it, `bytes` of its weights, and `least` and `most` times that a step takes longer.

    `always` says whether that is every step of some trial. None if no trial asks for it; single values are None if they
    are unknown. `gflops` are those of the students.
    """
    wanted = [term for term in wanted_terms(spec) if term.online or term.network]
    if not wanted:
        return None
    keys = [term.key for term in wanted]
    always = TOGETHER in proposed(spec, "layerwise") or any(term.network for term in wanted)
    found: dict[str, Any] = {"keys": keys, "always": always, "bytes": None, "least": None, "most": None}
    if teacher is None or not gflops:
        return found
    facts = Prepared(labels=("",) * labels, mean_length=float(spec.data.max_length), teacher_shape=teacher.to_dict())
    sizes = teacher_sizes(facts, spec.task)
    costs = _costs(spec, teacher, wanted, float(sizes.get("gflops") or 0))
    weights = int(WEIGHT_BYTES * float(sizes.get("params") or 0))
    least = 1 + min(low for low, _ in costs) / (TRAINED * max(gflops))
    return found | {
        "bytes": weights,
        "least": least,
        "most": 1 + sum(high for _, high in costs) / (TRAINED * min(gflops)),
    }


def _costs(spec: StudySpec, teacher: Shape, wanted: Sequence[Term], forward: float) -> list[tuple[float, float]]:
    """Least and most GFLOPs for each example of what the terms need; those that read its outputs share one pass."""
    found = [(forward, forward)] if any(term.online for term in wanted) else []
    if any(term.name == DUAL for term in wanted):
        found.append((MIXED * forward, MIXED * forward))
    if any(term.name == PROJECTION for term in wanted):
        widths = [width for width in possible(spec, "hidden_size") if 0 < width < teacher.hidden_size]
        layers = [count or teacher.layers for count in possible(spec, "layers")]
        batches, hows = possible(spec, "batch_size"), possible(spec, "projection")
        ends = [
            projection_flops(pick(widths or [teacher.hidden_size]), teacher, pick(layers), how) / batch / 1e9
            for pick, batch in ((min, max(batches)), (max, min(batches)))
            for how in hows
        ]
        found.append((min(ends), max(ends)))
    return found


def step_words(found: Mapping[str, Any], unknown: str) -> str:
    """`for attention_weight: a step takes about 1.3 to 1.7 times as long; 91 MB more memory for its weights`."""
    keys = f"for {', '.join(found['keys'])}" + ("" if found["always"] else ", where layers are compared")
    if found["bytes"] is None:
        return f"{keys}; {unknown}"
    least, most = f"{found['least']:.1f}", f"{found['most']:.1f}"
    factor = least if least == most else f"{least} to {most}"
    memory = f"{fmt.size(found['bytes'])} more memory for its weights"
    return f"{keys}: a step takes about {factor} times as long; {memory}"


def layer_stages(spec: StudySpec) -> dict[str, Any] | None:
    """By name: `how` of trials whose first steps compare layers alone, and `least` and `most` share of these steps.

    None if there are no such trials.
    """
    how = [one for one in dict.fromkeys(proposed(spec, "layerwise")) if one != TOGETHER]
    if not how or not any(term.layered for term in wanted_terms(spec)):
        return None
    shares = list(map(float, proposed(spec, "layerwise_share")))
    return {"how": how, "least": min(shares), "most": max(shares)}


def stage_words(found: Mapping[str, Any]) -> str:
    """`progressive: the first 50 % of the steps compare layers alone, the others learn predictions and are scored`."""
    least, most = f"{100 * found['least']:.0f}", f"{100 * found['most']:.0f}"
    share = f"{least} %" if least == most else f"{least} to {most} %"
    steps = f"the first {share} of the steps compare layers alone, the others learn predictions and are scored"
    return f"{' or '.join(found['how'])}: {steps}"
