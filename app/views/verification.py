"""The progress of a promoted model's verification, read from its run folder; settles those that have ended.

It verifies nothing: a separate process does, and continues when no one watches.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.app.text import format as fmt
from bertdistill.app.text.safe import safe_line
from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.events import PROGRESS, newest_event
from bertdistill.engine.contract.folder import RunPaths, open_regular
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.launch.launchers import make_launcher
from bertdistill.engine.launch.protocol import Handle
from bertdistill.engine.steering import actions
from bertdistill.engine.steering.promotions import START_SECONDS
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import ModelVersion

VERIFYING = "verifying"
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Load the checkpoint in a clean process", ()),
    ("Score the validation split again", ("tokenising the validation split", "validation split again")),
    ("Compare with the record", ()),
    ("Score the report split", ("tokenising the report split", "report split")),
    ("Draw intervals", ("bootstrap",)),
    ("Measure latency and throughput", ("latency", "throughput")),
    ("Export and write the card", ("export",)),
)
"""What a verification does, in order, each with the phases in which its worker says so."""
LOAD, AGAIN, COMPARE = range(3)
MOST_BYTES = 64_000
"""Of the log and of the events that are read; those of a verification are a tenth of it."""


@dataclass(frozen=True)
class Step:
    """One step; `state` is a trial's word for it: waiting, running, complete or failed."""

    words: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class Verification:
    """A promoted version, how far it is, and what it was ordered with."""

    version: ModelVersion
    steps: tuple[Step, ...]
    order: Promotion | None = None
    """What was requested; None if it was never started, or its folder is damaged or of an older version."""


def settle_ended(ws: Workspace, versions: Iterable[ModelVersion]) -> bool:
    """Write down how those ended that have; whether there were any. Costs a lock probe for each that is verifying."""
    settled = False
    for version in versions:
        if version.state != VERIFYING:
            continue
        if version.attempt_folder:
            paths = RunPaths(ws.absolute(version.attempt_folder))
            ended = not make_launcher().alive(paths, Handle.from_dict(version.handle))
        else:
            ended = time.time() - version.created_at > START_SECONDS
        if ended:
            settled |= actions.settle_promotion(ws, version.id).state != VERIFYING
    return settled


def look(ws: Workspace, version: ModelVersion) -> Verification:
    """How far a version is now."""
    if not version.attempt_folder:
        return Verification(version, steps((), {}, version))
    paths = RunPaths(ws.absolute(version.attempt_folder))
    try:
        order = AttemptSpec.read(paths.spec).promote
    except (BertDistillError, OSError, ValueError, TypeError, KeyError):
        order = None  # only the alias is lost
    phases = [line.removesuffix(" …") for line in _lines(paths.log) if line.endswith(" …")]
    return Verification(version, steps(phases, newest_event(paths.events, PROGRESS), version), order)


def steps(phases: Sequence[str], progress: Mapping[str, Any], version: ModelVersion) -> tuple[Step, ...]:
    """The steps in the states that the phases seen so far, the newest progress event and the version tell; pure."""
    if version.state == "verified":
        problem = safe_line(version.report.get("problem", ""), 300)
        notes = {COMPARE: f"differs, accepted by force: {problem}"} if problem else {}
        return tuple(Step(words, "complete", notes.get(i, "")) for i, (words, _) in enumerate(STEPS))
    seen = {*phases, str(progress.get("phase", ""))}
    reached = max((i for i, (_, names) in enumerate(STEPS) if seen & {*names}), default=LOAD)
    if version.state == "refused" and reached == AGAIN and version.report.get("problem"):
        reached = COMPARE
    now = "running" if version.state == VERIFYING else "failed"
    note = _rate(progress) if progress.get("phase") in STEPS[reached][1] and now == "running" else ""
    states = ["complete"] * reached + [now] + ["waiting"] * (len(STEPS) - reached - 1)
    return tuple(
        Step(words, state, note if i == reached else "")
        for i, ((words, _), state) in enumerate(zip(STEPS, states, strict=True))
    )


def _rate(progress: Mapping[str, Any]) -> str:
    done, total, unit = (progress.get(name) for name in ("done", "total", "unit"))
    return safe_line(f"{fmt.setting(done)} of {fmt.setting(total)} {unit}", 80)


def _lines(path: Path) -> list[str]:
    try:
        with open(open_regular(path), "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            return file.read(MOST_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
