"""One trial: build the student, train it on labels and cached teacher outputs, evaluate and measure it.

No teacher runs here, and nothing is decided about the search.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from transformers import PreTrainedModel

from bertdistill.engine.contract.errors import ConfigError
from bertdistill.engine.contract.events import STARTED
from bertdistill.engine.contract.facts import Prepared
from bertdistill.engine.contract.metrics import LATENCIES
from bertdistill.engine.contract.spec import SCRATCH, AttemptSpec
from bertdistill.engine.distill.data.batches import IntArray, by_length, collate, pad_edges
from bertdistill.engine.distill.data.caches import refuse_damage
from bertdistill.engine.distill.data.examples import search_examples
from bertdistill.engine.distill.data.features import Features, open_features
from bertdistill.engine.distill.families.importance import load_importance
from bertdistill.engine.distill.families.transformer import build_student, load_encoder, load_student, save_student
from bertdistill.engine.distill.run import Run, place
from bertdistill.engine.distill.training.checkpoints import resumable
from bertdistill.engine.distill.training.evaluate import Evaluator, features_for
from bertdistill.engine.distill.training.measure import example_inputs, latency, peak_memory_mb, throughput
from bertdistill.engine.distill.training.train import Job, choose_precision, schedule, train
from bertdistill.engine.families.transformer import Shape
from bertdistill.engine.tasks.table import TASKS

MEASURED_TOKENS = 4096
MEASURED_BATCHES = 8


def run_trial(run: Run) -> dict[str, float]:
    """Train and measure; the returned metrics are those of the best checkpoint."""
    spec, facts = run.spec, run.spec.prepared
    torch.manual_seed(spec.settings.seed)
    refuse_damage(_caches(run))
    model, kept = _student(spec)
    place(model, run.device)
    params = sum(p.numel() for p in model.parameters())
    if spec.expected_params and params != spec.expected_params:
        raise ConfigError(f"the built student has {params:,} parameters, but {spec.expected_params:,} were promised")
    train_features = features_for(model, open_features(Path(facts.features["train"])))
    search = search_examples(spec)
    evaluator = Evaluator(
        examples=search,
        features=open_features(Path(facts.features["search"])),
        data=spec.data,
        select=spec.select_metric or TASKS[spec.task].scores[0],
        direction=spec.select_direction,
        pad_id=facts.pad_id,
    )
    precision = choose_precision(spec.settings.precision, run.device)
    plan = schedule(len(train_features), spec.settings)
    run.events.emit(
        STARTED,
        device=str(run.device),
        params=params,
        steps=plan.steps,
        examples=plan.examples(plan.steps),
        precision=str(precision).removeprefix("torch."),
    )
    position = train(
        Job(
            model=model,
            features=train_features,
            settings=spec.settings,
            paths=run.paths,
            events=run.events,
            stop=run.stop,
            device=run.device,
            precision=precision,
            pad_id=facts.pad_id,
            write_model=lambda target: save_student(model, kept, target),
            evaluate=lambda: evaluator.evaluate(model, run, precision),
            teacher=_teacher(facts, spec.settings.alpha),
            resume_from=resumable(Path(spec.resume_from), run.notice) if spec.resume_from else None,
        )
    )
    known = {"train_minutes": position.seconds / 60, "peak_memory_mb": peak_memory_mb(run.device)}
    measured = measure(run, Path(position.best_folder), evaluator.features, set(spec.measure), facts)
    return {**(position.best_metrics or {}), "params": params, **known, **measured}


def _caches(run: Run) -> list[Path]:
    """The cache folders that this trial reads; a model that a person named is no cache of ours."""
    facts = run.spec.prepared
    named = [*facts.features.values(), facts.outputs, facts.importance, facts.init_folder]
    return [Path(folder) for folder in named if folder and Path(folder).is_relative_to(run.caches)]


def _student(spec: AttemptSpec) -> tuple[PreTrainedModel, list[list[int]]]:
    facts = spec.prepared
    importance = load_importance(Path(facts.importance)) if facts.importance else None
    scratch = spec.student.init == SCRATCH
    shape = Shape.from_dict(facts.teacher_shape if scratch else facts.init_shape)
    return build_student(
        SCRATCH if scratch else facts.init_folder,
        spec.settings,
        task=spec.task,
        labels=facts.labels,
        shape=shape,
        importance=importance,
    )


def _teacher(facts: Prepared, alpha: float) -> npt.NDArray[np.float16] | None:
    if alpha == 0:  # then nothing reads it
        return None
    outputs: npt.NDArray[np.float16] = np.load(Path(facts.outputs) / "outputs.npy", mmap_mode="r")
    return outputs


def measured_rows(lengths: IntArray) -> list[IntArray]:
    """Batches of every length: the longest inputs alone would make every student look slow."""
    parts = list(by_length(lengths, MEASURED_TOKENS))
    # From the middle of each eighth: the very last batch may be a rest, and would not stand for the shortest.
    chosen = np.unique(((np.arange(MEASURED_BATCHES) + 0.5) * len(parts) / MEASURED_BATCHES).astype(int))
    return [parts[i] for i in chosen]


def _timed(model: PreTrainedModel, facts: Prepared) -> tuple[PreTrainedModel, dict[str, Tensor]]:
    return model, example_inputs(model, facts.mean_length)


def _load_teacher(run: Run) -> PreTrainedModel:
    facts = run.spec.prepared
    return load_encoder(facts.teacher_folder, run.spec.task, facts.labels, need_head=True)


def measure(run: Run, folder: Path, features: Features, wanted: set[str], facts: Prepared) -> dict[str, float]:
    """Latencies and throughput of the student in `folder`, as far as they are wanted."""
    result: dict[str, float] = {}
    if not wanted & {*LATENCIES, "throughput"}:
        return result
    model, _ = load_student(folder)
    if wanted & set(LATENCIES):
        run.progress("latency", "runs")
        teacher = _timed(_load_teacher(run), facts) if "latency_ratio" in wanted else None
        result |= latency(*_timed(model, facts), reference=teacher).metrics()
    if "throughput" in wanted:
        run.progress("throughput", "examples")
        seen, edges = features_for(model, features), pad_edges(features.lengths)
        rows = measured_rows(features.lengths)
        batches = [collate(seen, part, edges=edges, pad_id=facts.pad_id) for part in rows]
        result["throughput"] = throughput(place(model, run.device), batches, run.device)
    return result
