"""The model card of an export: metadata for the Hub, then scores, size, training, data and how to load the model.

It reads no files and scores nothing: all numbers are passed in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from bertdistill.engine.contract.spec import DataSpec, Settings
from bertdistill.engine.distill.families.transformer import KEPT_HEADS
from bertdistill.engine.families.transformer import Shape
from bertdistill.engine.tasks.table import METRICS, TASKS

NULL_THRESHOLD = "null_threshold"

# Names of our scores in the Hub's model index.
_INDEX_NAMES = {
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
    teacher_search: Mapping[str, float] = field(default_factory=dict)
    """The teacher's own scores on the validation split."""
    measured: Mapping[str, float] = field(default_factory=dict)
    null_threshold: float | None = None
    note: str = ""
    """The note of the user who promoted it."""
    remarks: Sequence[str] = ()


def model_card(facts: CardFacts, model: Any, *, onnx: bool) -> str:
    """The README.md: metadata for the Hub, then scores, size, training, data and how to load it."""
    pruned = is_pruned(model, getattr(model.config, KEPT_HEADS, None) or [])
    sections = [
        f"# {facts.name}, version {facts.version}",
        _summary(facts, model, pruned=pruned),
        *([cell(facts.note)] if facts.note else []),
        *[f"**Note:** {cell(remark)}" for remark in facts.remarks],
        "## How to load it",
        _load_code(facts, type(model).__name__, pruned=pruned, onnx=onnx),
        "## Scores",
        _score_table(facts),
        *_threshold_lines(facts),
        "## Size and speed",
        table(
            ("measure", "value"),
            [(METRICS[name].help, number(name, value)) for name, value in facts.measured.items() if name in METRICS],
        ),
        "## Training",
        table(("setting", "value"), _code_rows(_settings_rows(facts, model, pruned=pruned))),
        "## Data",
        table(("key", "value"), _code_rows(_data_rows(facts.data))),
    ]
    card = ModelCard(f"---\n{_card_data(facts, pruned=pruned).to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n")
    return str(card)


def _summary(facts: CardFacts, model: Any, *, pruned: bool) -> str:
    layers, heads = model.config.num_hidden_layers, model.config.num_attention_heads
    kept = getattr(model.config, KEPT_HEADS, None)
    left = ", ".join(str(len(layer)) for layer in kept) if pruned and kept else str(heads)
    parts = [
        f"A {model.config.model_type} model for {facts.task} with {layers} layers of width {model.config.hidden_size} "
        f"and {left} attention heads{' (by layer)' if pruned else ''}",
        f", distilled from `{cell(_public(facts.teacher))}`" if facts.teacher else "",
        f", initialised from `{cell(_public(facts.init))}`" if facts.init else "",
        ".",
        f" Study `{cell(facts.study)}`" if facts.study else "",
        f", trial {facts.trial}." if facts.study and facts.trial is not None else "." if facts.study else "",
    ]
    return "".join(parts)


_ASK = {
    True: """question, passage = "Who wrote it?", "Ada wrote it."
inputs = tokenizer(question, passage, return_tensors="pt")
with torch.no_grad():
    outputs = model(**inputs)
start, end = outputs.start_logits[0], outputs.end_logits[0]
inside = torch.tensor([part == 1 for part in inputs.sequence_ids(0)])  # tokens of the passage
spans = (inside[:, None] & inside).triu().tril({reach})  # at most {length} tokens
scores = (start[:, None] + end).masked_fill(~spans, -torch.inf)
first, last = divmod(int(scores.argmax()), len(end))
answer = passage[inputs.token_to_chars(0, first).start : inputs.token_to_chars(0, last).end].strip()
""",
    False: """inputs = tokenizer("A wonderful story.", return_tensors="pt")
probabilities = model(**inputs).logits[0].softmax(-1)
print({model.config.id2label[i]: round(p, 3) for i, p in enumerate(probabilities.tolist())})""",
}


_ABSTAIN = """null_score = start[0] + end[0]
if null_score - scores.max() > {threshold!r}:  # null_threshold in config.json
    answer = ""  # the passage does not say
"""


def _ask_code(facts: CardFacts) -> list[str]:
    """Example code for one question or text, by the rule that scored the model (for a passage of one window)."""
    if not TASKS[facts.task].spans:
        return [_ASK[TASKS[facts.task].spans]]
    length = facts.data.max_answer_length
    code = _ASK[TASKS[facts.task].spans].format(reach=length - 1, length=length)
    code += "" if facts.null_threshold is None else _ABSTAIN.format(threshold=facts.null_threshold)
    return [f"{code}print(answer)"]


