"""What a supernet would cost: steps, time and disk, estimated before anything starts. It draws nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import SUPERNET
from bertdistill.engine.families.encoder_plan import Shape
from bertdistill.engine.families.supernet import groups, nets_of, shared_work, supernet_bytes
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.supernet_space import wanted_nets


def supernet_cost(
    spec: StudySpec, shape: Shape | None, windows: int | None, params: int | None
) -> dict[str, Any] | None:
    """By name: `nets`, `screened` at most, `steps`, `passes` of a whole student that they cost, `bytes`,
    `running_bytes`; None if the study has no supernet, and single values where they are unknown.

    ConfigError if the teacher, whose shape is given, cannot have these sub-networks.
    """
    if spec.student.init != SUPERNET:
        return None
    mine, found = (
        spec.supernet,
        dict[str, Any].fromkeys(("nets", "screened", "steps", "passes", "bytes", "running_bytes")),
    )
    if windows is not None:
        found["steps"] = max(1, math.ceil(math.ceil(windows / mine.batch_size) * mine.epochs))
    if params:
        found |= supernet_bytes(params)
    if shape is None:
        return found
    nets = nets_of(Prepared(init_shape=shape.to_dict()), wanted_nets(spec))
    drawn = [[nets[index] for index in group] for group in groups(nets, every_depth=mine.every_depth)]
    layers = fmean(map(shared_work, drawn)) * mine.nets_per_step
    return found | {
        "nets": len(nets),
        "screened": min(mine.screen, len(nets)),
        "passes": round(mine.epochs * layers / shape.layers, 2),
    }


def supernet_words(found: Mapping[str, Any], time: Mapping[str, Any] | None, unknown: str) -> str:
    """`4,860 sub-networks, 234 steps, as much work as 1.2 passes of the whole student; 85 MB kept …`."""
    if found["nets"] is None or found["steps"] is None:
        return unknown
    words = (
        f"{found['nets']:,} sub-networks, about {found['steps']:,} steps, the work of {found['passes']:g} passes over "
        "the data with the whole teacher"
    )
    if time and "pass_seconds" in time:
        words += f", about {fmt.duration(time['pass_seconds'] * found['passes'])} or more"
    if found["screened"]:
        words += f"; at most {found['screened']:,} screened"
    disk = f"; {fmt.size(found['bytes'])} kept and {fmt.size(found['running_bytes'])} while it is trained"
    return f"{words}{disk if found['bytes'] else ''}"
