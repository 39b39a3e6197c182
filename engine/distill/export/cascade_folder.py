"""The folder of an exported cascade: both models in subfolders, router.json, modeling.py and one model card.

It scores nothing: all numbers are passed in. The members are exported as any model is.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.cascade import Part, Router
from bertdistill.engine.contract.folder import sync_files, sync_folder
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.distill.export import standalone_cascade
from bertdistill.engine.distill.export.card import INDEX_NAMES, CardFacts, cell, number, table
from bertdistill.engine.distill.export.export import MODELING, READING, export_model
from bertdistill.engine.distill.families.model import FAMILY, Model
from bertdistill.engine.distill.run import Run
from bertdistill.engine.families.encoder_plan import ARCHITECTURES
from bertdistill.engine.tasks.table import METRICS

ROUTER = "router.json"
CASCADE = "cascade"
"""The value of FAMILY in the config.json of the whole."""
SMALL, LARGE = "small", "large"


@dataclass(frozen=True)
class Exported:
    """What the folder says about a cascade. Scores are those of the report split."""

    order: Promotion
    router: Router
    spec: AttemptSpec
    metrics: Mapping[str, float]
    flat: Mapping[str, Any]
    """Facts of the report: intervals, members, random routing; see `cascade.Found`."""
    remarks: Sequence[str]
    mean_cost_ms: float | None = None


def export_cascade(facts: Exported, members: Sequence[tuple[Model, Any]], run: Run) -> list[str]:
    """Build the folder of the order, complete or not at all; returns its files by their path in it.

    `members` are model and tokenizer of the small and of the large one.
    """
    target = facts.order.target
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(mode=0o700)
    run.progress("export", "files")
    try:
        parts = (facts.router.small, facts.router.large)
        for name, part, (model, tokenizer) in zip((SMALL, LARGE), parts, members, strict=True):
            _export_member(facts, part, model, tokenizer, temporary / name, run)
        _write_rule(facts, temporary)
        (temporary / "README.md").write_text(_card(facts), encoding="utf-8")
        _private(temporary)
        sync_files(temporary)
        if target.exists():
            shutil.rmtree(target)
        temporary.rename(target)
        sync_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sorted(one.relative_to(target).as_posix() for one in target.rglob("*") if one.is_file())


def _export_member(facts: Exported, part: Part, model: Model, tokenizer: Any, folder: Path, run: Run) -> None:
    """A trial from its checkpoint, byte for byte; the teacher as a student that keeps everything."""
    spec, source = facts.spec, part.checkpoint
    if source is None and getattr(model.net.config, "model_type", "") not in ARCHITECTURES:
        model.save(folder, tokenizer)  # as it is: its architecture is not one of students
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        _write_json(folder / "config.json", config | {READING: _reading(facts)})
        return
    if source is None:
        source = folder.with_name(f"{folder.name}.source")
        model.save(source, tokenizer)
    card = CardFacts(name=facts.order.name, task=spec.task, data=spec.data, settings=spec.settings)
    say = lambda text: run.notice("info", f"{part.name}: {text}")  # noqa: E731 - one use, beside its argument
    export_model(source, folder, card_facts=card, tokenizer=tokenizer, say=say)
    (folder / "README.md").unlink()  # the card of the whole says everything
    if part.checkpoint is None:
        shutil.rmtree(source)


def _write_rule(facts: Exported, folder: Path) -> None:
    """router.json for programs, and a config.json by which `ask` knows what this folder is."""
    router, data, labels = facts.router, facts.spec.data, list(facts.spec.prepared.labels)
    rule = {
        "task": facts.spec.task,
        "labels": labels,
        "temperature": router.temperature,
        "threshold": router.threshold,
        "max_length": data.max_length,
        SMALL: {"name": router.small.name},
        LARGE: {"name": router.large.name},
    }
    _write_json(folder / ROUTER, rule)
    config = {FAMILY: CASCADE, READING: _reading(facts)}
    _write_json(folder / "config.json", config | {"id2label": {str(i): name for i, name in enumerate(labels)}})
    shutil.copyfile(standalone_cascade.__file__, folder / MODELING)


def _reading(facts: Exported) -> dict[str, Any]:
    return {"task": facts.spec.task, "max_length": facts.spec.data.max_length}


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _private(folder: Path) -> None:
    """Make everything in it readable by this user only."""
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


# ----------------------------------------------------------------------------------------------------------------- card


def _card(facts: Exported) -> str:
    order, router = facts.order, facts.router
    parts = [
        f"# {order.name}, version {order.version}",
        f"A cascade of two models for {facts.spec.task}, study `{cell(facts.spec.study)}`: {router.small.name} in "
        f"`{SMALL}` always runs, {router.large.name} in `{LARGE}` answers what the first is not sure of.",
        *([cell(order.note)] if order.note else []),
        *[f"**Note:** {cell(one)}" for one in facts.remarks],
        "## How to load it",
        _LOAD,
        "## The rule",
        f"`router.json`: the logits of the small model are divided by {router.temperature:.4g}, fitted on the "
        f"validation split (Guo et al. 2017). If the largest probability is below {router.threshold:.4f}, the large "
        f"model answers. `model.onnx` in each subfolder, if present, holds that model for ONNX Runtime.",
        "## Scores on the report split",
        _scores(facts),
        "## Size and speed",
        table(("measure", "value"), [(METRICS[n].help, number(n, v)) for n, v in facts.metrics.items() if n in SIZES]),
        "Times are means: the small model always, the large one for the share that was passed on."
        + (f" With tokenizers {facts.mean_cost_ms:.3g} ms of CPU time." if facts.mean_cost_ms else ""),
    ]
    return str(ModelCard(f"---\n{_metadata(facts).to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"))


SIZES = ("params", "size_mb", "bytes", "latency_cpu_ms", "latency_ms")
_LOAD = """```python
folder = "."  # the folder of this file

import sys

sys.path.insert(0, folder)
from modeling import load

ask = load(folder)
print(ask("A wonderful story."))
```

It needs torch, transformers and safetensors."""


def _scores(facts: Exported) -> str:
    found = facts.flat["cascade"]
    rows = []
    for name, value in facts.metrics.items():
        if name in found["random"]:
            others = (found[key][name] for key in (SMALL, LARGE, "random"))
            rows.append(
                (name, number(name, value), facts.flat.get(f"{name}_interval", ""), *(number(name, v) for v in others))
            )
    head = ("score", "cascade", "95 % interval", facts.router.small.name, facts.router.large.name, "random routing")
    return table(head, rows) + (
        "\n\nRandom routing passes on the same share, chosen by lot: the expected score. Intervals are percentile "
        "bootstrap over report examples."
    )


def _metadata(facts: Exported) -> ModelCardData:
    data = facts.spec.data
    source = data.hub or Path(data.report).name
    results = [
        EvalResult(
            task_type=facts.spec.task,
            dataset_type=source,
            dataset_name=source,
            metric_type=INDEX_NAMES[name],
            metric_name=name,
            metric_value=round(facts.metrics[name] / 100, 6),
        )
        for name in facts.flat["cascade"]["random"]
        if source and name in facts.metrics
    ]
    return ModelCardData(
        library_name="pytorch",
        pipeline_tag=facts.spec.task,
        tags=["distillation", "bertdistill-tui", CASCADE],
        datasets=[data.hub] if data.hub else None,
        model_name=facts.order.name,
        eval_results=results or None,
    )
