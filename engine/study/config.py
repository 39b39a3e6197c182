"""From a study file (TOML) to a validated StudySpec. Every error names file, key and remedy.

It reads only study files: no database, no model, no dataset. The contents of a study are in `study_spec`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.metrics import Metric
from bertdistill.engine.contract.names import name_problem
from bertdistill.engine.contract.spec import SUPERNET, PretrainSpec, TransferSpec
from bertdistill.engine.pareto.frontier import Objective, optimised
from bertdistill.engine.study import program_section
from bertdistill.engine.study.family_checks import apart, selected, table_and_key
from bertdistill.engine.study.file_paths import with_absolute_paths
from bertdistill.engine.study.notify_section import dump_notify, read_notify
from bertdistill.engine.study.older import modern
from bertdistill.engine.study.parts import Parts
from bertdistill.engine.study.ranges import dump_range, read_ranges
from bertdistill.engine.study.recipes_section import chosen_recipes, read_recipes, with_recipes
from bertdistill.engine.study.scopes import split
from bertdistill.engine.study.search_section import read_search, with_families
from bertdistill.engine.study.sections import (
    Problem,
    did_you_mean,
    nearest,
    not_a_table,
    read_dataclass,
    shown,
)
from bertdistill.engine.study.settings_section import read_settings
from bertdistill.engine.study.space import SETTING, Parameter, Space
from bertdistill.engine.study.study_checks import cross_problems, read_objectives
from bertdistill.engine.study.study_spec import (
    KEYS,
    SECTIONS,
    MetricsSection,
    ProgramSection,
    ReferencePoint,
    SamplerSection,
    StudySpec,
)
from bertdistill.engine.study.study_text import Override, apply_override, parse_override, read_toml, write_toml
from bertdistill.engine.tasks.table import METRICS, TASKS

__all__ = [
    "changed",
    "dump",
    "load_study",
    "nearest",
    "parse_override",
    "select_metric",
    "study_from_dict",
    "to_toml",
]


T = TypeVar("T")


# ------------------------------------------------------------------------------------------------------------- reading


def load_study(path: Path, overrides: Sequence[str] = (), program: ProgramSection | None = None) -> StudySpec:
    """The study in a TOML file with `--set` overrides; raises ConfigError with one problem per line.

    Relative paths are resolved against the working directory, then the file's folder, and made absolute. A `program`
    makes it a study of its command, which works in its directory unless the file says another.
    """
    raw = read_toml(path)
    filed = raw.get(program_section.SECTION, {})
    if program is not None and isinstance(filed, dict):
        raw[program_section.SECTION] = {"directory": program.directory, **filed, "command": program.command}
    changes = [parse_override(text) for text in overrides]
    for change in changes:
        raw = apply_override(raw, change)
    return _study(with_absolute_paths(_in_its_folder(raw, path), path.parent, str(path)), str(path), changes)


def _in_its_folder(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    """A program works in the folder of its study file, or in a folder relative to it."""
    program = raw.get(program_section.SECTION)
    if not isinstance(program, dict) or not isinstance(program.get("directory", ""), str):
        return raw
    directory = Path(path.parent, Path(program.get("directory", "")).expanduser()).absolute()
    return {**raw, program_section.SECTION: {**program, "directory": str(directory)}}


def study_from_dict(raw: Mapping[str, Any], *, where: str) -> StudySpec:
    """The study in nested dicts (from TOML or `dump`); `where` prefixes every line of an error."""
    return _study(raw, where, ())


def changed(spec: StudySpec, key: str, value: Any) -> StudySpec:
    """The study with one dotted key changed (`objectives.0.threshold`), validated again; None removes the key."""
    change = Override(tuple(key.split(".")), value)
    return _study(apply_override(dump(spec), change), spec.name, ())


def _study(raw: Mapping[str, Any], where: str, changes: Sequence[Override]) -> StudySpec:
    spec, problems = _read(raw)
    if problems:
        from_command_line = [change.path for change in changes]
        lines = []
        for problem in dict.fromkeys(problems):
            mine = any(_related(problem.path, path) for path in from_command_line)
            lines.append(f"{'--set' if mine else where}: {problem}")
        raise ConfigError("\n".join(lines))
    return StudySpec(**spec)


def _related(problem: str, override: str) -> bool:
    short, long = sorted((f"{problem}.", f"{override}."), key=len)
    return bool(problem) and long.startswith(short)


def _read(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The keyword arguments of StudySpec, and all problems."""
    if problems := list(_endless_numbers(raw)):
        return {}, problems
    return _read_program(raw) if program_section.SECTION in raw else _read_distillation(modern(raw))


def _unknown_tables(raw: Mapping[str, Any]) -> list[Problem]:
    """Unknown keys outside of tables, with the closest one: also that of a table, which a single value is meant for."""
    inside = {field.name: f"{name}.{field.name}" for name, cls in SECTIONS.items() for field in dataclasses.fields(cls)}
    problems = []
    for key in (str(key) for key in raw if key not in KEYS):
        keys = KEYS if isinstance(raw[key], Mapping) else [*inside, *KEYS]
        near = nearest(key, keys)
        meant = near if near in KEYS else inside.get(near or "")
        problems.append(Problem("", key, "is not a known key" + (f"; did you mean {meant}?" if meant else "")))
    return problems


