"""Whether a study file with changes may start in a workspace, and what to fix first. It starts nothing.

Sizes and data are judged by `engine plan` (see `plan_process`); this is what can be checked while a person types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bertdistill.app.views.inputs import missing_inputs
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.steering.actions import ADJUSTABLE, fixed_part
from bertdistill.engine.study.config import dump, load_study, study_from_dict
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.store.errors import BertDistillError
from bertdistill.store.rows import Study, StudyState


@dataclass(frozen=True)
class Taken:
    """A study in the workspace."""

    spec: Mapping[str, Any]
    fresh: bool = False
    """It ended before it was prepared, so another file may take its place."""


@dataclass(frozen=True)
class Checked:
    """A study file with changes, judged. Without problems it may start."""

    spec: StudySpec | None
    problems: tuple[str, ...] = ()
    goes_on: bool = False
    """A study of this name and these settings exists already; starting resumes it."""


def taken(studies: Sequence[Study]) -> dict[str, Taken]:
    """The studies of a workspace by name."""
    ended = (StudyState.FAILED, StudyState.STOPPED)
    return {s.name: Taken(s.spec, s.state in ended and s.prepared is None) for s in studies}


def check(path: Path, changes: Sequence[str], studies: Mapping[str, Taken]) -> Checked:
    """Load and validate the file with `--set` changes; every problem is one line with its remedy."""
    try:
        spec = load_study(path, changes)
    except BertDistillError as error:
        return Checked(None, problems(error, path))
    there = studies.get(spec.name)
    if there is None:
        return Checked(spec, tuple(missing_inputs(spec)))
    wanted, kept = _kept(spec), _kept_of(there)
    differing = [name for name in sorted({*wanted, *kept}) if wanted.get(name) != kept.get(name)]
    if there.fresh or not differing:
        return Checked(spec, goes_on=True)
    other = free_name(spec.name, studies)
    taken = f'name = "{spec.name}" is taken by a study that differs in {", ".join(differing)}'
    text = f"{taken}; use another name, such as {other}"
    return Checked(spec, (text,))


def _kept_of(there: Taken) -> Mapping[str, Any]:
    """Empty for logged runs, and for a study whose spec is no longer valid: any file differs from those."""
    try:
        return _kept(study_from_dict(there.spec, where="the study"))
    except ConfigError:
        return {}


def problems(error: BertDistillError, path: Path) -> tuple[str, ...]:
    """The lines of an error without the name of the file, which the screen shows anyway; the hint follows the last."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    for start in (f"{path}: ", "--set: "):
        lines = [line.removeprefix(start) for line in lines]
    if error.hint and lines:
        lines[-1] = f"{lines[-1]}. {error.hint}"
    return tuple(lines)


def free_name(name: str, names: Mapping[str, Any]) -> str:
    """`name-2`, or the next number that no study has."""
    number = 2
    while f"{name[:60]}-{number}" in names:
        number += 1
    return f"{name[:60]}-{number}"


def _kept(spec: StudySpec) -> dict[str, Any]:
    """What must stay as it is while a study of that name exists."""
    raw = dump(spec)
    return {name: fixed_part(name, raw) for name in raw if name not in ADJUSTABLE}
