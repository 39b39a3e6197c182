"""A preparation with a supernet in this process: sixty sentences, a teacher of three layers, two vocabularies."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.preparing import LINES, make_run, split_report
from tests.tiny import TEXTS, make_checkpoint

from bertdistill.engine.contract.events import parse_event
from bertdistill.engine.contract.spec import SUPERNET, Settings, SupernetSpec, TeacherSpec
from bertdistill.engine.distill.run import Run
from bertdistill.engine.families.supernet import architecture

SPACE: tuple[dict[str, Any], ...] = tuple(
    {"layers": layers, "layer_choice": choice, "heads": heads, "ffn_size": ffn, "vocab_size": size}
    for size in (0, 95)
    for heads, ffn in ((0, 0), (2, 24), (4, 24))
    for choice in ("first", "even")
    for layers in (1, 2, 3)
)
SPEC = SupernetSpec(epochs=2.0, learning_rate=1e-3, batch_size=16, screen=20)
STEPS = 8


def study(root: Path, *, stop: Any = None, nets: Sequence[dict[str, Any]] = SPACE, **supernet: Any) -> Run:
    """The preparation of a study in this folder, whose caches are beside its run."""
    root.mkdir(exist_ok=True)
    teacher = root / "teacher"
    if not teacher.exists():
        make_checkpoint(teacher, "bert", layers=3, head="cls", texts=[*LINES, *TEXTS])
    run = split_report(make_run(root / "run", TeacherSpec(model=str(teacher)), init=SUPERNET, importance=True))
    spec = dataclasses.replace(
        run.spec,
        neurons=True,
        vocabularies={"cut": [95]},
        families=["transformer"],
        select_metric="accuracy",
        settings=Settings(precision="fp32"),
        supernet=dataclasses.replace(SPEC, **supernet),
        nets=[architecture(Settings(**one)) for one in nets],
    )
    return dataclasses.replace(run, spec=spec, **({"stop": stop} if stop else {}))


def events(run: Run, kind: str) -> list[dict[str, Any]]:
    found = [parse_event(line) for line in run.paths.events.read_bytes().splitlines()]
    return [event for event in found if event and event["k"] == kind]
