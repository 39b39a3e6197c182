"""Trials that users create: queued trials with chosen parameters, and reruns that differ in one setting.

Nothing is started here; the runner launches waiting trials.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from bertdistill.engine.contract.errors import ActionRefused, ConfigError, InvalidRequest
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.spec import SCRATCH, SEARCHABLE, Settings
from bertdistill.engine.contract.terms import passes
from bertdistill.engine.contract.workspace import Workspace
from bertdistill.engine.runner.budget import UNDONE, used
from bertdistill.engine.runner.rules import over_limit
from bertdistill.engine.steering.program_reruns import changed_program, program_keys, usual_minutes
from bertdistill.engine.steering.recording import record, study_and_spec, writing
from bertdistill.engine.study import memory
from bertdistill.engine.study.config import nearest
from bertdistill.engine.study.family_checks import idle_keys
from bertdistill.engine.study.planned import Planned
from bertdistill.engine.study.scopes import split, uses
from bertdistill.engine.study.sections import shown
from bertdistill.engine.study.space import (
    Parameter,
    active,
    check,
    coerce,
    contains,
    describe,
    in_order,
    middle,
    resolve,
)
from bertdistill.engine.study.student import known, plan
from bertdistill.engine.study.study_spec import StudySpec
from bertdistill.engine.study.suggestions import example, fixed_parameter, read_fixed, suggested
from bertdistill.store import reads, writes
from bertdistill.store.db import open_db
from bertdistill.store.rows import Study, StudyState, Trial, TrialState

if TYPE_CHECKING:
    from bertdistill.store.writing import Writing


def queue_trial(
    workspace: Workspace, study: str, params: Mapping[str, Any], *, beside: Mapping[str, Any] | None = None, who: str
) -> Trial:
    """A trial with parameters that a user chose within the search space; it runs before proposed trials and counts
    against the budget. `filled` adds missing parameters; `beside` are settings that are not searched and differ from
    the study's, see `changed_beside`. Refused if such a trial exists; the message says which."""
    with writing(workspace) as db, db.write() as session:
        found, spec = study_and_spec(session, study)
        prepared = _prepared(found)
        params = _typed(spec, params)
        trials = reads.trials(session, found.id)
        if used(trials) >= spec.budget.trials:
            hint = "Raise budget.trials, or rerun a trial, which does not count against it."
            raise ActionRefused(f"the budget of {spec.budget.trials} trials is used up", hint=hint)
        planned = plan(spec, prepared, {**filled(spec, params), **(beside or {})})
        if idle := [one for one in spec.search if one.name in params and one.name not in planned.params]:
            hint = f"The study searches it as {describe(idle[0])}."
            raise InvalidRequest(f"{idle[0].name} has no effect with these parameters", hint=hint)
        _refuse_repeated(trials, planned.settings)
        _refuse_too_large(spec, planned)
        trial = _add_trial(session, found, planned, "queued")
        record(session, who, "queue", found.id, trial.id, arguments=planned.params)
        return trial