def _load_code(facts: CardFacts, class_name: str, *, pruned: bool, onnx: bool) -> str:
    lines = ["```python", 'folder = "."  # the folder of this file', ""]
    lines += ["import sys", ""] if pruned else []
    lines += ["import torch"] if TASKS[facts.task].spans else []
    if pruned:
        lines += ["from transformers import AutoTokenizer", "", "sys.path.insert(0, folder)"]
        lines += ["from modeling import load", "", "model = load(folder)"]
    else:
        lines += [f"from transformers import AutoTokenizer, {class_name}", ""]
        lines += [f"model = {class_name}.from_pretrained(folder).eval()"]
    lines += ["tokenizer = AutoTokenizer.from_pretrained(folder)", *_ask_code(facts), "```"]
    text = "\n".join(lines)
    if pruned:
        text = (
            "Attention heads were removed from this model, which the plain format cannot express. `from_pretrained` of "
            "transformers refuses it (and with `ignore_mismatched_sizes` would fill it with random weights), so "
            "`modeling.py` next to this file builds it. It needs torch, transformers and safetensors.\n\n" + text
        )
    return text + (
        "\n\n`model.onnx` holds the same model for ONNX Runtime; batch size and length are dynamic." if onnx else ""
    )


def _score_table(facts: CardFacts) -> str:
    rows = []
    for name, value in facts.report.items():
        if name in METRICS and name != NULL_THRESHOLD:
            low, high = facts.intervals.get(name, (None, None))
            span = "" if low is None or high is None else f"{number(name, low)} to {number(name, high)}"
            found = facts.search.get(name)
            taught = facts.teacher_search.get(name)
            others = ("" if other is None else number(name, other) for other in (found, taught))
            rows.append((name, number(name, value), span, *others))
    if not rows:
        return "This model was not scored on a report split."
    return table(("score", "report split", "95 % interval", "validation split", "teacher, validation split"), rows) + (
        "\n\nOnly the verification reads the report split. This model was chosen on the validation split, so its "
        "scores there are optimistic. Intervals are percentile bootstrap over report examples."
    )


def _threshold_lines(facts: CardFacts) -> list[str]:
    if facts.null_threshold is None:
        return []
    return [
        f"It leaves a question unanswered if the null score exceeds that of the best span by more than "
        f"{facts.null_threshold:.4g} (`null_threshold` in config.json, tuned on the validation split)."
    ]


def _settings_rows(facts: CardFacts, model: Any, *, pruned: bool) -> dict[str, Any]:
    """The effective settings: sizes are those of the model, and settings without effect are omitted."""
    rows, settings, config = asdict(facts.settings), facts.settings, model.config
    shape = Shape.from_config({**config.to_dict(), KEPT_HEADS: None})
    kept = getattr(config, KEPT_HEADS, None)
    rows |= {"layers": shape.layers, "heads": [len(layer) for layer in kept] if pruned and kept else shape.heads}
    rows |= {"hidden_size": shape.hidden_size, "ffn_size": shape.ffn_size, "head_size": shape.head_size}
    idle = {"layer_choice"} if not facts.init else set()
    idle |= {"layer_list"} if settings.layer_choice != "list" else set()
    idle |= {"head_choice"} if not pruned else set()
    idle |= {"head_seed"} if not pruned or settings.head_choice != "random" else set()
    idle |= {"temperature"} if settings.alpha == 0 else set()
    return {name: value for name, value in rows.items() if name not in idle}


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


def _public(model_id: str) -> str:
    """A Hub id unchanged; of a folder only its name."""
    return Path(model_id).name if Path(model_id).is_absolute() or model_id.startswith((".", "~")) else model_id


def _card_data(facts: CardFacts, *, pruned: bool) -> ModelCardData:
    """The library is the one that loads the folder: the Hub then shows how to use it."""
    source = facts.data.hub or Path(facts.data.report).name
    results = [
        EvalResult(
            task_type=facts.task,
            dataset_type=source,
            dataset_name=source,
            dataset_split=facts.data.report_split if facts.data.hub else None,
            metric_type=_INDEX_NAMES[name],
            metric_name=name,
            metric_value=round(value / 100, 6),  # a fraction, so that the Hub can compare it with other models
        )
        for name, value in facts.report.items()
        if name in _INDEX_NAMES and source
    ]
    return ModelCardData(
        library_name="pytorch" if pruned else "transformers",
        pipeline_tag=facts.task,
        tags=["distillation", "bertdistill-tui", *(["pruned-heads"] if pruned else [])],
        datasets=[facts.data.hub] if facts.data.hub else None,
        model_name=facts.name,
        eval_results=results or None,
    )


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


def _code_rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, f"`{cell(value)}`" if value not in ("", []) else "") for key, value in values.items()]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def is_pruned(model: Any, kept_heads: Sequence[Sequence[int]]) -> bool:
    """Whether any layer has fewer heads than its config says."""
    return any(len(kept) < model.config.num_attention_heads for kept in kept_heads)
