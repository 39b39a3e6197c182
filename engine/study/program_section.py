"""A study whose worker is a program: `[program]`, parameters and metrics of any name, instead of a distillation.

Pure: it reads tables that are parsed already, and asks no file system whether the program exists (`launchable`).
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from bertdistill.engine.contract.program import NAME, PARAM_PREFIX, WHOLE, placeholders, variable
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.study.ranges import read_ranges
from bertdistill.engine.study.scopes import Fixed
from bertdistill.engine.study.search_section import condition_problems, read_shape
from bertdistill.engine.study.sections import (
    Problem,
    did_you_mean,
    is_number,
    not_a_table,
    one_of,
    read_dataclass,
    shown,
    unknown_keys,
    value_problem,
)
from bertdistill.engine.study.space import Parameter, Space, count, own_field, points
from bertdistill.engine.study.study_spec import (
    BudgetSection,
    MetricsSection,
    ProgramSection,
    RunnerSection,
    SamplerSection,
    StoppingSection,
)
from bertdistill.engine.tasks.table import usual_direction

SECTION = "program"
SECTIONS: dict[str, type] = {
    SECTION: ProgramSection,
    "metrics": MetricsSection,
    "budget": BudgetSection,
    "sampler": SamplerSection,
    "runner": RunnerSection,
    "stopping": StoppingSection,
}
"""Tables that are read in the same way."""
TASK = "a program"
"""`StudySpec.task` and `Study.task`: none of the tasks that a student can have."""
KEYS = ("name", "note", "objectives", "search", "settings", "baseline", "ranges", "references", "notify", *SECTIONS)
OF_DISTILLATION = ("task", "data", "teacher", "student", "recipes", "transfer")
HERE = "local"
"""Name of this machine in `runner.machines`."""
RESERVED = ("family", "recipe")
"""Elsewhere these select settings."""
METRIC = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./ @-]{0,127}")
"""Names of metrics, as of every series."""
LARGEST_GRID = 100_000


def read_program(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The keyword arguments of StudySpec, without name, note and references, and all problems."""
    problems = list(_keys(raw))
    found: dict[str, Any] = {"task": TASK}
    for name, cls in SECTIONS.items():
        found[name], wrong = read_dataclass(cls, raw.get(name, {}), name)
        problems += wrong
    found["values"], wrong = _read_values(raw.get("settings", {}), "settings")
    problems += wrong
    found["search"], wrong = _read_search(raw.get("search", {}))
    problems += wrong
    found["objectives"], wrong = _read_objectives(raw.get("objectives"))
    problems += wrong
    found["baseline"], wrong = _read_values(raw["baseline"], "baseline") if "baseline" in raw else (None, [])
    problems += wrong
    found["ranges"], wrong = read_ranges(raw.get("ranges"), found["search"], own=True) if not problems else ((), [])
    problems += wrong
    return found, problems or list(_across(found))


def _keys(raw: Mapping[str, Any]) -> Iterator[Problem]:
    for key in raw:
        if key in OF_DISTILLATION:
            yield Problem("", str(key), "is of a distillation, which a program replaces; remove it, or [program]")
    yield from unknown_keys({key: 0 for key in raw if key not in OF_DISTILLATION}, KEYS, "")


# --------------------------------------------------------------------------------------------------------- parameters


def _name_problem(name: str) -> str:
    if not NAME.fullmatch(name):
        return "is not a valid name; use up to 64 letters, digits, dashes and underscores, first a letter"
    if name in RESERVED:
        return f"is a reserved name; use another, and pass it on as you like: --{name} {{model_{name}}}"
    return f"is a reserved name: {{{WHOLE}}} is the path of the file; use another" if name == WHOLE else ""


def _read_values(raw: Any, table: str) -> tuple[dict[str, Any], list[Problem]]:
    if not isinstance(raw, Mapping):
        return {}, [not_a_table(table)]
    problems = [Problem(table, str(name), text) for name in raw if (text := _name_problem(str(name)))]
    wrong = ((name, _scalar_problem(str(name), value)) for name, value in raw.items())
    return dict(raw), problems + [Problem(table, str(name), text) for name, text in wrong if text]


