"""Checks across the keys of a study file. Pure: it opens no files and knows no models but the study's own.

Each check covers the sections that could be read; a section with problems of its own is None and is skipped.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bertdistill.engine.contract.spec import SCRATCH, DataSpec, Settings, StudentSpec, TeacherSpec, TransferSpec
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.families.transformer import TRANSFORMER
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.study.sections import (
    Problem,
    did_you_mean,
    is_number,
    not_a_table,
    one_of,
    shown,
    unknown_keys,
    value_problem,
)
from bertdistill.engine.study.space import SETTING, Space, count, grid, points, resolve
from bertdistill.engine.study.transfer_checks import transfer_problems
from bertdistill.engine.tasks.table import METRICS, TASKS, metrics_of

NEED_SCRATCH = ("hidden_size", "ffn_size", "head_size")
NEED_PRETRAINED = ("layer_choice", "layer_list", "head_choice", "head_seed")
"""Layers and heads with random weights are interchangeable, so choosing among them has no effect."""

MOST_SHAPES = 100_000
"""Larger spaces of widths and heads are not enumerated; the runner rejects an invalid proposal later."""

LARGEST_GRID = 100_000
"""Maximum number of parameter sets that the grid sampler shuffles at each proposal."""


@dataclass(frozen=True)
class Parts:
    """The sections of a study file that could be read."""

    task: str | None
    data: DataSpec | None
    teacher: TeacherSpec | None
    student: StudentSpec | None
    settings: Settings | None
    fixed: frozenset[str]
    """Keys that `[settings]` names."""
    search: Space | None
    objectives: tuple[Objective, ...] | None
    stored: tuple[str, ...]
    select: str
    sampler: str
    baseline: Mapping[str, Any] | None
    transfer: tuple[TransferSpec, ...]
    references: tuple[tuple[str, Mapping[str, float]], ...]


def cross_problems(parts: Parts) -> list[Problem]:
    """All problems across sections."""
    checks = (
        *(_data, _task_columns, _teacher, _transfer, _metrics, _families, _search, _scratch, _baseline, _shapes),
        _references,
    )
    return [problem for check in checks for problem in check(parts)]


# ---------------------------------------------------------------------------------------------------------- objectives


def read_objectives(raw: Any) -> tuple[tuple[Objective, ...] | None, list[Problem]]:
    """`objectives` from its list of tables; the direction defaults to that of the metric."""
    if not isinstance(raw, (list, tuple)):
        return None, [Problem("", "objectives", 'must be a list: [{ metric = "exact" }, { metric = "params" }]')]
    objectives: list[Objective] = []
    problems: list[Problem] = []
    for index, item in enumerate(raw):
        objective, wrong = _read_objective(item, f"objectives.{index}")
        metric = item.get("metric") if isinstance(item, Mapping) else None
        of = metric if isinstance(metric, str) and metric in METRICS else ""
        problems += [one if one.key == "metric" else dataclasses.replace(one, of=of) for one in wrong]
        if objective is not None:
            objectives.append(objective)
    names = [objective.metric for objective in objectives]
    problems += [
        Problem("", "objectives", f"has {n} twice; remove one") for n in dict.fromkeys(names) if names.count(n) > 1
    ]
    if not problems and len(optimised(objectives)) < 2:
        problems.append(Problem("", "objectives", "needs at least two metrics to optimise, such as exact and params"))
    return (None if problems else tuple(objectives)), problems


def _read_objective(raw: Any, table: str) -> tuple[Objective | None, list[Problem]]:
    if not isinstance(raw, Mapping):
        return None, [not_a_table(table)]
    problems = unknown_keys(raw, ("metric", "direction", "threshold", "constraint"), table)
    metric = METRICS.get(raw["metric"]) if isinstance(raw.get("metric"), str) else None
    if "metric" not in raw:
        problems.append(Problem(table, "metric", "is missing: the name of a metric, such as exact or params"))
    elif metric is None:
        hint = did_you_mean(str(raw["metric"]), METRICS)
        problems.append(Problem(table, "metric", f"= {shown(raw['metric'])} is not a metric{hint}"))
    if metric is None:
        return None, problems
    if metric.not_an_objective:
        problems.append(Problem(table, "metric", f"= {metric.name} {metric.not_an_objective}"))
    if raw.get("direction", metric.direction) != metric.direction:
        text = f"= {shown(raw['direction'])} is wrong for {metric.name}; remove it or use {metric.direction}"
        problems.append(Problem(table, "direction", text))
    threshold, constraint = raw.get("threshold"), raw.get("constraint", False)
    problems += _threshold_problems(threshold, metric.unit, table)
    if not isinstance(constraint, bool):
        problems.append(Problem(table, "constraint", f"= {shown(constraint)} must be true or false"))
    elif constraint and threshold is None:
        problems.append(Problem(table, "threshold", "is missing: a constraint needs a threshold"))
    if problems:
        return None, problems
    return Objective(metric.name, metric.direction, None if threshold is None else float(threshold), constraint), []


def _threshold_problems(threshold: Any, unit: str, table: str) -> list[Problem]:
    if threshold is None:
        return []
    if not is_number(threshold):
        return [Problem(table, "threshold", f"= {shown(threshold)} must be a number")]
    if unit == "%" and not -100 <= threshold <= 100:
        return [Problem(table, "threshold", f"= {shown(threshold)} is above 100; scores are percentages")]
    if unit == "%" and 0 < threshold <= 1:
        percent = shown(threshold * 100)
        return [Problem(table, "threshold", f"= {shown(threshold)} is a fraction; scores are percentages: {percent}")]
    return []


def _metrics(parts: Parts) -> Iterator[Problem]:
    if parts.task is None:
        return
    for index, objective in enumerate(parts.objectives or ()):
        yield from _fits_task(objective.metric, parts.task, f"objectives.{index}", "metric")
    for name in parts.stored:
        yield from _fits_task(name, parts.task, "metrics", "stored")
    selectable = (*TASKS[parts.task].selectable, "search_loss")  # what every evaluation yields
    if parts.select and parts.select not in selectable:
        yield Problem(
            "metrics", "select", f"= {shown(parts.select)} is not available at evaluations; use {one_of(selectable)}"
        )


def _fits_task(name: str, task: str, table: str, key: str) -> Iterator[Problem]:
    if name not in METRICS:
        yield Problem(table, key, f"= {shown(name)} is not a metric{did_you_mean(name, METRICS)}")
    elif name not in metrics_of(task):
        yield Problem(table, key, f"= {shown(name)} does not exist for {task}; use {one_of(TASKS[task].scores)}")


def _references(parts: Parts) -> Iterator[Problem]:
    for index, (label, metrics) in enumerate(parts.references):
        for name in metrics:
            if name not in METRICS:
                text = f"is not a metric{did_you_mean(name, METRICS)}"
                yield Problem(f"references.{index}.metrics", name, text, label)


# ------------------------------------------------------------------------------------------------------- data, teacher


def _data(parts: Parts) -> Iterator[Problem]:
    data = parts.data
    if data is None:
        return
    if bool(data.hub) == bool(data.train):
        found = "has both hub and train; remove one" if data.hub else "needs hub (a Hub id) or train (a local file)"
        yield Problem("data", "", found)
    elif data.train and not data.report:
        yield Problem("data", "report", "is missing: name the file that only promotions read")
    elif data.train and data.train == data.report:
        yield Problem("data", "report", "is the training file; use different data, or the report is meaningless")
    elif data.hub and data.report:
        yield Problem("data", "report", "applies to local files only; with hub, set report_split")
    elif data.hub and not data.report_split:
        yield Problem("data", "report_split", "is missing: name the Hub split that only promotions read")
    elif data.hub and data.train_split == data.report_split:
        yield Problem("data", "report_split", "is the training split; use another, or the report is meaningless")
    elif not data.hub and data.hub_config:
        yield Problem("data", "hub_config", "has no effect without hub; remove it")


def _task_columns(parts: Parts) -> Iterator[Problem]:
    data = parts.data
    if data is None or parts.task is None:
        return
    if TASKS[parts.task].spans:
        room = data.max_length - data.max_question_length - 3
        if room < 1:
            text = f"= {data.max_length} leaves no room for a passage next to a question of max_question_length"
            yield Problem(
                "data", "max_length", f"{text} = {data.max_question_length}; raise it, or lower max_question_length"
            )
        elif data.doc_stride >= room:
            text = f"= {data.doc_stride} is too large for windows to advance"
            remedy = f"use less than {room} (max_length - max_question_length - 3)"
            yield Problem("data", "doc_stride", f"{text}; {remedy}, or raise max_length")
        for key in ("text_column", "text_pair_column", "label_column", "labels"):
            if getattr(data, key):
                yield Problem("data", key, "applies to text-classification only; remove it")
    elif len(set(data.labels)) != len(data.labels) or len(data.labels) == 1:
        yield Problem("data", "labels", "needs at least two distinct names")


def _teacher(parts: Parts) -> Iterator[Problem]:
    teacher = parts.teacher
    if teacher is None or teacher.model != SCRATCH:
        if teacher is not None and not teacher.model:
            yield Problem("teacher", "model", 'is empty; give a Hub id, a folder or "scratch"')
        return
    if teacher.fine_tune is None:
        yield Problem("teacher", "fine_tune", "is missing: a scratch teacher must be trained; add [teacher.fine_tune]")
    if teacher.hidden_size % teacher.head_size:
        text = f"= {teacher.head_size} does not divide hidden_size = {teacher.hidden_size}"
        yield Problem("teacher", "head_size", f"{text}; use a divisor")


def _transfer(parts: Parts) -> Iterator[Problem]:
    yield from transfer_problems(parts.transfer, parts.task, parts.data)
    if parts.transfer or parts.settings is None:
        return
    none = "is above 0, but there is no [[transfer]] table to draw from; add one, or use 0"
    if parts.settings.transfer_share:
        yield Problem("settings", "transfer_share", none)
    if any(parameter.name == "transfer_share" for parameter in parts.search or ()):
        yield Problem("search.transfer_share", "", none)
    if (parts.baseline or {}).get("transfer_share"):
        yield Problem("baseline", "transfer_share", none)


# --------------------------------------------------------------------------------------------- settings, search, shape


def _search(parts: Parts) -> Iterator[Problem]:
    searched = [parameter.name for parameter in parts.search or ()]
    for name in searched:
        if name in parts.fixed:
            way = f"remove one (on the command line, --set search.{name}= removes it from the search)"
            conditional = any(parameter.name == name and parameter.when for parameter in parts.search or ())
            if not conditional:
                yield Problem("settings", name, f"is fixed here and searched in [search.{name}]; {way}")
    if parts.search and parts.sampler == "grid":
        endless = [parameter.name for parameter in parts.search if points(parameter) is None]
        if endless:
            yield Problem("sampler", "kind", f"= grid needs choices or a step for {one_of(endless)}")
        elif (count(parts.search, parts.settings) or 0) > LARGEST_GRID:
            size = f"{count(parts.search, parts.settings):,} parameter sets"
            yield Problem("sampler", "kind", f"= grid would have to try {size}; use another sampler or fewer values")
    yield from _without_effect(parts)


def _without_effect(parts: Parts) -> Iterator[Problem]:
    """A searched parameter without effect wastes trials: the original experiment searched two of them for 479 runs."""
    if parts.settings is None or parts.search is None:
        return
    named = {parameter.name: parameter for parameter in parts.search}

    def possible(name: str) -> tuple[Any, ...]:
        found = points(named[name]) if name in named else (getattr(parts.settings, name),)
        return found or ()

    if "head_seed" in named and "random" not in possible("head_choice"):
        yield Problem("search.head_seed", "", 'has no effect unless head_choice = "random"; set or search head_choice')
    if "head_choice" in named and possible("heads") == (0,):
        yield Problem("search.head_choice", "", "has no effect with heads = 0, which keeps all; set or search heads")
    if "layer_choice" in named and possible("layers") == (0,):
        yield Problem("search.layer_choice", "", "has no effect with layers = 0, which keeps all; set or search layers")
    if "transfer_share" in named and possible("alpha") == (0.0,):
        yield Problem(
            "search.transfer_share", "", "has no effect with alpha = 0: nothing else labels these texts; raise alpha"
        )
    if "temperature" in named and possible("soft_loss") == ("mse",):
        yield Problem("search.temperature", "", 'has no effect with soft_loss = "mse"; remove it')
    listed = parts.settings.layer_list
    if "list" in possible("layer_choice") and not listed:
        yield Problem("settings", "layer_list", 'is missing: layer_choice = "list" needs layer indices')
    if len(set(listed)) != len(listed) or any(index < 0 for index in listed):
        yield Problem("settings", "layer_list", f"= {shown(listed)} must be distinct indices starting from 0")


def _families(parts: Parts) -> Iterator[Problem]:
    """Every family, fixed or searched, must exist and support the task."""
    searched = [p for p in parts.search or () if p.name == "family"]
    named = [("search.family", "choices", name) for p in searched for name in p.choices]
    if parts.settings is not None and not searched:
        named.append(("settings", "family", parts.settings.family))
    if parts.baseline and "family" in parts.baseline:
        named.append(("baseline", "family", parts.baseline["family"]))
    for table, key, name in named:
        if name not in FAMILIES:
            if table == "settings":  # the others are checked like any value of a setting
                yield Problem(table, key, f"= {shown(name)} is not a family; use {one_of(FAMILIES)}")
        elif parts.task is not None and not FAMILIES[name].fits(TASKS[parts.task]):
            fitting = [one for one in FAMILIES if FAMILIES[one].fits(TASKS[parts.task])]
            yield Problem(table, key, f"= {shown(name)} does not support {parts.task}; use {one_of(fitting)}")


def _may_be_transformer(parts: Parts, when: Mapping[str, tuple[Any, ...]]) -> bool:
    """Whether a parameter with these conditions can be active in a transformer."""
    searched = [parameter for parameter in parts.search or () if parameter.name == "family"]
    fixed = parts.settings.family if parts.settings else TRANSFORMER.name
    return TRANSFORMER.name in when.get("family", searched[0].choices if searched else (fixed,))


def _scratch(parts: Parts) -> Iterator[Problem]:
    """Sizes of transformers that are cut from a checkpoint, and choices among layers that are new."""
    if parts.student is None:
        return
    scratch = parts.student.init == SCRATCH
    if not parts.student.init:
        yield Problem("student", "init", 'is empty; use "teacher", "scratch", a Hub id or a folder')
    wrong = NEED_PRETRAINED if scratch else NEED_SCRATCH
    why = (
        "has no effect from scratch: all new layers and heads are interchangeable"
        if scratch
        else 'needs [student] init = "scratch"'
    )
    searched = [parameter for parameter in parts.search or () if parameter.name in wrong]
    for name in [parameter.name for parameter in searched if _may_be_transformer(parts, parameter.when)]:
        yield Problem(f"search.{name}", "", f"{why}; remove it")
    for name in wrong if _may_be_transformer(parts, {}) else ():
        if name in parts.fixed and parts.settings and getattr(parts.settings, name) != getattr(Settings(), name):
            yield Problem("settings", name, f"{why}; remove it")


def _baseline(parts: Parts) -> Iterator[Problem]:
    for name, value in (parts.baseline or {}).items():
        if name not in SETTING:
            yield Problem("baseline", name, f"is not a setting{did_you_mean(name, SETTING)}")
        elif text := value_problem(SETTING[name], value):
            yield Problem("baseline", name, text)


def _shapes(parts: Parts) -> Iterator[Problem]:
    """Widths and heads of students from scratch, for every combination in the space."""
    if parts.student is None or parts.student.init != SCRATCH or parts.settings is None or parts.search is None:
        return
    if not _may_be_transformer(parts, {}):
        return
    width = parts.teacher.hidden_size if parts.teacher and parts.teacher.model == SCRATCH else 0
    asked = _with_conditions(parts.search, {"hidden_size", "head_size", "heads", "family"})
    if (count(asked, parts.settings) or math.inf) <= MOST_SHAPES:
        for params in grid(asked, parts.settings):
            if text := _shape_problem(resolve(asked, params, parts.settings), width):
                yield Problem("search" if params else "settings", "", text)
                break
    if parts.baseline is not None and not list(_baseline(parts)):
        settings = dataclasses.replace(parts.settings, **parts.baseline)
        if text := _shape_problem(settings, width):
            yield Problem("baseline", "", text)


def _with_conditions(space: Space, names: set[str]) -> Space:
    while True:
        more = {other for p in space if p.name in names for other in p.when} - names
        if not more:
            return tuple(p for p in space if p.name in names)
        names = names | more


def _shape_problem(settings: Settings, teacher_width: int) -> str:
    if settings.family != TRANSFORMER.name:
        return ""
    width = settings.hidden_size or teacher_width
    if not width:
        return ""
    if width % settings.head_size:
        return f"allows head_size = {settings.head_size} with hidden_size = {width}, which it does not divide"
    if settings.heads > width // settings.head_size:
        most = width // settings.head_size
        remedy = "use fewer, or omit heads: from scratch their number is hidden_size / head_size"
        return f"allows heads = {settings.heads} with hidden_size = {width}, which has {most}; {remedy}"
    return ""
