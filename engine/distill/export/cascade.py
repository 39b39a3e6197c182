"""The promotion of a cascade: verify both members and their rule, score the report split, export one folder with both.

Like `promotion` it trains and tunes nothing: temperature and threshold were chosen on the validation split.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bertdistill.engine.contract.cascade import Part, Router
from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.folder import file_sha256, write_json
from bertdistill.engine.contract.metrics import LATENCIES
from bertdistill.engine.contract.promotion import Promotion
from bertdistill.engine.distill.compression.weights import tensor_bytes
from bertdistill.engine.distill.data.caches import refuse_damage
from bertdistill.engine.distill.data.examples import Examples
from bertdistill.engine.distill.data.features import Features, open_features
from bertdistill.engine.distill.data.split_file import search_examples
from bertdistill.engine.distill.export.cascade_folder import Exported, export_cascade
from bertdistill.engine.distill.export.promotion import (
    BOOTSTRAP_SEED,
    LOOSE_TOLERANCE,
    REPORT,
    TOLERANCE,
    Mismatch,
    disagreements,
)
from bertdistill.engine.distill.export.scoring import open_tokenizer, report_examples, report_features
from bertdistill.engine.distill.families.encoder import Encoder
from bertdistill.engine.distill.families.model import Model
from bertdistill.engine.distill.families.table import load_model
from bertdistill.engine.distill.families.transformer import load_encoder
from bertdistill.engine.distill.run import Run, to_device
from bertdistill.engine.distill.training.evaluate import features_for
from bertdistill.engine.distill.training.precision import choose_precision, width_of
from bertdistill.engine.distill.training.train import predict
from bertdistill.engine.distill.trial import measure_model
from bertdistill.engine.distill.vocabularies import for_models
from bertdistill.engine.families.encoder_sizes import BYTES_PER_WEIGHT
from bertdistill.engine.tasks.intervals import Array, bootstrap, class_scores
from bertdistill.engine.tasks.routing import confidence, mixed, passed_on, table_of, table_scores
from bertdistill.engine.tasks.table import TASKS

SHARE_TOLERANCE = 0.02
"""By how much the share passed on may differ from the record on the same examples: rounding near the threshold."""
TIMES = ("latency_cpu_ms", "latency_ms")


@dataclass(frozen=True)
class Loaded:
    """A member that answers."""

    part: Part
    model: Model
    tokenizer: Any
    precision: torch.dtype

    def logits(self, run: Run, features: Features, phase: str) -> Array:
        """(examples, labels) float32."""
        return predict(
            self.model,
            features_for(self.model, features),
            device=run.device,
            precision=self.precision,
            pad_id=run.spec.prepared.units_of(self.model.units).pad_id,
            stop=run.stop,
            progress=run.progress(phase, "windows"),
        )


@dataclass(frozen=True)
class Routed:
    """What a cascade and its members answer on one split. Arrays are (examples,) or (examples, labels)."""

    truth: NDArray[np.int64]
    small: Array
    large: Array
    to_large: NDArray[np.bool_]

    @property
    def share(self) -> float:
        return float(self.to_large.mean())

    @property
    def chosen(self) -> Array:
        return np.asarray(mixed(self.small, self.large, self.to_large).argmax(axis=1))

    def table(self, chosen: Array) -> Array:
        return table_of(self.truth, chosen, self.small.shape[1])

    def at_random(self) -> dict[str, float]:
        """Expected scores if the same share were chosen at random."""
        small, large = (self.table(one.argmax(axis=1)) for one in (self.small, self.large))
        return table_scores((1 - self.share) * small + self.share * large)

    def margin(self, weights: Array) -> dict[str, float]:
        """Points of accuracy above random routing of the same share, with these weights of the examples."""
        mine, small, large = (
            (weights * (chosen == self.truth)).sum()
            for chosen in (self.chosen, self.small.argmax(axis=1), self.large.argmax(axis=1))
        )
        share = (weights * self.to_large).sum() / weights.sum()
        return {"margin": 100 * float((mine - (1 - share) * small - share * large) / weights.sum())}


@dataclass
class Found:
    """Findings so far, so that a refusal can report them too."""

    tolerance: float
    problems: list[str] = field(default_factory=list)
    flat: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def as_report(self) -> dict[str, Any]:
        return {**self.flat, "tolerance": self.tolerance, "problem": "; ".join(self.problems), "remarks": self.remarks}

    def refuse_unless(self, forced: bool, run: Run) -> None:
        """Mismatch if there is a problem, with the findings in `report.json`."""
        if self.problems and not forced:
            write_json(run.paths.folder / REPORT, self.as_report())
            raise Mismatch("; ".join(self.problems), hint="promote it again, or promote with force")


def verify_cascade(run: Run) -> dict[str, Any]:
    """Verify and export the cascade of `AttemptSpec.promote`; returns `metrics` and `report`, as `promotion.verify`.

    The report split is read only after scores and share of the validation split have been reproduced.
    """
    spec, order = run.spec, run.spec.promote
    assert order is not None
    assert order.cascade is not None
    router = order.cascade
    exact = all(_exact(part, run) for part in (router.small, router.large))
    found = Found(TOLERANCE if exact else LOOSE_TOLERANCE)
    small, large = (_load(run, part, found) for part in (router.small, router.large))
    found.refuse_unless(order.force, run)

    search = search_examples(spec)
    run = for_models(run, [small.model, large.model], search)
    spec = run.spec
    splits = [open_features(Path(spec.prepared.features_of("search", one.model.units))) for one in (small, large)]
    repeated = _routed(run, search, splits, (small, large), router, "validation split again")
    _compare(repeated, order, router, found, spec.task)
    found.refuse_unless(order.force, run)

    report = report_examples(run)
    reported = [report_features(run, report, one.tokenizer) for one in (small, large)]
    routed = _routed(run, report, reported, (small, large), router, "report split")
    scores = _reported(run, routed, report, order, found)
    measured = _measured(run, (small, large), splits, routed.share)
    found.remarks[:0] = _remarks(routed, repeated, router, measured, found, run)
    metrics = {**scores, **{name: value for name, value in measured.items() if name != "mean_cost_ms"}}
    exported = Exported(order, router, spec, metrics, found.flat, found.remarks, measured.get("mean_cost_ms"))
    members = ((small.model, small.tokenizer), (large.model, large.tokenizer))
    files = export_cascade(exported, members, run)
    flat = {"device": run.device.type, "report_examples": len(report), "resamples": order.samples}
    result = found.as_report() | flat | {"files": files, "sha256": _digest(order.target)}
    write_json(run.paths.folder / REPORT, result)
    return {"metrics": metrics, "report": result}


# ---------------------------------------------------------------------------------------------------------------- steps


def _exact(part: Part, run: Run) -> bool:
    """Whether the recorded outputs can be repeated almost exactly: fp32 on the same kind of device."""
    return part.precision == "float32" and part.device in ("", run.device.type)


def _load(run: Run, part: Part, found: Found) -> Loaded:
    facts = run.spec.prepared
    model: Model
    if part.checkpoint is None:
        refuse_damage([folder for folder in [Path(facts.teacher_folder)] if folder.is_relative_to(run.caches)])
        model = Encoder(load_encoder(facts.teacher_folder, run.spec.task, facts.labels, need_head=True))
    else:
        weights = part.checkpoint / "model.safetensors"
        if not weights.is_file():
            raise ConfigError(f"{part.checkpoint}: the checkpoint no longer exists", hint="rerun the trial")
        if file_sha256(weights) != part.sha256:
            found.problems.append(f"{weights} is not the recorded file (its SHA-256 differs)")
        model = load_model(part.checkpoint)
    to_device(model.net, run.device)
    precision = getattr(torch, part.precision or "", None) or choose_precision("auto", run, width_of(model.net))
    return Loaded(part, model, open_tokenizer(run.spec, model), precision)


def _routed(
    run: Run, examples: Examples, splits: list[Features], members: tuple[Loaded, Loaded], router: Router, phase: str
) -> Routed:
    small, large = (one.logits(run, split, phase) for one, split in zip(members, splits, strict=True))
    to_large = passed_on(confidence(small, router.temperature), router.threshold)
    return Routed(np.array([row.label for row in examples.rows]), small, large, to_large)


def _compare(repeated: Routed, order: Promotion, router: Router, found: Found, task: str) -> None:
    scores = table_scores(repeated.table(repeated.chosen))
    scores = {name: scores[name] for name in TASKS[task].scores if name in scores}
    for name, value in scores.items():
        found.flat |= {f"{name}_recorded": order.recorded.get(name), f"{name}_repeated": value}
    found.problems += disagreements(task, order.recorded, scores, tolerance=found.tolerance)
    if abs(repeated.share - router.share) > SHARE_TOLERANCE:
        found.problems.append(
            f"the share passed on was recorded as {router.share:.1%} on the validation split and is "
            f"{repeated.share:.1%} now"
        )


def _reported(run: Run, routed: Routed, examples: Examples, order: Promotion, found: Found) -> dict[str, float]:
    """Scores of the report split with their intervals, and what the members and random routing reach there."""
    names = examples.labels
    chosen = {row.id: names[label] for row, label in zip(examples.rows, routed.chosen, strict=True)}
    run.paths.predictions.write_text(json.dumps(chosen, ensure_ascii=False), encoding="utf-8")
    run.progress("bootstrap", "resamples")
    count = len(examples)
    statistic = class_scores(routed.truth, routed.chosen, len(names))
    bounds = bootstrap(statistic, count, samples=order.samples, seed=BOOTSTRAP_SEED)
    bounds |= bootstrap(routed.margin, count, samples=order.samples, seed=BOOTSTRAP_SEED)
    kept = TASKS[run.spec.task].scores
    found.flat |= {f"{name}_interval": f"{low:.2f} to {high:.2f}" for name, (low, high) in bounds.items()}
    found.flat["intervals"] = {name: list(pair) for name, pair in bounds.items() if name in kept}
    found.flat["cascade"] = {
        "small": _only(table_scores(routed.table(routed.small.argmax(axis=1))), kept),
        "large": _only(table_scores(routed.table(routed.large.argmax(axis=1))), kept),
        "random": _only(routed.at_random(), kept),
        "share": routed.share,
        "margin": routed.margin(np.ones(count))["margin"],
    }
    return _only(table_scores(routed.table(routed.chosen)), kept)


def _only(scores: Mapping[str, float], names: tuple[str, ...]) -> dict[str, float]:
    return {name: scores[name] for name in names if math.isfinite(scores.get(name, math.nan))}


def _measured(run: Run, members: tuple[Loaded, Loaded], splits: list[Features], share: float) -> dict[str, float]:
    """Parameters and bytes of both, mean times of one example; `mean_cost_ms` counts the tokenizers as well."""
    params = sum(weight.numel() for one in members for weight in one.model.net.parameters())
    facts, wanted = run.spec.prepared, set(LATENCIES) - {"latency_ratio"}
    small, large = (
        measure_model(run, one.model, split, wanted, facts) for one, split in zip(members, splits, strict=True)
    )
    result = {"params": float(params), "size_mb": params * BYTES_PER_WEIGHT / 1e6}
    result["bytes"] = float(sum(map(_bytes, members)))
    result |= {name: small[name] + share * large[name] for name in TIMES}
    first, second = (one.model.units for one in members)
    tokenizer = facts.tokenizer_ms.get(first, 0.0)
    tokenizer += 0.0 if first == second else share * facts.tokenizer_ms.get(second, 0.0)
    return result | {"mean_cost_ms": result["latency_cpu_ms"] + tokenizer, "large_ms": large["latency_cpu_ms"]}


def _bytes(one: Loaded) -> int:
    """Of its weights as they are exported; those of the teacher in fp32."""
    if one.part.checkpoint is None:
        return sum(weight.numel() for weight in one.model.net.parameters()) * BYTES_PER_WEIGHT
    return tensor_bytes(one.part.checkpoint / "model.safetensors")


def _remarks(
    routed: Routed, repeated: Routed, router: Router, measured: dict[str, float], found: Found, run: Run
) -> list[str]:
    """What a person must know of this cascade, in sentences; they stand in the report and in the model card."""
    found.flat["cascade"] |= {
        "validation_share": repeated.share,
        "mean_cost_ms": measured["mean_cost_ms"],
        "large_ms": measured.pop("large_ms"),
    }
    facts = found.flat["cascade"]
    who = f"{router.small.name} answers if its confidence is at least {router.threshold:.4f}, else {router.large.name}"
    margin = f"{facts['margin']:+.2f} points (95 % interval {found.flat['margin_interval']})"
    return [
        f"A cascade: {who}. {facts['share']:.1%} of the report split was passed on ({repeated.share:.1%} of the "
        "validation split, where the threshold was chosen).",
        f"Accuracy against random routing of the same share: {margin}. Alone, {router.small.name} reaches "
        f"{facts['small']['accuracy']:.2f} and {router.large.name} {facts['large']['accuracy']:.2f}.",
        f"Mean CPU time of an example, tokenizer included: {facts['mean_cost_ms']:.3g} ms; {router.large.name} alone "
        f"takes {facts['large_ms'] + run.spec.prepared.tokenizer_ms.get('', 0.0):.3g} ms.",
    ]


def _digest(folder: Path) -> str:
    """One checksum of the rule and both models."""
    files = [folder / "router.json", folder / "small/model.safetensors", folder / "large/model.safetensors"]
    return hashlib.sha256("".join(map(file_sha256, files)).encode()).hexdigest()
