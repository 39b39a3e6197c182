"""The reference page of study files, generated from the sections and keys of the code. It writes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from bertdistill.app.text.format import setting
from bertdistill.app.text.markdown import line, paragraphs, table
from bertdistill.engine.contract.spec import FineTuneSpec, MemberSpec, PretrainSpec, Settings, TransferSpec
from bertdistill.engine.families.family import TRAINING
from bertdistill.engine.families.table import FAMILIES
from bertdistill.engine.study.sections import default_of
from bertdistill.engine.study.space import SETTING
from bertdistill.engine.study.study_spec import KEYS, SECTIONS, ProgramSection, ReferencePoint
from bertdistill.engine.tasks.table import METRICS, TASKS

STUDY_HEAD = """# Study file

Generated from the code by `make docs`. A study file is TOML. Unknown keys are errors that name the nearest known
key. Any key can be overridden on the command line: `--set budget.trials=12 --set teacher.model=./my-teacher`.

Relative paths are resolved against the working directory first, then against the folder of the study file.
"""


def study_page() -> str:
    """`docs/study-file.md`."""
    parts = [STUDY_HEAD, "## Top level\n", table(["key", "default", "means"], _top_rows())]
    for name, section in SECTIONS.items():
        parts.append(f"## [{name}]\n\n{_about(section)}\n")
        parts.append(_dataclass_table(section))
        if name == "teacher":
            parts.append(f"### [teacher.fine_tune]\n\n{_about(FineTuneSpec)}\n")
            parts.append(_dataclass_table(FineTuneSpec))
            parts.append(f"### [[teacher.ensemble]]\n\n{_about(MemberSpec)}\n")
            parts.append(_dataclass_table(MemberSpec))
        if name == "settings":
            parts += [_FAMILIES, table(["family", "keys"], _family_rows()), _RECIPES, _SEARCH, _RANGES, _OBJECTIVES]
    parts.append(f"## [[transfer]]\n\n{_about(TransferSpec)}\n")
    parts.append(_dataclass_table(TransferSpec))
    parts.append(f"## [[pretrain]]\n\n{_about(PretrainSpec)}\n")
    parts.append(_dataclass_table(PretrainSpec))
    parts.append(f"## [[references]]\n\n{_about(ReferencePoint)}\n")
    parts.append(_dataclass_table(ReferencePoint))
    parts.append(f"## [program]\n\n{_about(ProgramSection)}\n")
    parts += [_dataclass_table(ProgramSection), _PROGRAM]
    parts.append("## Metrics\n\nNames for `objectives`, `metrics.stored` and `references`.\n")
    parts.append(table(["name", "better", "unit", "tasks", "known before training", "means"], _metric_rows()))
    return "\n".join(parts)


_PROGRAM = """Such a study has no `task`, `[data]`, `[teacher]`, `[student]`, `[[transfer]]` or `[recipes]`.
`[search.NAME]` and `[settings]` (fixed values) have parameters of any name, `[[objectives]]` one or more metrics that
the program gives, in either direction. See [search.md](search.md).
"""

_FAMILIES = """### [settings.FAMILY]

Values for students of one family alone, such as `[settings.mlp]`; for them they override those of `[settings]`. A key
in `[settings]` is for every family that uses it; one that no family of the study uses is refused.
"""

_RECIPES = """## [recipes.NAME]

Settings of the students whose `recipe` is NAME, for comparing whole methods in one study:

```toml
[recipes.three-layers]
layers = 3
[recipes.narrow]
ffn_size = 512
[search]
recipe = { choices = ["three-layers", "narrow"] }
seed = { choices = [1, 2, 3] }
```

In a student with this recipe, its keys have these values, and no parameter or table of a family sets them; it may set
`family`. An empty table is the plain student. Rerunning a trial with another value for such a key makes it one of no
recipe.
"""

_SEARCH = """## [search.NAME]