def _scalar_problem(name: str, value: Any) -> str:
    if isinstance(value, str) and "\0" in value:
        return "has a null character, which no argument can hold"
    return value_problem(own_field(name, ("", 0)), value)


def _read_search(raw: Any) -> tuple[Space, list[Problem]]:
    if not isinstance(raw, Mapping):
        return (), [not_a_table("search")]
    space: list[Parameter] = []
    problems: list[Problem] = []
    for name, table in raw.items():
        parameter, wrong = _read_parameter(str(name), table)
        problems += [Problem(f"search.{name}", "", text) for text in wrong]
        space += [parameter] if parameter is not None else []
    if not problems:
        problems = [Problem(f"search.{name}", "", text) for name, text in condition_problems(tuple(space))]
    return tuple(space), problems


def _read_parameter(name: str, raw: Any) -> tuple[Parameter | None, list[str]]:
    """A range of whole numbers is one of whole numbers, unless one of low, high and step has a point."""
    if text := _name_problem(name):
        return None, [text]
    table = raw if isinstance(raw, Mapping) else {}
    choices = table.get("choices")
    values = (
        choices
        if isinstance(choices, (list, tuple))
        else [table[key] for key in ("low", "high", "step") if key in table]
    )
    if wrong := [text for value in values if (text := _scalar_problem(name, value))]:
        return None, wrong
    parameter, problems = read_shape(name, raw, own_field(name, values), {})
    return (None if parameter is None else dataclasses.replace(parameter, own=True)), problems


# ---------------------------------------------------------------------------------------------------------- objectives


def _read_objectives(raw: Any) -> tuple[tuple[Objective, ...], list[Problem]]:
    """One or more; any metric that the program gives, better as its name suggests unless it says a direction."""
    if raw is None:
        return (), [Problem("", "objectives", 'is missing: the metrics that the program gives: [{ metric = "score" }]')]
    if not isinstance(raw, (list, tuple)):
        return (), [Problem("", "objectives", 'must be a list: [{ metric = "score", direction = "maximize" }]')]
    read = [_read_objective(item, f"objectives.{index}") for index, item in enumerate(raw)]
    problems = [problem for _, wrong in read for problem in wrong]
    found = tuple(objective for objective, _ in read if objective is not None)
    twice = [name for name, times in Counter(one.metric for one in found).items() if times > 1]
    problems += [Problem("", "objectives", f"has {name} twice; remove one") for name in twice]
    if not problems and not optimised(found):
        problems.append(Problem("", "objectives", "needs at least one metric to optimise, which is not a constraint"))
    return found, problems


def _read_objective(raw: Any, table: str) -> tuple[Objective | None, list[Problem]]:
    if not isinstance(raw, Mapping):
        return None, [not_a_table(table)]
    problems = unknown_keys(raw, ("metric", "direction", "threshold", "constraint"), table)
    metric, threshold, constraint = raw.get("metric"), raw.get("threshold"), raw.get("constraint", False)
    if not isinstance(metric, str) or not METRIC.fullmatch(metric):
        text = (
            "is missing: the name that the program gives it" if metric is None else f"= {shown(metric)} is not a name"
        )
        return None, [*problems, Problem(table, "metric", text)]
    direction = raw.get("direction", usual_direction(metric))
    if direction not in ("maximize", "minimize"):
        problems.append(Problem(table, "direction", f"= {shown(direction)} is not valid; use maximize or minimize"))
    if threshold is not None and not is_number(threshold):
        problems.append(Problem(table, "threshold", f"= {shown(threshold)} must be a number"))
    if not isinstance(constraint, bool):
        problems.append(Problem(table, "constraint", f"= {shown(constraint)} must be true or false"))
    elif constraint and threshold is None:
        problems.append(Problem(table, "threshold", "is missing: a constraint needs a threshold"))
    if problems:
        return None, problems
    return Objective(metric, direction, None if threshold is None else float(threshold), constraint), []


# ------------------------------------------------------------------------------------------------------ across sections