def _read_program(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    top, problems = _read_top(raw, ("name", "note"))
    references, wrong = _read_references(raw.get("references"))
    found, more = program_section.read_program(raw)
    notify, bad = read_notify(raw.get("notify", {}))
    return {**top, **found, "references": references, "notify": notify}, problems + wrong + more + bad


def _read_top(raw: Mapping[str, Any], keys: Sequence[str]) -> tuple[dict[str, Any], list[Problem]]:
    problems = [Problem("", key, text) for key in keys if (text := _top_problem(key, raw))]
    wrong = {problem.key for problem in problems}
    return {key: raw[key] for key in keys if key in raw and key not in wrong}, problems


def _read_distillation(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    found, problems = _read_top(raw, ("name", "task", "note"))
    problems = [*_unknown_tables(raw), *problems]
    for name, cls in SECTIONS.items():
        if name in ("data", "teacher") and name not in raw:
            problems.append(Problem("", "", f"[{name}] is missing: {(cls.__doc__ or '').split(': ')[-1]}"))
            continue
        if name == "settings":
            found[name], found["family_settings"], wrong = read_settings(raw.get(name, {}))
        elif name == "notify":
            found[name], wrong = read_notify(raw.get(name, {}))
        else:
            found[name], wrong = read_dataclass(cls, raw.get(name, {}), name)
        problems += wrong
    readers = {
        "search": _read_search,
        "baseline": _read_baseline,
        "references": _read_references,
        "transfer": _read_transfer,
        "pretrain": _read_pretrain,
        "recipes": read_recipes,
    }
    for name, reader in readers.items():
        found[name], wrong = reader(raw.get(name))
        problems += wrong
    if "objectives" in raw:
        found["objectives"], wrong = read_objectives(raw["objectives"])
        problems += wrong
    else:
        problems.append(Problem("", "objectives", "is missing: list at least two metrics, such as exact and params"))
    parts = _parts(found, raw)
    if found["search"] is not None:
        space = with_families(found["search"], selected(parts), apart(parts))
        found["search"] = with_recipes(space, parts.recipes, chosen_recipes(parts))
        parts = dataclasses.replace(parts, search=found["search"])
        found["ranges"], wrong = read_ranges(raw.get("ranges"), found["search"])
        problems += wrong
    if found["stopping"] is not None and found["stopping"].metric:
        problems.append(Problem("stopping", "metric", "is for programs; a distillation is judged by its score"))
    return found, problems + cross_problems(parts)


def _parts(found: Mapping[str, Any], raw: Mapping[str, Any]) -> Parts:
    metrics, sampler = found["metrics"] or MetricsSection(), found["sampler"] or SamplerSection()
    fixed = raw.get("settings", {})
    return Parts(
        task=found.get("task"),
        data=found.get("data"),
        teacher=found.get("teacher"),
        student=found["student"],
        settings=found["settings"],
        named=frozenset(fixed) & SETTING.keys() if isinstance(fixed, Mapping) else frozenset(),
        search=found["search"],
        objectives=found.get("objectives"),
        stored=tuple(metrics.stored),
        select=metrics.select,
        sampler=sampler.kind,
        baseline=found["baseline"],
        transfer=found["transfer"] if len(found["transfer"]) == len(raw.get("transfer") or ()) else None,
        references=tuple((point.name, point.metrics) for point in found["references"]),
        family_settings=found["family_settings"],
        recipes=found["recipes"],
        pretrain=found["pretrain"] if len(found["pretrain"]) == len(raw.get("pretrain") or ()) else None,
        supernet="supernet" in raw,
    )


def _top_problem(key: str, raw: Mapping[str, Any]) -> str:
    if key not in raw:
        return "" if key == "note" else f"is missing: {KEYS[key].metadata['help']}"
    value = raw[key]
    if not isinstance(value, str):
        return f"= {shown(value)} must be text"
    if key == "task" and value not in TASKS:
        return f"= {shown(value)} is not a task{did_you_mean(value, TASKS)}"
    return f"= {shown(value)} {text}" if key == "name" and (text := name_problem(value)) else ""


def _read_search(raw: Any) -> tuple[Space | None, list[Problem]]:
    if raw is None:
        return (), []
    if not isinstance(raw, Mapping):
        return None, [not_a_table("search")]
    space, problems = read_search(raw)
    return (None if problems else space), [Problem(*table_and_key(name), text) for name, text in problems]


def _read_baseline(raw: Any) -> tuple[dict[str, Any] | None, list[Problem]]:
    if raw is None or isinstance(raw, Mapping):
        return (None if raw is None else dict(raw)), []
    return None, [not_a_table("baseline")]


def _read_references(raw: Any) -> tuple[tuple[ReferencePoint, ...], list[Problem]]:
    return _read_tables(ReferencePoint, raw, "references", "name")


def _read_transfer(raw: Any) -> tuple[tuple[TransferSpec, ...], list[Problem]]:
    return _read_tables(TransferSpec, raw, "transfer", "kind")


def _read_pretrain(raw: Any) -> tuple[tuple[PretrainSpec, ...], list[Problem]]:
    return _read_tables(PretrainSpec, raw, "pretrain", "kind")


def _read_tables(cls: type[T], raw: Any, section: str, of: str) -> tuple[tuple[T, ...], list[Problem]]:
    """The tables of a list, and their problems; the key `of` tells a table from the others."""
    if raw is None:
        return (), []
    if not isinstance(raw, (list, tuple)):
        return (), [Problem("", section, f"must be a list of tables: [[{section}]]")]
    read = [read_dataclass(cls, item, f"{section}.{index}") for index, item in enumerate(raw)]
    names = [item.get(of) if isinstance(item, Mapping) else None for item in raw]
    problems = [
        dataclasses.replace(one, of=name) if isinstance(name, str) and one.key != of else one
        for name, (_, wrong) in zip(names, read, strict=True)
        for one in wrong
    ]
    return tuple(table for table, _ in read if table is not None), problems


def _endless_numbers(value: Any, path: tuple[str, ...] = ()) -> Iterator[Problem]:
    """TOML allows nan and inf; JSON, SQLite and range checks do not."""
    items = (
        value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    )
    for key, item in items:
        yield from _endless_numbers(item, (*path, str(key)))
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem(".".join(path[:-1]), path[-1], f"= {value} must be a finite number")


# ------------------------------------------------------------------------------------------------------------- writing


def dump(spec: StudySpec) -> dict[str, Any]:
    """The complete study as JSON-safe dicts; `study_from_dict` reads it back as an equal study."""
    if spec.program is not None:
        return _present(_dump_program(spec))
    searched = {parameter.name for parameter in spec.search if not parameter.when}
    settings = {k: v for k, v in dataclasses.asdict(spec.settings).items() if k not in searched} | spec.family_settings
    raw: dict[str, Any] = {
        "name": spec.name,
        "task": spec.task,
        "note": spec.note,
        "objectives": [_dump_objective(objective) for objective in spec.objectives],
        "transfer": [_present(dataclasses.asdict(table)) for table in spec.transfer] or None,
        "pretrain": [_present(dataclasses.asdict(table)) for table in spec.pretrain] or None,
        "references": [dataclasses.asdict(point) for point in spec.references],
        **{name: _present(dataclasses.asdict(getattr(spec, name))) for name in SECTIONS},
        "supernet": dataclasses.asdict(spec.supernet) if spec.student.init == SUPERNET else None,
        "settings": settings,
        "notify": dump_notify(spec.notify),
        "recipes": spec.recipes or None,
        "search": _by_family({parameter.name: _dump_parameter(parameter) for parameter in spec.search}),
        "ranges": _by_family({parameter.name: dump_range(parameter) for parameter in spec.ranges}) or None,
        "baseline": spec.baseline,
    }
    return _present(raw)


def _dump_program(spec: StudySpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "note": spec.note,
        "objectives": [_dump_objective(objective) for objective in spec.objectives],
        "references": [dataclasses.asdict(point) for point in spec.references],
        **{name: dataclasses.asdict(getattr(spec, name)) for name in program_section.SECTIONS},
        "settings": spec.values,
        "notify": dump_notify(spec.notify),
        "search": {parameter.name: _dump_parameter(parameter) for parameter in spec.search},
        "ranges": {parameter.name: dump_range(parameter) for parameter in spec.ranges} or None,
        "baseline": spec.baseline,
    }


def _by_family(found: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, those of a family in its table."""
    tables: dict[str, Any] = {}
    for name, value in found.items():
        family, key = split(name)
        (tables.setdefault(family, {}) if family else tables)[key] = value
    return tables


def _dump_objective(objective: Objective) -> dict[str, Any]:
    raw = _present(dataclasses.asdict(objective))
    return raw if objective.constraint else {key: value for key, value in raw.items() if key != "constraint"}


def _dump_parameter(parameter: Parameter) -> dict[str, Any]:
    if parameter.kind == "choice":
        raw: dict[str, Any] = {"choices": list(parameter.choices)}
    else:
        raw = {"low": parameter.low, "high": parameter.high}
        raw |= {"log": True} if parameter.log else {}
        raw |= {"step": parameter.step} if parameter.step is not None else {}
    return raw | ({"when": {name: list(values) for name, values in parameter.when.items()}} if parameter.when else {})


def _present(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if value is not None}


def to_toml(spec: StudySpec) -> str:
    """The resolved study as a TOML file that `load_study` reads back."""
    return write_toml(dump(spec))


# --------------------------------------------------------------------------------------------------------------- facts


def select_metric(spec: StudySpec) -> Metric:
    """The metric that selects the best checkpoint of a trial."""
    scores = TASKS[spec.task].scores
    named = [objective.metric for objective in optimised(spec.objectives) if objective.metric in scores]
    return METRICS[spec.metrics.select or (named or list(scores))[0]]
