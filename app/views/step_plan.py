"""What a teacher that runs in every step of training costs, before anything starts. Pure arithmetic; an estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.engine.analysis.outcomes import teacher_sizes
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.study.student import wanted_terms
from bertdistill.engine.study.study_spec import StudySpec

WEIGHT_BYTES = 4
TRAINED = 3
"""A step of training takes about so many forward passes of the student: one forward, two backward."""


def teacher_in_step(
    spec: StudySpec, teacher: Shape | None, gflops: Sequence[float], labels: int
) -> dict[str, Any] | None:
    """By name: `keys` that ask for it, `bytes` of its weights, and `least` and `most` times that a step takes longer.

    None if no trial asks for it; single values are None if they are unknown. `gflops` are those of the students.
    """
    keys = [term.key for term in wanted_terms(spec) if term.online]
    if not keys:
        return None
    found: dict[str, Any] = {"keys": keys, "bytes": None, "least": None, "most": None}
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
    keys = f"for {', '.join(found['keys'])}"
    if found["bytes"] is None:
        return f"{keys}; {unknown}"
    least, most = f"{found['least']:.1f}", f"{found['most']:.1f}"
    factor = least if least == most else f"{least} to {most}"
    memory = f"{fmt.size(found['bytes'])} more memory for its weights"
    return f"{keys}: a step takes about {factor} times as long; {memory}"