One table for each searched key of `[settings]`; a key cannot be fixed and searched. If `family` is searched, a key is
active for the families that use it. `[search.FAMILY.NAME]` is active for students of that family alone, and its name on
the command line, in tables and in filters is `FAMILY.NAME`; `[search.NAME]` is then for the other families.

| key | means |
|---|---|
| `low`, `high` | inclusive range of a number; whole numbers for a whole-number setting |
| `log` | true: sample the logarithm; `low` above 0 |
| `step` | distance of the allowed values from `low` on |
| `choices` | list of values, instead of a range |
| `when` | table of other settings with lists of values: active only if each has one of them, else it stays fixed |
"""

_RANGES = """## [ranges]

The part of a searched range that proposals are drawn from; `set STUDY range.NAME=…` writes it while a study runs.
Reruns, queued trials and the trials so far keep to `[search]`.

| form | means |
|---|---|
| `NAME = 0.5` | one value; `FAMILY.NAME` for a parameter of `[search.FAMILY]` |
| `NAME = { low = 2, high = 4 }` | inclusive; either end may be left out; of numeric choices those between |
| `NAME = { choices = ["even"] }` | some of the choices |
"""

_OBJECTIVES = """## [[objectives]]

One table for each objective, two or more.

| key | means |
|---|---|
| `metric` | name of a metric, see below |
| `direction` | `maximize` or `minimize`; the metric's own when left out |
| `threshold` | value that a trial must reach (inclusive) to be feasible |
| `constraint` | true: only the threshold counts, and the metric is not optimised; two others must be |
"""


def _family_rows() -> list[list[str]]:
    rows = []
    for family in FAMILIES.values():
        own = ", ".join(f"`{name}`" for name in SETTING if name in family.settings - TRAINING)
        rows.append([f"`{family.name}`", f"{own}, and the keys of training" if family.settings >= TRAINING else own])
    return [*rows, ["keys of training", ", ".join(f"`{name}`" for name in SETTING if name in TRAINING)]]


def _top_rows() -> list[list[str]]:
    return [
        [f"`{name}`", _default(field), line(field.metadata["help"])]
        for name, field in KEYS.items()
        if field.metadata and name not in ("search", "objectives")
    ]


def _dataclass_table(section: type) -> str:
    fields = SETTING.values() if section is Settings else dataclasses.fields(section)
    rows = [[f"`{field.name}`", _default(field), _allowed(field.metadata), _help(field)] for field in fields]
    return table(["key", "default", "allowed", "means"], rows)


def _help(field: dataclasses.Field[Any]) -> str:
    kinds = field.metadata.get("kinds", ())
    return " ".join(filter(None, [kinds and f"For {', '.join(kinds)}.", line(str(field.metadata.get("help", "")))]))


def _metric_rows() -> list[list[str]]:
    return [
        [
            f"`{m.name}`",
            m.direction.removesuffix("imize"),
            m.unit,
            ", ".join(name for name, task in TASKS.items() if m in task.metrics) or "all",
            "yes" if m.known_before else "",
            line(m.help),
        ]
        for m in METRICS.values()
    ]


def _default(field: dataclasses.Field[Any]) -> str:
    default = default_of(field)
    return "required" if default is dataclasses.MISSING else _value(default)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, (list, tuple)) and not value:
        return "`[]`"
    return f"`{setting(value)}`"


def _allowed(meta: Mapping[str, Any]) -> str:
    if meta.get("choices"):
        return ", ".join(f"`{choice}`" for choice in meta["choices"])
    low, high = meta.get("low"), meta.get("high")
    if low is None and high is None:
        return ""
    if high is None:
        return f"from {setting(low)}"
    if low is None:
        return f"up to {setting(high)}"
    return f"{setting(low)} to {setting(high)}"


def _about(section: Any) -> str:
    """The docstring's text after the name of its table."""
    text = paragraphs(section.__doc__ or "")
    return text.partition(": ")[2][:1].upper() + text.partition(": ")[2][1:] if text.startswith("`[") else text
