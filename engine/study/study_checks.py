"""Checks across the keys of a study file. Pure: it opens no files and knows no models but the study's own.

Each check covers the sections that could be read; a section with problems of its own is None and is skipped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from bertdistill.engine.contract.spec import SCRATCH, TeacherSpec
from bertdistill.engine.contract.terms import TERMS, TOGETHER
from bertdistill.engine.families import sparsity
from bertdistill.engine.families.phases import NEEDS
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.study.bottleneck_checks import bottleneck_problems
from bertdistill.engine.study.family_checks import family_problems, selected, table_and_key
from bertdistill.engine.study.layer_checks import layer_problems, never, weightless
from bertdistill.engine.study.network_checks import network_problems
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.phase_checks import phase_problems, pointless_phase
from bertdistill.engine.study.pruning_checks import pointless, pruning_problems
from bertdistill.engine.study.recipes_section import recipe_problems
from bertdistill.engine.study.sections import (
    Problem,
    did_you_mean,
    is_number,
    not_a_table,
    one_of,
    shown,
    unknown_keys,
)
from bertdistill.engine.study.space import count, points
from bertdistill.engine.study.supernet_checks import supernet_problems
from bertdistill.engine.study.transfer_checks import transfer_problems
from bertdistill.engine.study.transformer_checks import transformer_problems
from bertdistill.engine.study.vocabulary_checks import vocabulary_problems
from bertdistill.engine.tasks.table import METRICS, TASKS, metrics_of

SHARE = "transfer_share"

LARGEST_GRID = 100_000
"""Maximum number of parameter sets that the grid sampler shuffles at each proposal."""


def cross_problems(parts: Parts) -> list[Problem]:
    """All problems across sections."""
    checks = (
        _data,
        _task_columns,
        _teacher,
        _transfer,
        layer_problems,
        _metrics,
        family_problems,
        recipe_problems,
        _search,
        _student,
        transformer_problems,
        bottleneck_problems,
        vocabulary_problems,
        pruning_problems,
        network_problems,
        phase_problems,
        supernet_problems,
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
    if teacher is None:
        return
    if not teacher.model and not teacher.outputs:
        yield Problem(
            "teacher", "model", 'is missing: Hub id or folder of an encoder, or "scratch"; or name a file in outputs'
        )
    if teacher.model == SCRATCH and teacher.fine_tune is None:
        yield Problem("teacher", "fine_tune", "is missing: a scratch teacher must be trained; add [teacher.fine_tune]")
    if teacher.model in ("", SCRATCH) and teacher.hidden_size % teacher.head_size:
        text = f"= {teacher.head_size} does not divide hidden_size = {teacher.hidden_size}"
        yield Problem("teacher", "head_size", f"{text}; use a divisor")
    yield from _outputs(parts, teacher)


def _outputs(parts: Parts, teacher: TeacherSpec) -> Iterator[Problem]:
    """A teacher that is a file, and several teachers."""
    files = bool(teacher.outputs or teacher.ensemble)
    if files and parts.task is not None and TASKS[parts.task].spans:
        key = "outputs" if teacher.outputs else "ensemble"
        yield Problem("teacher", key, "is for text-classification only: use one teacher.model")
    for index, member in enumerate(teacher.ensemble):
        if bool(member.model) == bool(member.outputs):
            yield Problem(f"teacher.ensemble.{index}", "", "needs either model or outputs")
    if not teacher.outputs:
        return
    if teacher.fine_tune is not None and not teacher.model:
        yield Problem("teacher", "fine_tune", "has no effect: there is no teacher.model to fine-tune; remove it")
    if not teacher.model and parts.student is not None and parts.student.init == "teacher":
        text = '= "teacher", but teacher.outputs is a file, not a model; use "scratch", a Hub id or a folder'
        yield Problem("student", "init", text)
    wanted = {*(one.metric for one in parts.objectives or ()), *parts.stored}
    for missing, of, instead in (("latency_ratio", "latency", "latency_cpu_ms"), ("compression", "size", "bytes")):
        if missing in wanted:
            text = f"is a file without a {of}, so there is no {missing}; use {instead}"
            yield Problem("teacher", "outputs", text)


def _transfer(parts: Parts) -> Iterator[Problem]:
    if parts.transfer is None or parts.settings is None or parts.search is None:
        return
    wrong = list(transfer_problems(parts.transfer, parts.task, parts.data))
    yield from wrong
    named = list(_shares(parts))
    searched = [one for one in parts.search if one.key == SHARE]
    if not parts.transfer:
        text = "is above 0, but there is no [[transfer]] table to draw from; add one, or use 0"
        yield from (Problem(table, SHARE, text) for table, share, _ in named if share)
        yield from (Problem(*table_and_key(one.name), text) for one in searched)
    elif not wrong and not named and not searched and not any(one.kind == "transfer" for one in parts.pretrain or ()):
        yield Problem(
            "transfer", "", "has no effect: no trial draws from it; set or search transfer_share, or remove it"
        )
    for table, share, families in named if parts.transfer else ():
        reasons = [_pointless(parts, SHARE, family) for family in families]
        if share and all(reasons) and not (parts.baseline or {}).get("alpha"):
            yield Problem(table, SHARE, f"= {shown(share)} has no effect {reasons[0]}, or use 0")


def _shares(parts: Parts) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """(table, value, families of trials) wherever the study file fixes transfer_share, be it to 0."""
    if parts.settings is not None and SHARE in parts.named:
        yield "settings", parts.settings.transfer_share, selected(parts)
    for family, table in parts.family_settings.items():
        if SHARE in table:
            yield f"settings.{family}", table[SHARE], (family,)
    for recipe, table in parts.recipes.items():
        if SHARE in table:
            yield f"recipes.{recipe}", table[SHARE], (table["family"],) if "family" in table else selected(parts)
    if parts.baseline and SHARE in parts.baseline:
        yield "baseline", parts.baseline[SHARE], selected(parts)


# --------------------------------------------------------------------------------------------- settings, search, shape


def _search(parts: Parts) -> Iterator[Problem]:
    for one in parts.search or ():
        named = parts.family_settings.get(one.family, {}) if one.family else parts.named
        if one.key in named and not one.when:
            way = f"remove one (on the command line, --set search.{one.name}= removes it from the search)"
            table = f"settings.{one.family}".rstrip(".")
            yield Problem(table, one.key, f"is fixed here and searched in [search.{one.name}]; {way}")
    if parts.search and parts.sampler == "grid":
        endless = [parameter.name for parameter in parts.search if points(parameter) is None]
        if endless:
            yield Problem("sampler", "kind", f"= grid needs choices or a step for {one_of(endless)}")
        elif (count(parts.search, parts.fixed) or 0) > LARGEST_GRID:
            size = f"{count(parts.search, parts.fixed):,} parameter sets"
            yield Problem("sampler", "kind", f"= grid would have to try {size}; use another sampler or fewer values")
    yield from _without_effect(parts)


def _without_effect(parts: Parts) -> Iterator[Problem]:
    """A searched parameter without effect wastes trials: the original experiment searched two of them for 479 runs."""
    if parts.settings is None or parts.search is None:
        return
    for one in parts.search:
        reasons = [_pointless(parts, one.key, family) for family in selected(parts) if one.applies(family)]
        if reasons and all(reasons):
            yield Problem(*table_and_key(one.name), f"has no effect {reasons[0]}")


def _pointless(parts: Parts, key: str, family: str) -> str:
    """Why searching the key changes no student of this family ('' if it does)."""
    match key:
        case "head_seed" if "random" not in parts.values("head_choice", family):
            return 'unless head_choice = "random"; set or search head_choice'
        case "head_choice" if parts.values("heads", family) == (0,):
            return "with heads = 0, which keeps all; set or search heads"
        case "ffn_choice" if parts.values("ffn_size", family) == (0,) and "list" not in parts.values(key, family):
            return "with ffn_size = 0, which keeps all neurons; set or search ffn_size"
        case "layer_choice" if parts.values("layers", family) == (0,):
            return "with layers = 0, which keeps all; set or search layers"
        case "layerwise_share" if parts.values("layerwise", family) == (TOGETHER,):
            return f'with layerwise = "{TOGETHER}"; set or search layerwise'
        case "compared_layers" if parts.values("separate_layers", family) == (0,):
            return "with separate_layers = 0: all layers see both segments; set or search separate_layers"
        case "transfer_share" if _untaught(parts, family):
            return "with alpha = 0: nothing else labels these texts; raise alpha"
        case "temperature" if parts.values("soft_loss", family) == ("mse",):
            return 'with soft_loss = "mse"; remove it'
        case _ if key in sparsity.KEYS:
            return pointless(parts, key, family)
        case _ if key in NEEDS:
            return pointless_phase(parts, key, family)
    weight = weightless(parts, key, family)
    return f"with {weight} = 0; set or search {weight}" if weight else ""


def _untaught(parts: Parts, family: str) -> bool:
    """Whether no term of the loss reads the teacher in any student of this family."""
    terms = [term for term in TERMS.values() if term.taught and (not term.families or family in term.families)]
    return all(never(parts, term, family) for term in terms)


def _student(parts: Parts) -> Iterator[Problem]:
    if parts.student is not None and not parts.student.init:
        yield Problem("student", "init", 'is empty; use "teacher", "scratch", a Hub id or a folder')
