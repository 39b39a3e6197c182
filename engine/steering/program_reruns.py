"""Reruns of a program: a trial with one of its values changed. Pure; `reruns` refuses, creates and records."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from bertdistill.engine.contract.errors import ActionRefused, InvalidRequest
from bertdistill.engine.study.planned import Planned, plan_program
from bertdistill.engine.study.sections import did_you_mean, kind_of, shown
from bertdistill.engine.study.space import coerce, describe, own_field
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.suggestions import example, suggested
from bertdistill.store.rows import Trial


def program_keys(spec: StudySpec) -> tuple[str, ...]:
    """What a rerun may change: searched parameters, then fixed values."""
    searched = tuple(one.name for one in spec.search)
    return (*searched, *(name for name in spec.values if name not in searched))


def changed_program(spec: StudySpec, parent: Trial, key: str, value: Any) -> tuple[Planned, Any]:
    """The parent with one value changed, and the old value (None if it had none). A refusal suggests values."""
    if key not in program_keys(spec):
        raise InvalidRequest(f"{key!r} is not a parameter of study {spec.name}{did_you_mean(key, program_keys(spec))}")
    old, text = parent.settings.get(key), str(value).strip()
    parameter = next((one for one in spec.search if one.name == key), None)
    try:
        new = coerce(parameter, text) if parameter is not None else _like(key, text, spec.values[key])
    except ValueError as error:
        near = suggested(parameter, text, old or 0, lambda _: True) if parameter is not None else []
        raise InvalidRequest(str(error), hint=example(near)) from error
    if new == old:
        raise ActionRefused(f"{key} is already {shown(new)} in trial {parent.number}")
    planned = plan_program(spec, {**parent.settings, key: new})
    if parameter is not None and key not in planned.params:
        hint = f"The study searches it as {describe(parameter)}."
        raise ActionRefused(f"{key} has no effect in trial {parent.number}", hint=hint)
    return planned, old


def _like(key: str, text: str, now: Any) -> Any:
    """The value typed for a fixed one, of the type that it has; ValueError says which."""
    kind = kind_of(own_field(key, (now,)))
    if isinstance(now, bool):
        if text not in ("true", "false"):
            raise ValueError(f"{key} = {text} is neither true nor false")
        return text == "true"
    try:
        return int(text) if kind == "int" else float(text) if kind == "float" else text
    except ValueError:
        raise ValueError(f"{key} = {text} is not a {'whole ' if kind == 'int' else ''}number") from None


def usual_minutes(done: Sequence[Trial]) -> float | None:
    """How long complete trials took in the middle; None without any."""
    return median(trial.busy_seconds / 60 for trial in done) if done else None