def _typed(spec: StudySpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Typed or given values, converted to the types of their parameters; InvalidRequest lists every problem."""
    named = {one.name: one for one in spec.search}
    problems = check(spec.search, {name: 0 for name in params if name not in named})
    values: dict[str, Any] = {}
    for name, parameter in named.items():
        try:
            values |= {name: coerce(parameter, str(params[name]))} if name in params else {}
        except ValueError as error:
            problems.append(str(error))
    if problems := problems or check(spec.search, values):
        hint = f"See the search space with: bertdistill-tui engine export {spec.name} --format toml"
        raise InvalidRequest("; ".join(problems), hint=hint)
    return values


def changed_beside(spec: StudySpec, settings: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a trial that the study does not search and that differ from what it would give `params`."""
    if spec.program is not None:
        return {}
    usual = vars(resolve(spec.search, params, spec.fixed))
    searched = {one.key for one in spec.search}
    return {
        key: settings[key] for key in usual if key in settings and key not in searched and settings[key] != usual[key]
    }


def filled(spec: StudySpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """A complete parameter set: missing values come from the baseline, else from the middle of the range.

    Where the range was narrowed, the baseline's value is used only if it is inside.
    """
    chosen = dict(params)
    base = spec.baseline or {}
    family = base.get("family", spec.settings.family) if spec.program is None else ""
    for parameter in in_order(spec.proposable):
        name = parameter.name
        if name not in chosen:
            value = base.get(parameter.key) if parameter.applies(family) else None
            chosen[name] = value if value is not None and contains(parameter, value) else middle(parameter)
    return {parameter.name: chosen[parameter.name] for parameter in spec.search}


def rerun(workspace: Workspace, study: str, number: int, key: str, value: Any, *, who: str) -> Trial:
    """A new trial that differs from trial `number` in exactly one setting, `key`, which may be named with its family.

    With another family, the keys that only one of both uses, or that have a table of their own, take the fixed
    settings. It records its parent and does not count against the budget; a complete study runs again. Refused when a
    trial with these settings exists (the message says which), and when its known size breaks a threshold.
    """
    with writing(workspace) as db, db.write() as session:
        found, spec = study_and_spec(session, study)
        parent = reads.trial(session, found.id, number)
        trials = reads.trials(session, found.id)
        planned, old = _changed_trial(found, spec, trials, parent, key, value)
        _refuse_repeated(trials, planned.settings)
        _refuse_too_large(spec, planned)
        trial = _add_trial(session, found, planned, "rerun", parent.id)
        key = split(key)[1]
        arguments = {"parent": number, key: planned.settings.get(key)}
        record(session, who, "rerun", found.id, trial.id, arguments=arguments, before={key: old})
        return trial


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a rerun would be, before it is started. `minutes` and `memory_mb` are None without a trial to estimate from.

    For a queued trial `key` is empty and `after` holds its parameters.
    """

    key: str
    before: Any
    after: Any
    known: dict[str, float]
    parent_known: dict[str, float]
    minutes: float | None
    memory_mb: float | None
    judged_by: int
    repeats: int | None
    """Number of the trial that already has these settings."""
    excluded: str = ""
    """The threshold that its known size breaks, as a sentence; such a rerun is refused."""


def forecast_rerun(workspace: Workspace, study: str, number: int, key: str, value: Any) -> Forecast:
    """The change, its exact size, and time and memory estimated from similar complete trials. Starts nothing."""
    db = open_db(workspace.path, read_only=True)
    try:
        with db.read() as session:
            found, spec = study_and_spec(session, study)
            parent = reads.trial(session, found.id, number)
            trials = reads.trials(session, found.id)
    finally:
        db.close()
    planned, old = _changed_trial(found, spec, trials, parent, key, value)
    done = _of_its_family(planned, trials)
    return Forecast(
        key=split(key)[1],
        before=old,
        after=planned.settings.get(split(key)[1]),
        known=planned.known,
        parent_known=dict(parent.known),
        minutes=_minutes(planned, done) if spec.program is None else usual_minutes(done),
        memory_mb=_memory(planned, done) if spec.program is None else None,
        judged_by=len(done),
        repeats=_repeated(trials, planned.settings),
        excluded=(over_limit(spec, planned.known) or ("", ""))[1],
    )


def forecast_queued(study: Study, spec: StudySpec, trials: Sequence[Trial], params: Mapping[str, Any]) -> Forecast:
    """What a queued trial with these values would be; values without effect are omitted. Starts nothing.

    ActionRefused while the study is not prepared, ConfigError when no student can be built from the values.
    """
    planned = plan(spec, _prepared(study), params)
    done = _of_its_family(planned, trials)
    return Forecast(
        key="",
        before=None,
        after=planned.params,
        known=planned.known,
        parent_known={},
        minutes=_minutes(planned, done) if spec.program is None else usual_minutes(done),
        memory_mb=_memory(planned, done) if spec.program is None else None,
        judged_by=len(done),
        repeats=_repeated(trials, planned.settings),
        excluded=(over_limit(spec, planned.known) or ("", ""))[1],
    )


def changeable(spec: StudySpec, family: str) -> tuple[str, ...]:
    """The settings that a rerun may change: those that apply to students of this family in this study."""
    if spec.program is not None:
        return program_keys(spec)
    return tuple(name for name in SEARCHABLE if _applies(spec, family, name))


def _applies(spec: StudySpec, family: str, key: str) -> bool:
    return (
        uses(family, key)
        and (key != "recipe" or bool(spec.recipes))
        and key not in idle_keys(family, scratch=spec.student.init == SCRATCH)
    )


def searched_as(spec: StudySpec, family: str, key: str) -> Parameter | None:
    """The parameter that sets a key in students of this family."""
    return next((one for one in spec.search if one.key == key and one.applies(family)), None)


def _changed_trial(
    study: Study, spec: StudySpec, trials: Sequence[Trial], parent: Trial, key: str, value: Any
) -> tuple[Planned, Any]:
    """The parent with one setting changed, as a plan, and the old value. A refusal suggests accepted values."""
    if spec.program is not None:
        return changed_program(spec, parent, key, value)
    settings = Settings(**parent.settings)
    key = _checked_key(spec, parent.number, settings.family, key)
    old, text = getattr(settings, key), str(value).strip()
    parameter = searched_as(spec, settings.family, key)
    try:
        new = coerce(parameter, text) if parameter is not None else read_fixed(key, text)
        return _with_setting(study, spec, parent, key, new), old
    except (ValueError, ConfigError, ActionRefused) as error:

        def is_taken(other: Any) -> bool:
            try:
                planned = _with_setting(study, spec, parent, key, other)
            except (ConfigError, ActionRefused):
                return False
            return over_limit(spec, planned.known) is None and _repeated(trials, planned.settings) is None

        hint = example(suggested(parameter or fixed_parameter(key), text, old, is_taken))
        leaf = InvalidRequest if isinstance(error, ValueError) else type(error)
        raise leaf(str(error), hint=hint or getattr(error, "hint", "")) from error


def _checked_key(spec: StudySpec, number: int, family: str, name: str) -> str:
    """The key that a rerun of a trial of this family may change; InvalidRequest if it may not."""
    own, key = split(name)
    if key not in SEARCHABLE:
        near = nearest(name, SEARCHABLE)
        raise InvalidRequest(f"{name!r} is not a setting of a trial", hint=f"Did you mean {near!r}?" if near else "")
    if own not in ("", family) or not uses(family, key):
        hint = f"Change a setting that {family} uses, or its family."
        raise InvalidRequest(f"{name} has no effect in trial {number}: its family is {family}", hint=hint)
    if key not in changeable(spec, family):
        students = "from scratch" if spec.student.init == SCRATCH else "from a trained model"
        raise InvalidRequest(f"{key} does not apply to students {students}", hint="Change another setting.")
    return key


def _with_setting(study: Study, spec: StudySpec, parent: Trial, key: str, new: Any) -> Planned:
    """The parent with this value; ActionRefused when that changes nothing, ConfigError when no student can be built."""
    settings = Settings(**parent.settings)
    if new == getattr(settings, key):
        raise ActionRefused(f"{key} is already {shown(new)} in trial {parent.number}")
    settings = _changed(spec, settings, key, new)
    family, fixed = settings.family, spec.fixed.under(vars(settings))
    values = {one.name: getattr(settings, one.key) for one in spec.search if one.key != "recipe" or settings.recipe}
    params = dict(active(spec.search, {"family": family, "recipe": settings.recipe, **values}, spec.fixed))
    one = searched_as(spec, family, key)
    if one is not None and one.name not in params:
        hint = f"The study searches it as {describe(one)}."
        raise ActionRefused(f"{key} has no effect in trial {parent.number}", hint=hint)
    # Parameters that this change makes inactive take the fixed setting, as in any trial; else equal trials differ.
    idle = [one.key for one in spec.search if one.applies(family) and one.name not in params]
    settings = dataclasses.replace(settings, **{one: fixed.value(one, family) for one in idle})
    return Planned(params, dict(vars(settings)), known(spec, _prepared(study), settings))


def _changed(spec: StudySpec, settings: Settings, key: str, new: Any) -> Settings:
    """The settings with this value; InvalidRequest for a recipe that does not exist.

    A trial whose recipe sets another value is no longer of this recipe.
    """
    if key == "family":
        return _of_family(spec, settings, new)
    if key == "recipe":
        if new and new not in spec.recipes:
            raise InvalidRequest(f"the study has no recipe {new!r}", hint=f"Its recipes: {', '.join(spec.recipes)}.")
        both = (spec.recipes.get(name, {}) for name in (settings.recipe, new))
        fixed = spec.fixed.under({"recipe": new})
        family = fixed.settings.family if "family" in spec.recipes.get(new, {}) else settings.family
        keys = {one for table in both for one in table} - {"family"}
        found = _of_family(spec, settings, family) if family != settings.family else settings
        return dataclasses.replace(found, recipe=new, **{one: fixed.value(one, family) for one in keys})
    loose = {"recipe": ""} if key in spec.recipes.get(settings.recipe, {}) else {}
    return dataclasses.replace(settings, **{key: new, **loose})


def _of_family(spec: StudySpec, settings: Settings, family: str) -> Settings:
    """The settings with another family: keys that only one of both uses, or with a table of their own, are fixed."""
    both = (settings.family, family)
    own = {name for one in both for name in spec.family_settings.get(one, {})}
    own |= {one.key for one in spec.search if one.family in both}
    alone = own | {key for key in vars(settings) if not all(_applies(spec, one, key) for one in both)}
    fixed = spec.fixed.of(family)
    return dataclasses.replace(settings, family=family, **{key: getattr(fixed, key) for key in alone})


def _repeated(trials: Sequence[Trial], settings: Mapping[str, Any]) -> int | None:
    return next((trial.number for trial in trials if trial.settings == settings and trial.reason != UNDONE), None)


def _refuse_too_large(spec: StudySpec, planned: Planned) -> None:
    """Refuse a trial whose known size breaks a threshold: it needs no run."""
    if refused := over_limit(spec, planned.known):
        hint = f"Choose a smaller student, or relax it: bertdistill-tui engine set {spec.name} threshold.METRIC=VALUE"
        raise ActionRefused(refused[1], hint=hint)


def _refuse_repeated(trials: Sequence[Trial], settings: Mapping[str, Any]) -> None:
    number = _repeated(trials, settings)
    if number is not None:
        state = next(trial.state for trial in trials if trial.number == number)
        again = "Run it again with: bertdistill-tui engine resume --retry-failed"
        hint = again if state in (TrialState.FAILED, TrialState.STOPPED) else f"Look at trial {number}."
        raise ActionRefused(f"trial {number} ({state}) has exactly these settings", hint=hint)


def _add_trial(session: Writing, study: Study, planned: Planned, origin: str, parent_id: int | None = None) -> Trial:
    """Create the trial; a complete study runs again."""
    trial = writes.create_trial(
        session,
        study_id=study.id,
        origin=origin,
        params=planned.params,
        settings=planned.settings,
        known=planned.known,
        now=time.time(),
        parent_id=parent_id,
    )
    if study.state == StudyState.COMPLETE:
        writes.set_study_state(session, study.id, StudyState.RUNNING, now=time.time())
    return trial


def _prepared(study: Study) -> Prepared:
    if study.prepared is None:
        hint = "Wait until its preparation is done, or resume it: sizes are not known until then."
        raise ActionRefused(f"study {study.name!r} is not prepared yet", hint=hint)
    return Prepared.from_dict(study.prepared)


def _work(settings: Mapping[str, Any], known: Mapping[str, float]) -> float:
    return passes(settings) * max(float(known.get("gflops", 0.0)), 1e-12)


def _of_its_family(planned: Planned, trials: Sequence[Trial]) -> list[Trial]:
    """Complete trials to judge its costs by: another family takes other time and memory for the same operations."""
    complete = [one for one in trials if one.state == TrialState.COMPLETE]
    return [
        one
        for one in complete
        if one.settings.get("family", "transformer") == planned.settings.get("family", "transformer")
    ]


def _minutes(planned: Planned, done: Sequence[Trial]) -> float | None:
    """Training time by the median pace (minutes per pass and operation) of complete trials."""
    paces = [
        float(trial.metrics["train_minutes"]) / _work(trial.settings, trial.known)
        for trial in done
        if trial.metrics.get("train_minutes")
    ]
    return median(paces) * _work(planned.settings, planned.known) if paces else None


def _memory(planned: Planned, done: Sequence[Trial]) -> float | None:
    """Fitted to the complete trials, else that of the one that is closest in batch size, then in size."""

    def distance(trial: Trial) -> tuple[int, float]:
        batch = abs(int(trial.settings["batch_size"]) - int(planned.settings["batch_size"]))
        return batch, abs(float(trial.known.get("params", 0)) - planned.known["params"])

    measured = [trial for trial in done if trial.metrics.get("peak_memory_mb")]
    loads = [(memory.load_of(one.settings, one.known), float(one.metrics["peak_memory_mb"])) for one in measured]
    fitted = memory.fit((load, peak) for load, peak in loads if load is not None)
    load = memory.load_of(planned.settings, planned.known)
    if fitted is not None and load is not None:
        return fitted.estimate(load)
    return float(min(measured, key=distance).metrics["peak_memory_mb"]) if measured else None
