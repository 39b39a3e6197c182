"""The model card of an export: metadata for the Hub, then scores, size, training, data and how to load the model.

It reads no files and scores nothing: all numbers are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from bertdistill.engine.contract.optimism import Optimism
from bertdistill.engine.contract.spec import DataSpec, Settings
from bertdistill.engine.tasks.table import METRICS

NULL_THRESHOLD = "null_threshold"

# Names of our scores in the Hub's model index.
INDEX_NAMES = {
    "exact": "exact_match",
    "f1": "f1",
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "matthews": "matthews_correlation",
}


@dataclass(frozen=True)
class CardFacts:
    """The contents of a model card. Metric names are those of the contract; intervals are 95 % bounds."""

    name: str
    task: str
    data: DataSpec
    settings: Settings
    version: int = 1
    study: str = ""
    trial: int | None = None
    teacher: str = ""
    init: str = ""
    report: Mapping[str, float] = field(default_factory=dict)
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    search: Mapping[str, float] = field(default_factory=dict)
    optimism: Mapping[str, Optimism] = field(default_factory=dict)
    """How far these are above the report scores."""
    teacher_search: Mapping[str, float] = field(default_factory=dict)
    """The teacher's own scores on the validation split."""
    measured: Mapping[str, float] = field(default_factory=dict)
    null_threshold: float | None = None
    onnx_int8: Mapping[str, str] = field(default_factory=dict)
    """Measures of `model-int8.onnx`, if there is one."""
    note: str = ""
    """The note of the user who promoted it."""
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Description:
    """The parts of a model card that depend on the family."""

    summary: str
    """A noun phrase: "a bert model for question-answering with 2 layers"."""
    loading: str
    """How to load the model and use it, in Markdown."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The settings in force; those without effect are omitted."""
    library: str = "pytorch"
    """The library that loads the folder, by its name on the Hub."""
    tags: Sequence[str] = ()


def model_card(facts: CardFacts, described: Description) -> str:
    """The README.md: metadata for the Hub, then scores, size, training, data and how to load it."""
    sections = [
        f"# {facts.name}, version {facts.version}",
        _summary(facts, described),
        *([cell(facts.note)] if facts.note else []),
        *[f"**Note:** {cell(remark)}" for remark in facts.remarks],
        "## How to load it",
        described.loading,
        "## Scores",
        _score_table(facts),
        *_threshold_lines(facts),
        "## Size and speed",
        table(
            ("measure", "value"),
            [(METRICS[name].help, number(name, value)) for name, value in facts.measured.items() if name in METRICS],
        ),
        *_int8_lines(facts),
        "## Training",
        table(("setting", "value"), code_rows(described.settings)),
        "## Data",
        table(("key", "value"), code_rows(_data_rows(facts.data))),
    ]
    card = ModelCard(f"---\n{_card_data(facts, described).to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n")
    return str(card)


def _summary(facts: CardFacts, described: Description) -> str:
    parts = [
        described.summary,
        f", distilled from `{cell(public(facts.teacher))}`" if facts.teacher else "",
        f", initialised from `{cell(public(facts.init))}`" if facts.init else "",
        ".",
        f" Study `{cell(facts.study)}`" if facts.study else "",
        f", trial {facts.trial}." if facts.study and facts.trial is not None else "." if facts.study else "",
    ]
    return "".join(parts)


def _score_table(facts: CardFacts) -> str:
    rows = []
    for name, value in facts.report.items():
        if name in METRICS and name != NULL_THRESHOLD:
            low, high = facts.intervals.get(name, (None, None))
            span = "" if low is None or high is None else f"{number(name, low)} to {number(name, high)}"
            found = facts.search.get(name)
            taught = facts.teacher_search.get(name)
            others = ("" if other is None else number(name, other) for other in (found, taught))
            above = facts.optimism[name].words if name in facts.optimism else ""
            rows.append((name, number(name, value), span, *others, above))
    if not rows:
        return "This model was not scored on a report split."
    head = ("score", "report split", "95 % interval", "validation split", "teacher, validation split", "optimism")
    return table(head, rows) + (
        "\n\nOnly the verification reads the report split. This model was chosen on the validation split, so its "
        "scores there are optimistic: the last column is by how much (validation minus report) with its 95 % interval. "
        "Intervals of scores are percentile bootstrap over report examples."
    )


def _threshold_lines(facts: CardFacts) -> list[str]:
    if facts.null_threshold is None:
        return []
    return [
        f"It leaves a question unanswered if the null score exceeds that of the best span by more than "
        f"{facts.null_threshold:.4g} (`null_threshold` in config.json, tuned on the validation split)."
    ]


def _int8_lines(facts: CardFacts) -> list[str]:
    if not facts.onnx_int8:
        return []
    text = (
        "`model-int8.onnx` is `model.onnx` with weights and activations in 8 bits, by the dynamic quantisation of ONNX "
        "Runtime. Activations are rounded as well, so its scores are its own:"
    )
    return ["## ONNX in 8 bits", text, table(("measure", "value"), list(facts.onnx_int8.items()))]


def _data_rows(data: DataSpec) -> dict[str, Any]:
    """The data section without empty keys and without local folders."""
    rows = {key: value for key, value in asdict(data).items() if value not in ("", [], 0)}
    if data.hub:
        return rows
    hidden = ("train_split", "report_split")  # they name Hub splits
    return {
        key: Path(value).name if key in ("train", "report") else value
        for key, value in rows.items()
        if key not in hidden
    }


def _card_data(facts: CardFacts, described: Description) -> ModelCardData:
    """The library is the one that loads the folder: the Hub then shows how to use it."""
    source = facts.data.hub or Path(facts.data.report).name
    results = [
        EvalResult(
            task_type=facts.task,
            dataset_type=source,
            dataset_name=source,
            dataset_split=facts.data.report_split if facts.data.hub else None,
            metric_type=INDEX_NAMES[name],
            metric_name=name,
            metric_value=round(value / 100, 6),  # a fraction, so that the Hub can compare it with other models
        )
        for name, value in facts.report.items()
        if name in INDEX_NAMES and source
    ]
    return ModelCardData(
        library_name=described.library,
        pipeline_tag=facts.task,
        tags=["distillation", "bertdistill-tui", *described.tags],
        datasets=[facts.data.hub] if facts.data.hub else None,
        model_name=facts.name,
        eval_results=results or None,
    )


def public(model_id: str) -> str:
    """A Hub id unchanged; of a folder only its name."""
    return Path(model_id).name if Path(model_id).is_absolute() or model_id.startswith((".", "~")) else model_id


def number(name: str, value: float) -> str:
    """The value of a metric with its unit."""
    metric = METRICS[name]
    return f"{value:,.{metric.decimals}f} {metric.unit}".strip()


_HARMLESS = str.maketrans("|`<>", "/'()")


def cell(value: Any) -> str:
    """Untrusted text as one table cell or code span."""
    text = ", ".join(str(part) for part in value) if isinstance(value, (list, tuple)) else str(value)
    return "".join(" " if char.isspace() else char for char in text if char.isprintable() or char.isspace()).translate(
        _HARMLESS
    )


def code_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Keys and values as rows of a table, values as code."""
    return [(key, f"`{cell(value)}`" if value not in ("", []) else "") for key, value in values.items()]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