def _across(found: Mapping[str, Any]) -> Iterator[Problem]:
    program, space, values = found[SECTION], found["search"], found["values"]
    yield from _command(program, space, values)
    yield from _environment(program, [*values, *(one.name for one in space)])
    yield from _searched(found)
    yield from _baseline(found["baseline"], space, values)
    metrics, stopping = found["metrics"], found["stopping"]
    names = [one.metric for one in optimised(found["objectives"])]
    if stopping.metric and stopping.metric not in names:
        text = f"= {shown(stopping.metric)} is not an objective that is optimised; use {one_of(names)}"
        yield Problem("stopping", "metric", text)
    others = [name for name in found["runner"].machines if name != HERE]
    if others and not program.files:
        text = (
            f"has {shown(others[0])}, where the files of the program are not: name them in program.files, or remove it"
        )
        yield Problem("runner", "machines", text)
    for name in program.files:
        if not name or "\0" in name or PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            yield Problem(SECTION, "files", f"has {shown(name)}, which is not a path below program.directory")
    if metrics.select:
        yield Problem("metrics", "select", "is of a distillation: a program says itself which checkpoint is the best")


def _command(program: ProgramSection, space: Space, values: Mapping[str, Any]) -> Iterator[Problem]:
    if not program.command or not program.command[0]:
        yield Problem(SECTION, "command", 'is empty: ["python", "train.py", "--lr", "{learning_rate}"]')
    if any("\0" in part for part in program.command):
        yield Problem(SECTION, "command", "has a null character, which no argument can hold")
    searched = {one.name: one for one in space}
    known = [*searched, *values, WHOLE]
    for name in dict.fromkeys(placeholders(program.command)):
        if name not in known:
            text = (
                f"has {{{name}}}, which is not a parameter{did_you_mean(name, known)}; text in braces is {{{{{name}}}}}"
            )
            yield Problem(SECTION, "command", text)
        elif name in searched and searched[name].when and name not in values:
            text = (
                f"has {{{name}}}, which is searched under a condition; give it a value for other trials in [settings]"
            )
            yield Problem(SECTION, "command", f"{text}, or read it from {{{WHOLE}}}")


def _environment(program: ProgramSection, names: Sequence[str]) -> Iterator[Problem]:
    for key, value in program.environment.items():
        if not key or "=" in key or "\0" in key + value:
            yield Problem(f"{SECTION}.environment", key, "is not a valid environment variable")
        elif key.startswith("BERTDISTILL_"):
            yield Problem(f"{SECTION}.environment", key, "is set here; use a name without BERTDISTILL_")
    for one, times in Counter(variable(name) for name in dict.fromkeys(names)).items():
        if times > 1:
            both = one_of([name for name in dict.fromkeys(names) if variable(name) == one]).replace(" or ", " and ")
            yield Problem("search", "", f"has {both}, which are both ${PARAM_PREFIX}… {one}; rename one")


def _searched(found: Mapping[str, Any]) -> Iterator[Problem]:
    space: Space = found["search"]
    for one in space:
        if one.name in found["values"] and not one.when:
            yield Problem("settings", one.name, f"is fixed here and searched in [search.{one.name}]; remove one")
    if found["sampler"].kind == "grid" and space:
        endless = [one.name for one in space if points(one) is None]
        if endless:
            yield Problem("sampler", "kind", f"= grid needs choices or a step for {one_of(endless)}")
        elif (total := count(space, Fixed(values=found["values"])) or 0) > LARGEST_GRID:
            yield Problem("sampler", "kind", f"= grid would have to try {total:,} parameter sets; use another")


def _baseline(baseline: Mapping[str, Any] | None, space: Space, values: Mapping[str, Any]) -> Iterator[Problem]:
    if baseline is None:
        return
    known = [*(one.name for one in space), *values]
    for name in baseline:
        if name not in known:
            yield Problem("baseline", name, f"is not a parameter{did_you_mean(name, known)}")
    for one in space:
        if one.name not in baseline and one.name not in values and not one.when:
            yield Problem("baseline", one.name, "is missing: trial 0 needs a value for every searched parameter")


def unpassed(command: Sequence[str], names: Sequence[str]) -> list[str]:
    """Parameters that the command does not pass on although it passes others: the program must read them itself."""
    used = set(placeholders(command))
    return [] if not used or WHOLE in used else [name for name in names if name not in used]
