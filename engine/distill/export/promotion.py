"""A promotion: check the weights, reproduce the recorded score, score the report split, measure and export.

It trains and tunes nothing: the abstention threshold is the one tuned on the validation split. It runs in its own
process, so that no state of the training can affect the numbers.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from bertdistill.engine.contract.attempt import AttemptSpec
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import EventWriter
from bertdistill.engine.contract.folder import RunPaths, file_sha256, write_json
from bertdistill.engine.contract.metrics import LATENCIES
from bertdistill.engine.contract.optimism import of_report
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.contract.spec import INT4, INT8, SCRATCH, SUPERNET
from bertdistill.engine.distill.compression.removal import without_empty
from bertdistill.engine.distill.compression.table import linear_zeros, pruned_zeros
from bertdistill.engine.distill.compression.weights import save_packed, tensor_bytes
from bertdistill.engine.distill.data.features import build_features
from bertdistill.engine.distill.data.split_file import search_examples
from bertdistill.engine.distill.export.card import NULL_THRESHOLD, CardFacts
from bertdistill.engine.distill.export.export import export_model
from bertdistill.engine.distill.export.onnx_int8 import Reported, verified
from bertdistill.engine.distill.export.scoring import (
    judged,
    open_tokenizer,
    report_examples,
    report_features,
    score,
    scores_of,
)
from bertdistill.engine.distill.families.model import Model
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.run import Run, open_device, to_device
from bertdistill.engine.distill.trial import measure
from bertdistill.engine.distill.vocabularies import for_models
from bertdistill.engine.families.encoder_sizes import BYTES_PER_WEIGHT
from bertdistill.engine.families.table import weights_of
from bertdistill.engine.study.student import teacher_known
from bertdistill.engine.tasks.intervals import bootstrap, statistic
from bertdistill.engine.tasks.table import TASKS
from bertdistill.store.errors import BertDistillError

TOLERANCE = 0.05
"""Points by which a reproduced score may differ: fp32 on the same kind of device reproduces almost exactly."""
LOOSE_TOLERANCE = 0.5
"""The same for bf16 or another kind of device, where other kernels round near-ties differently."""
MEASURED = {*LATENCIES, "throughput"}
REPORT = "report.json"
SMALLER = "smaller"
"""Folder of a copy of the checkpoint that is exported instead of it."""
BOOTSTRAP_SEED = 0


class Mismatch(BertDistillError):
    """The checkpoint does not match the record: another file, or another score. Use force, or promote another one."""


@dataclass
class Findings:
    """The results of the verification, collected as it proceeds, so that a refusal can report them too."""

    precision: str
    device: str
    recorded: Mapping[str, float]
    tolerance: float
    problems: list[str] = field(default_factory=list)
    repeated: dict[str, float] = field(default_factory=dict)
    report: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    onnx_int8: dict[str, float] = field(default_factory=dict)
    report_examples: int = 0
    search_examples: int = 0
    resamples: int = 0
    files: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def as_report(self) -> dict[str, Any]:
        """JSON: flat facts for a table, then details. `<score>_recorded` and `_repeated` are validation scores."""
        flat: dict[str, Any] = {"device": self.device, "precision": self.precision, "tolerance": self.tolerance}
        for name, value in self.repeated.items():
            flat |= {f"{name}_recorded": self.recorded.get(name), f"{name}_repeated": value}
        for name, (low, high) in self.intervals.items():
            flat[f"{name}_interval"] = f"{low:.2f} to {high:.2f}"
        flat |= {"report_examples": self.report_examples, "search_examples": self.search_examples}
        flat |= {"resamples": self.resamples}
        flat |= self.onnx_int8
        flat["problem"] = "; ".join(self.problems)
        details = {"intervals": {name: list(bounds) for name, bounds in self.intervals.items()}}
        return flat | details | {"files": self.files, "remarks": self.remarks}


def verify(
    spec: AttemptSpec,
    events: EventWriter,
    paths: RunPaths,
    *,
    stop: threading.Event | None = None,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """Verify and export one checkpoint; returns `metrics` (report split and measured) and `report` (all findings).

    The report split is read only after the checkpoint has reproduced its recorded score. Raises Mismatch if weights or
    scores differ from the record, unless the promotion is forced; the findings so far are then in `report.json`.
    """
    order = spec.promote
    if order is None:
        raise ConfigError("spec.json: promote is empty", hint="start the promotion again")
    run = Run(spec, paths, events, stop or threading.Event(), device or open_device(spec.device))
    recorded = order.precision or {"fp32": "float32", "bf16": "bfloat16"}.get(spec.settings.precision, "")
    precision = getattr(torch, recorded or "float32")
    exact = recorded == "float32" and order.device in ("", run.device.type)
    found = Findings(
        precision=str(precision).removeprefix("torch."),
        device=run.device.type,
        recorded=order.recorded,
        tolerance=TOLERANCE if exact else LOOSE_TOLERANCE,
    )
    _check_weights(order, found, paths)
    model = load_model(order.checkpoint)
    zeros = pruned_zeros(spec.settings, model.net)
    if zeros:
        order, model, zeros = _without_empty(order, model, zeros, weights_of(spec.settings), found, paths)
    params = sum(parameter.numel() for parameter in model.net.parameters())
    to_device(model.net, run.device)
    search = search_examples(spec)
    run = for_models(run, [model], search)
    spec = run.spec
    tokenizer = open_tokenizer(spec, model)
    threshold = order.recorded.get(NULL_THRESHOLD)

    features = build_features(
        search,
        tokenizer,
        spec.data,
        folder=Path(spec.prepared.features_of("search", model.units)),
        progress=run.progress("tokenising the validation split", "examples"),
    )
    scored = score(run, model, search, features, precision, threshold, "validation split again")
    found.repeated = scores_of(spec.task, scored.metrics)
    found.problems += disagreements(spec.task, order.recorded, found.repeated, tolerance=found.tolerance)
    _refuse_unless_forced(order, found, paths)
    threshold = scored.metrics.get(NULL_THRESHOLD) if threshold is None else threshold

    reported = _score_report(run, model, tokenizer, precision, threshold, order.samples, found)
    found.measured = {"params": params, "nonzero_params": params - zeros, "size_mb": params * BYTES_PER_WEIGHT / 1e6}
    found.measured |= _file_size(order, spec)
    found.measured |= measure(run, order.checkpoint, features, MEASURED, spec.prepared)
    _export(run, order, tokenizer, threshold, found, reported)
    report = found.as_report()
    write_json(paths.folder / REPORT, report)
    return {"metrics": {**found.report, **found.measured}, "report": report}


def disagreements(
    task: str, recorded: Mapping[str, float], repeated: Mapping[str, float], *, tolerance: float
) -> list[str]:
    """One sentence for every recorded score of `task` that now differs by more than `tolerance` points."""
    messages = []
    for name in TASKS[task].scores:
        if name == NULL_THRESHOLD or name not in recorded:
            continue
        now = repeated.get(name)
        if now is None or abs(now - recorded[name]) > tolerance:
            shown = "missing" if now is None else f"{now:.2f}"
            messages.append(f"{name} on the validation split was recorded as {recorded[name]:.2f} and is {shown} now")
    return messages


# ---------------------------------------------------------------------------------------------------------------- steps


def _check_weights(order: Promotion, found: Findings, paths: RunPaths) -> None:
    weights = order.checkpoint / "model.safetensors"
    if not weights.is_file():
        raise ConfigError(f"{order.checkpoint}: the checkpoint no longer exists", hint="rerun the trial")
    if file_sha256(weights) != order.sha256:
        found.problems.append(f"{weights} is not the recorded file (its SHA-256 differs)")
        _refuse_unless_forced(order, found, paths)


def _without_empty(
    order: Promotion, model: Model, zeros: int, form: str, found: Findings, paths: RunPaths
) -> tuple[Promotion, Model, int]:
    """The order, its model and the zeros in it, without the heads and neurons that pruning has left without effect.

    A trial keeps them, because how many there are is known only after it.
    """
    smaller = without_empty(model)
    if smaller is model:
        return order, model, zeros
    before, after = (sum(one.numel() for one in each.net.parameters()) for each in (model, smaller))
    found.remarks.append(
        f"Attention heads and feed-forward neurons that pruning left without effect were removed: {before - after:,} "
        f"of {before:,} parameters."
    )
    folder = paths.folder / SMALLER
    save_packed(smaller, form, folder)
    gone = linear_zeros(model.net) - linear_zeros(smaller.net)
    return replace(order, checkpoint=folder), load_model(folder), zeros - gone


def _refuse_unless_forced(order: Promotion, found: Findings, paths: RunPaths) -> None:
    if found.problems and not order.force:
        write_json(paths.folder / REPORT, found.as_report())
        raise Mismatch("; ".join(found.problems), hint="promote another checkpoint, or promote with force")


def _score_report(
    run: Run,
    model: Model,
    tokenizer: Any,
    precision: torch.dtype,
    threshold: float | None,
    samples: int,
    found: Findings,
) -> Reported:
    """Score the report split once, with intervals; without a threshold the model never abstains."""
    examples = report_examples(run)
    features = report_features(run, examples, tokenizer)
    fixed = math.inf if threshold is None else threshold
    scored = score(run, model, examples, features, precision, fixed, "report split")
    run.paths.predictions.write_text(json.dumps(scored.predictions, ensure_ascii=False), encoding="utf-8")
    found.report = scores_of(run.spec.task, scored.metrics)
    found.report_examples, found.resamples = len(examples), samples
    found.search_examples = run.spec.prepared.search_examples
    run.progress("bootstrap", "resamples")
    found.intervals = bootstrap(
        statistic(judged(examples, scored)), len(examples), samples=samples, seed=BOOTSTRAP_SEED
    )
    return Reported(examples, features, scored, fixed, model.units)


def _file_size(order: Promotion, spec: AttemptSpec) -> dict[str, float]:
    size, teacher = tensor_bytes(order.checkpoint / "model.safetensors"), teacher_known(spec.prepared, TASKS[spec.task])
    return {"bytes": size} | ({"compression": teacher["bytes"] / size} if teacher else {})


def _int8(run: Run, reported: Reported, found: Findings, notices: list[str]) -> Callable[[Path], Mapping[str, str]]:
    """What `export_model` calls for a file in 8 bits."""

    def write(source: Path) -> Mapping[str, str]:
        made = verified(run, source, reported)
        if isinstance(made, str):
            notices.append(made)
            return {}
        found.onnx_int8 = made.facts()
        return made.rows()

    return write


def _export(
    run: Run, order: Promotion, tokenizer: Any, threshold: float | None, found: Findings, reported: Reported
) -> None:
    spec = run.spec
    of_teacher = spec.student.init in ("teacher", SUPERNET)
    init = spec.teacher.model if of_teacher else spec.student.init
    if found.problems:
        found.remarks.append("This model was promoted by force although " + "; ".join(found.problems) + ".")
    facts = CardFacts(
        name=order.name,
        version=order.version,
        task=spec.task,
        data=spec.data,
        settings=spec.settings,
        study=spec.study,
        trial=spec.trial,
        teacher="" if spec.teacher.model == SCRATCH else spec.teacher.model,
        init="" if init == SCRATCH else init,
        report=found.report,
        intervals=found.intervals,
        search=found.repeated,
        optimism=of_report(found.as_report(), found.report),
        teacher_search=spec.prepared.teacher_metrics,
        measured=found.measured,
        null_threshold=threshold,
        note=order.note,
        remarks=found.remarks,
    )
    run.progress("export", "files")
    notices: list[str] = []
    files: Sequence[str] = export_model(
        order.checkpoint,
        order.target,
        card_facts=facts,
        tokenizer=tokenizer,
        replace=True,
        say=notices.append,
        int8=_int8(run, reported, found, notices) if weights_of(spec.settings) in (INT8, INT4) else None,
    )
    for text in notices:
        run.notice("info", text)
    found.files, found.remarks = list(files), [*found.remarks, *notices]
