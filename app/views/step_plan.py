"""What losses that compare layers cost, before anything starts: a teacher in the step, and steps of their own.

Pure arithmetic; an estimate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.engine.analysis.outcomes import teacher_sizes
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.terms import TOGETHER
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.study.student import proposed, wanted_terms
from bertdistill.engine.study.study_spec import StudySpec

WEIGHT_BYTES = 4
TRAINED = 3
"""A step of training takes about so many forward passes of the student: one forward, two backward."""


def teacher_in_step(
    spec: StudySpec, teacher: Shape | None, gflops: Sequence[float], labels: int
) -> dict[str, Any] | None:
    """By name: `keys` that ask for it, `bytes` of its weights, and `least` and `most` times that a step takes longer.

    `always` says whether that is every step of some trial. None if no trial asks for it; single values are None if they
    are unknown. `gflops` are those of the students.
    """
    keys = [term.key for term in wanted_terms(spec) if term.online]
    if not keys:
        return None
    always = TOGETHER in proposed(spec, "layerwise")
    found: dict[str, Any] = {"keys": keys, "always": always, "bytes": None, "least": None, "most": None}
    if teacher is None or not gflops:
        return found
    facts = Prepared(labels=("",) * labels, mean_length=float(spec.data.max_length), teacher_shape=teacher.to_dict())
    sizes = teacher_sizes(facts, spec.task)
    forward = float(sizes.get("gflops") or 0)
    factors = [1 + forward / (TRAINED * one) for one in gflops]
    weights = int(WEIGHT_BYTES * float(sizes.get("params") or 0))
    return found | {"bytes": weights, "least": min(factors), "most": max(factors)}


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
